"""A folder of CT phantoms: DICOM files, labels in COCO JSON, and the truth about every lesion."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from tqdm import tqdm

from gluon_liver.data.splits import MAX_SEED
from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.output_folder import check_replaced, whole_folder, why_not_written

from .attenuation import PHASES
from .config import CTPhantomConfig
from .dicom_writer import write_study
from .lesions import CLASSES
from .study import PhantomStudy, make_ct_study

DICOM_FOLDER, LABELS_FILE, TRUTH_FILE = "dicom", "labels.json", "phantom.json"
ENTRIES = r"(dicom(/study-\d+(/\d+\.dcm)?)?|labels\.json|phantom\.json)"
Record = Dict[str, Any]
Task = Tuple[str, CTPhantomConfig, int, int]


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write_ct_phantoms(
    out: Path,
    *,
    config: CTPhantomConfig,
    studies: int,
    seed: int,
    jobs: Optional[int] = None,
    progress: bool = True,
    overwrite: bool = False,
) -> Record:
    """Write ``studies`` phantoms to the new folder ``out`` and return counts of what was written.

    out/dicom/study-NNNN/NNNN.dcm: all phases of a study in one folder. out/labels.json: COCO boxes (xywh,
    pixels) on all phases with ``"exhaustive": true``; a study without lesions is named by its middle slices.
    out/phantom.json: options, and per study its patient and lesions (class, centre in DICOM mm, diameter in
    mm).

    The files depend on ``config`` and ``seed`` alone, not on ``jobs`` (processes; default: usable cores), and
    study k
    is the same however many are made. Processes are spawned: a script that calls this with jobs > 1 needs the
    usual ``if __name__ == "__main__"``. Everything is written next to ``out`` first and then renamed.

    Raises InputError: a number out of range, ``out`` exists and ``overwrite`` is not given, it holds
    something that this does not write, or it cannot be written.
    """
    out, jobs = Path(out), usable_cores() if jobs is None else jobs
    for name, value, least in (("studies", studies, 1), ("seed", seed, 0), ("jobs", jobs, 1)):
        if value < least:
            raise InputError(f"{name} is {value}; it must be {least} or more")
    if seed > MAX_SEED:
        raise InputError(f"seed is {seed}; it must be {MAX_SEED} or less")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already; choose another folder or ask for it to be overwritten")
    check_replaced(out, TRUTH_FILE, ENTRIES)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(out, replace=overwrite) as partial:
            dicom = partial / DICOM_FOLDER
            dicom.mkdir()
            tasks = [(str(dicom), config, seed, index) for index in range(studies)]
            bar = tqdm(_results(tasks, jobs), total=studies, unit="study", desc="phantoms", disable=not progress)
            records = sorted(bar, key=lambda record: record["index"])
            labels = coco_labels(
                records,
                classes=CLASSES,
                description="synthetic CT phantoms; boxes from the lesions' own masks",
                exhaustive=True,
            )
            truth = {"format": 1, "kind": "ct-phantoms", "seed": seed, "options": config.to_json()}
            truth["studies"] = [record["truth"] for record in records]
            write_json(partial / LABELS_FILE, labels, indent=None)
            write_json(partial / TRUTH_FILE, truth)
            # something may have been put into the old folder meanwhile
            check_replaced(out, TRUTH_FILE, ENTRIES)
    except OSError as error:
        raise InputError(f"phantoms cannot be written to {out}: {why_not_written(error)}") from error
    return {
        "studies": studies,
        "patients": len({record["truth"]["patient"] for record in records}),
        "images": sum(record["files"] for record in records),
        "lesions": {name: sum(record["classes"].count(name) for record in records) for name in CLASSES},
        "boxes": len(labels["annotations"]),
    }


def _results(tasks: List[Task], jobs: int) -> Iterator[Record]:
    if min(jobs, len(tasks)) == 1:
        yield from map(_make_and_write, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(tasks))) as pool:
        yield from pool.imap_unordered(_make_and_write, tasks)


def _make_and_write(task: Task) -> Record:
    """One study to disk; runs in a worker process."""
    parent, config, seed, index = task
    study = make_ct_study(config, seed=seed, index=index)
    folder = Path(parent) / f"study-{index:04d}"
    folder.mkdir()
    written = write_study(study, folder)
    boxed = {(box.phase, box.slice) for box in study.boxes}
    if not boxed:
        boxed = {(phase, len(study.hu[phase]) // 2) for phase in PHASES}
    images = []
    for phase, z in sorted(boxed, key=lambda key: (PHASES.index(key[0]), key[1])):
        name, uid = written[phase, z]
        rows, columns = study.hu[phase].shape[1:]
        image = {
            "file_name": f"{DICOM_FOLDER}/{folder.name}/{name}",
            "sop_instance_uid": uid,
            "study": study.study_uid,
        }
        image.update(phase=phase, slice=z, width=columns, height=rows)
        images.append((image, [_annotation(study, box) for box in study.boxes if (box.phase, box.slice) == (phase, z)]))
    classes = [lesion.label for lesion in study.lesions]
    return {
        "index": index,
        "images": images,
        "files": len(written),
        "classes": classes,
        "truth": _truth(study),
    }


def _annotation(study: PhantomStudy, box) -> Record:
    x1, y1, x2, y2 = box.box
    category = CLASSES.index(study.lesions[box.lesion].label) + 1
    return {
        "category_id": category,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": box.pixels,
        "iscrowd": 0,
        "lesion": box.lesion,
    }


def _truth(study: PhantomStudy) -> Record:
    lesions = [
        {
            "class": lesion.label,
            "centre_mm": [round(c + o, 2) for c, o in zip(lesion.centre_mm, study.world_offset_mm)],
            "diameter_mm": round(lesion.diameter_mm, 2),
            "ambiguous": lesion.ambiguous,
        }
        for lesion in study.lesions
    ]
    shifts = {phase: [round(v, 2) for v in shift] for phase, shift in study.shifts_mm.items()}
    return {
        "study": study.study_uid,
        "patient": study.patient,
        "visit": study.visit,
        "noise_sd_hu": round(study.noise_sd_hu, 2),
        "breathing_mm": shifts,
        "lesions": lesions,
    }


def coco_labels(records: List[Record], *, classes: Sequence[str], description: str, **flags: bool) -> Record:
    """COCO of the images and boxes of all records, numbered from 1, with ``flags`` at the top level."""
    images, annotations = [], []
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
