"""Prepared data, label files, logs and DICOM of any number, and what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, List

Work = Callable[[], object]
SIDE, SLICES, LABELLED = 16, 8, 4  # of a study
PHASES = ("arterial", "delayed")


def write_data(folder: Path, patients: int) -> None:
    """CT data of one study a patient, by the writers of the import."""
    import numpy as np

    from gluon_liver.data.coco import save_labels
    from gluon_liver.data.ct_dataset import CTDataset
    from gluon_liver.data.ct_labels import CLASSES, CTLabel
    from gluon_liver.data.splits import make_splits
    from gluon_liver.data.study import Study
    from gluon_liver.files.digest import digest
    from gluon_liver.prepare.folder import write_records

    hu = np.zeros((len(PHASES), SLICES, SIDE, SIDE), np.int16)
    plain = Study.from_arrays(hu, spacing=(5, 1, 1), phases=PHASES, reference_phase="arterial")
    names, studies, pixels, labels = [f"patient-{n:06d}" for n in range(patients)], [], {}, []
    for number, patient in enumerate(names):
        case = f"case-{number:06d}"
        place = folder / "studies" / case
        place.mkdir(parents=True)
        np.save(str(place / "volume.npy"), hu)
        study = Study(**{**vars(plain), "case": case, "patient": patient})
        study.save_record(place)
        studies.append({"case": case, "patient": patient, "fingerprint": f"{number:064x}", "slices": SLICES})
        pixels[case] = digest(place / "volume.npy")
        for index in range(LABELLED):
            box = np.array([[2, 2, 9, 8]], np.float32)
            kind = np.array([number % len(CLASSES)], np.int32)
            labels.append(CTLabel(len(labels) + 1, case, index, SIDE, SIDE, box, kind, "arterial"))
    save_labels(labels, CLASSES, folder / "labels.json")
    groups = [names[start : start + 2] for start in range(0, patients, 10)]
    own = {"classes": CLASSES, "phases": PHASES, "reference_phase": "arterial", "phantom": True}
    known = {"format": 1, "kind": CTDataset.task, "same_examination": groups, "studies": studies, "pixels": pixels}
    write_records(folder, make_splits(names, together=groups), {}, {**known, **own})


def opening(folder: Path, patients: int) -> Work:
    from gluon_liver.data.open import open_dataset

    return lambda: open_dataset(folder).changed_labels()


def splitting(folder: Path, patients: int) -> Work:
    """A split made anew, and what the splits of opened data hold."""
    from gluon_liver.data.open import open_dataset
    from gluon_liver.data.splits import make_splits

    dataset = open_dataset(folder)

    def work() -> None:
        names = [info.patient for info in dataset.cases]
        make_splits(names, seed=1, together=[names[start : start + 2] for start in range(0, patients, 10)])
        for split in ("train", "val", "test"):
            dataset.labels_of(split)
            dataset.cases_of(split)
            dataset.digests(split)
        dataset.refuse_trained(dataset.training_record(), "test")
        for info in dataset.cases:
            dataset.labels_by_slice(info.case)

    return work


def checking(folder: Path, patients: int) -> Work:
    from gluon_liver.data.check import check_volumes
    from gluon_liver.data.open import open_dataset

    dataset = open_dataset(folder)
    return lambda: check_volumes(dataset)


def write_label_file(folder: Path, images: int) -> None:
    """COCO JSON as a label tool leaves it, two boxes an image."""
    classes = ("cyst", "hemangioma", "hcc")
    entries = [
        {"id": n, "width": 512, "height": 512, "study": f"1.2.{n // 40}", "phase": "arterial", "slice": n % 40}
        for n in range(images)
    ]
    boxes = [
        {"id": n, "image_id": n // 2, "category_id": n % 3 + 1, "bbox": [10, 20, 30, 40], "iscrowd": 0}
        for n in range(2 * images)
    ]
    categories = [{"id": n + 1, "name": name} for n, name in enumerate(classes)]
    coco = {"images": entries, "annotations": boxes, "categories": categories}
    (folder / "labels.json").write_text(json.dumps(coco))


def reading_labels(folder: Path, images: int) -> Work:
    from gluon_liver.labels.ct import load_label_file

    return lambda: load_label_file(folder / "labels.json")


def write_dicom(folder: Path, files: int) -> None:
    """Studies of 60 small images, 20 a phase."""
    from gluon_liver.phantoms.ct.config import CTPhantomConfig
    from gluon_liver.phantoms.ct.folder import write_ct_phantoms

    config = CTPhantomConfig(matrix=64, slices=(20, 20))
    write_ct_phantoms(folder / "phantoms", config=config, studies=files // 60, seed=0, jobs=1, progress=False)


def scanning(folder: Path, files: int) -> Work:
    from gluon_liver.archive.scan import scan_folder

    return lambda: scan_folder(folder / "phantoms" / "dicom")


def write_log(folder: Path, megabytes: int) -> None:
    """A log with a record of losses a step, a checkpoint every 10,000 steps and a run gone on with now and then."""
    losses = {name: 0.123456 for name in ("rpn_class", "rpn_box", "class", "box", "total")}
    lines: List[str] = [json.dumps({"event": "start", "time": 0.0, "steps": 10**9, "notes": []})]
    size, step = 0, 0
    while size < megabytes * 10**6:
        step += 1
        record = {"event": "step", "time": step / 2, "learning_rate": 1e-3, "step": step, "epoch": 0, "losses": losses}
        lines.append(json.dumps(record))
        size += len(lines[-1]) + 1
        if step % 10_000 == 0:
            lines.append(json.dumps({"event": "checkpoint", "time": step / 2, "step": step}))
            lines.append(json.dumps({"event": "resume", "time": 0.0, "step": step}))
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")


def reading_log(folder: Path, megabytes: int) -> Work:
    """As an evaluation reads it: three times for what happened, once for the curves."""
    from pathlib import Path

    from gluon_liver.config.load import load_config
    from gluon_liver.report.figures.learning import plot_losses
    from gluon_liver.report.pages.page import MOST_STEPS
    from gluon_liver.runs.log import read_log
    from gluon_liver.runs.run import Run

    run = Run(Path(folder), load_config("demo-ct"), {})

    def work() -> None:
        run.imported()
        run.training_notes()
        run.progress()
        plot_losses(read_log(run.folder / "log.jsonl", steps=MOST_STEPS))

    return work
