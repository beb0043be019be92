"""A folder of phantoms of whatever kind: files of each by worker processes, labels in COCO JSON, and the truth."""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import cv2
from tqdm import tqdm

from gluon_liver.data.splits import MAX_SEED
from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.output_folder import check_replaced, whole_folder, why_not_written
from gluon_liver.system.runtime import usable_cores

DICOM_FOLDER, LABELS_FILE = "dicom", "labels.json"
Record = Dict[str, Any]


def write_phantoms(
    out: Path,
    write: Callable[[Path, int], Record],
    *,
    unit: str,
    units: str,
    numbers: Mapping[str, int],
    seed: int,
    folders: Sequence[str],
    entries: str,
    labels: Callable[[List[Record]], Record],
    truth_file: str,
    truth: Record,
    jobs: Optional[int],
    progress: bool,
    overwrite: bool,
) -> Tuple[List[Record], Record]:
    """Write phantoms to the new folder ``out``, next to it first; returns their records and the label file.

    write: (folder, index) -> the record of one phantom, whose "truth" goes into ``truth_file`` behind ``truth`` and is
    listed under ``units``. It runs in spawned processes, ``jobs`` of them (default: usable cores). numbers: ``units``,
    how many, and others that must be 1 or more too. folders: made beforehand. entries: a regular expression of the
    paths that may lie in a folder that is overwritten. labels: the label file of all records.

    Raises :class:`InputError`: a number out of range, ``out`` exists and ``overwrite`` is not given, it holds something
    that this does not write, or it cannot be written.
    """
    out, jobs, count = Path(out), usable_cores()[0] if jobs is None else jobs, numbers[units]
    for name, value in {**numbers, "seed": seed, "jobs": jobs}.items():
        least = 0 if name == "seed" else 1
        if value < least:
            raise InputError(f"{name} is {value}; it must be {least} or more")
    if seed > MAX_SEED:
        raise InputError(f"seed is {seed}; it must be {MAX_SEED} or less")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already; choose another folder or ask for it to be overwritten")
    check_replaced(out, truth_file, entries)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(out, replace=overwrite) as temporary:
            for name in folders:
                (temporary / name).mkdir()
            made = _made(partial(write, temporary), count, jobs)
            records = list(tqdm(made, total=count, unit=unit, desc="phantoms", disable=not progress))
            coco = labels(records)
            write_json(temporary / LABELS_FILE, coco, indent=None)
            whole = {"format": 1, **truth, units: [record["truth"] for record in records]}
            write_json(temporary / truth_file, whole)
            # something may have been put into the old folder meanwhile
            check_replaced(out, truth_file, entries)
    except OSError as error:
        raise InputError(f"phantoms cannot be written to {out}: {why_not_written(error)}") from error
    return records, coco


def coco_labels(records: List[Record], *, classes: Sequence[str], description: str, **flags: bool) -> Record:
    """COCO of the images and boxes of all records, numbered from 1, with ``flags`` at the top level.

    "images" of a record: each image's entry and the annotations on it.
    """
    images: List[Record] = []
    annotations: List[Record] = []
    for record in records:
        for image, boxes in record["images"]:
            images.append({"id": len(images) + 1, **image})
            for box in boxes:
                annotations.append({"id": len(annotations) + 1, "image_id": len(images), **box})
    return {
        "info": {"description": description},
        **flags,
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(classes)],
        "images": images,
        "annotations": annotations,
    }


def annotation(category: int, box: Tuple[int, int, int, int], pixels: int, **more: int) -> Record:
    """A COCO annotation of a class index and corners."""
    x1, y1, x2, y2 = box
    bbox = [x1, y1, x2 - x1, y2 - y1]
    return {"category_id": category + 1, "bbox": bbox, "area": pixels, "iscrowd": 0, **more}


def _made(make: Callable[[int], Record], count: int, jobs: int) -> Iterator[Record]:
    if min(jobs, count) == 1:
        yield from map(make, range(count))
        return
    # one process a core: OpenCV's own threads would only compete
    with multiprocessing.get_context("spawn").Pool(min(jobs, count), cv2.setNumThreads, (1,)) as pool:
        yield from pool.imap(make, range(count))
