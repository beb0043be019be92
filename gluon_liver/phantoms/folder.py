"""A folder of phantoms of whatever kind: files of each by worker processes, labels in COCO JSON, and the truth."""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import cv2

from gluon_liver.data.splits import MAX_SEED
from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.output_folder import check_replaced, whole_folder, why_not_written
from gluon_liver.system.interrupts import deaf_children
from gluon_liver.system.runtime import usable_cores
from gluon_liver.system.terminal import progress_bar

from .options import PhantomOptions, check_not_there

DICOM_FOLDER, LABELS_FILE = "dicom", "labels.json"
Record = Dict[str, Any]


class PhantomKind(NamedTuple):
    """What tells the folders of two kinds of phantoms apart.

    name: "ct" or "us". unit, units: what one phantom is called, and several. folders: made beforehand. truth_file: its
    name. entries: a regular expression of the paths that may lie in a folder that is overwritten. classes,
    description, flag: of the label file, which has ``flag`` set at its top level.
    """

    name: str
    unit: str
    units: str
    folders: Tuple[str, ...]
    truth_file: str
    entries: str
    classes: Tuple[str, ...]
    description: str
    flag: str


def write_phantoms(
    out: Path,
    kind: PhantomKind,
    write: Callable[[Path, int], Record],
    config: PhantomOptions,
    numbers: Mapping[str, int],
    *,
    seed: int,
    jobs: Optional[int] = None,
    progress: bool = True,
    overwrite: bool = False,
) -> Tuple[List[Record], Record]:
    """Write phantoms to the new folder ``out``, next to it first; returns their records and the label file.

    write: (folder, index) -> the record of one phantom, whose "truth" goes into the truth file behind the options and
    is listed under the kind's units, and whose "images" are pairs: an image's entry in the label file, and the
    annotations on it. It runs in spawned processes, ``jobs`` of them (default: usable cores). numbers: how many of the
    units, and others that must be 1 or more too.

    Raises :class:`InputError`: a number out of range, ``out`` exists and ``overwrite`` is not given, it holds something
    that this does not write, or it cannot be written.
    """
    out, jobs, count = Path(out), usable_cores()[0] if jobs is None else jobs, numbers[kind.units]
    for name, value in {**numbers, "seed": seed, "jobs": jobs}.items():
        least = 0 if name == "seed" else 1
        if value < least:
            raise InputError(f"{name} is {value}; it must be {least} or more")
    if seed > MAX_SEED:
        raise InputError(f"seed is {seed}; it must be {MAX_SEED} or less")
    check_not_there(out, overwrite=overwrite)
    check_replaced(out, kind.truth_file, kind.entries)
    others = {name: value for name, value in numbers.items() if name != kind.units}
    truth = {"format": 1, "kind": f"{kind.name}-phantoms", "seed": seed, **others, "options": config.record()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(out, replace=overwrite) as temporary:
            for name in kind.folders:
                (temporary / name).mkdir()
            made = _made(partial(write, temporary), count, jobs)
            records = list(progress_bar(made, total=count, unit=kind.unit, text="phantoms", show=progress))
            labels = _coco_labels(kind, records)
            write_json(temporary / LABELS_FILE, labels, indent=None)
            write_json(temporary / kind.truth_file, {**truth, kind.units: [record["truth"] for record in records]})
            # something may have been put into the old folder meanwhile
            check_replaced(out, kind.truth_file, kind.entries)
    except OSError as error:
        raise InputError(f"phantoms cannot be written to {out}: {why_not_written(error)}") from error
    return records, labels


def _coco_labels(kind: PhantomKind, records: List[Record]) -> Record:
    """COCO of the images and boxes of all records, numbered from 1."""
    images: List[Record] = []
    annotations: List[Record] = []
    for image, boxes in (one for record in records for one in record["images"]):
        images.append({"id": len(images) + 1, **image})
        for box in boxes:
            annotations.append({"id": len(annotations) + 1, "image_id": len(images), **box})
    categories = [{"id": index, "name": name} for index, name in enumerate(kind.classes, 1)]
    top = {"info": {"description": kind.description}, kind.flag: True, "categories": categories}
    return {**top, "images": images, "annotations": annotations}


def annotation(category: int, box: Tuple[int, int, int, int], pixels: int, **more: int) -> Record:
    """A COCO annotation of a class index and corners."""
    x1, y1, x2, y2 = box
    return {"category_id": category + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": pixels, "iscrowd": 0, **more}


def _made(make: Callable[[int], Record], count: int, jobs: int) -> Iterator[Record]:
    if min(jobs, count) == 1:
        yield from map(make, range(count))
        return
    # one process a core: OpenCV's own threads would only compete
    with deaf_children():
        processes = multiprocessing.get_context("spawn").Pool(min(jobs, count), cv2.setNumThreads, (1,))
    with processes as pool:
        yield from pool.imap(make, range(count))
