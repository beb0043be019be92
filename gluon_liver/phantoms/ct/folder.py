"""A folder of CT phantoms: DICOM files, labels in COCO JSON, and the truth about every lesion."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Optional

from gluon_liver.phantoms.folder import DICOM_FOLDER, PhantomKind, Record, annotation, write_phantoms

from .attenuation import PHASES
from .config import CLASSES, CTPhantomConfig
from .dicom_writer import write_study
from .lesions import Lesion
from .study import PhantomStudy, make_ct_study

ENTRIES = r"(dicom(/study-\d+(/\d+\.dcm)?)?|labels\.json|phantom\.json)"
TEXT = "synthetic CT phantoms; boxes from the lesions' own masks"
KIND = PhantomKind("ct", "study", "studies", (DICOM_FOLDER,), "phantom.json", ENTRIES, CLASSES, TEXT, "exhaustive")


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
    mm) and the steep vessels that look like lesions (class whose look it is, a point of the axis, its slope). jobs,
    progress, overwrite: as :func:`write_phantoms` takes them.

    The files depend on ``config`` and ``seed`` alone, not on ``jobs`` (processes; default: usable cores), and study k
    is the same however many are made. Processes are spawned: a script that calls this with jobs > 1 needs the
    usual ``if __name__ == "__main__"``. Raises InputError as :func:`write_phantoms`.
    """
    write = partial(_write_study, config, seed)
    records, labels = write_phantoms(
        out, KIND, write, config, {"studies": studies}, seed=seed, jobs=jobs, progress=progress, overwrite=overwrite
    )
    return {
        "studies": studies,
        "patients": len({record["truth"]["patient"] for record in records}),
        "images": sum(record["files"] for record in records),
        "lesions": {name: sum(record["classes"].count(name) for record in records) for name in CLASSES},
        "boxes": len(labels["annotations"]),
    }


def _write_study(config: CTPhantomConfig, seed: int, out: Path, index: int) -> Record:
    """One study to disk; runs in a worker process."""
    study = make_ct_study(config, seed=seed, index=index)
    folder = out / DICOM_FOLDER / f"study-{index:04d}"
    folder.mkdir()
    written = write_study(study, folder)
    boxed = {(box.phase, box.slice) for box in study.boxes}
    if not boxed:
        boxed = {(phase, len(study.hu[phase]) // 2) for phase in PHASES}
    _, rows, columns = study.geometry.size
    images = []
    for phase, z in sorted(boxed, key=lambda key: (PHASES.index(key[0]), key[1])):
        name, uid = written[phase, z]
        image: Record = {
            "file_name": f"{DICOM_FOLDER}/{folder.name}/{name}",
            "sop_instance_uid": uid,
            "study": study.study_uid,
        }
        image.update(phase=phase, slice=z, width=columns, height=rows)
        shown = (one for one in study.boxes if (one.phase, one.slice) == (phase, z))
        labels = ((CLASSES.index(study.lesions[one.lesion].label), one) for one in shown)
        # label files number lesions from 1
        images.append((image, [annotation(label, one.box, one.pixels, lesion=one.lesion + 1) for label, one in labels]))
    classes = [lesion.label for lesion in study.lesions]
    return {"images": images, "files": len(written), "classes": classes, "truth": _truth(study)}


def _truth(study: PhantomStudy) -> Record:
    def place(one: Lesion, diameter_mm: float) -> Record:
        centre = [round(c + o, 2) for c, o in zip(one.centre_mm, study.world_offset_mm)]
        size = {"diameter_mm": round(diameter_mm, 2), "ambiguous": one.ambiguous}
        return {"class": one.label, "centre_mm": centre, **size}

    lesions: Record = {"lesions": [place(one, one.diameter_mm) for one in study.lesions]}
    if study.steep_vessels:
        tubes = [(one, place(one.section, one.diameter_mm)) for one in study.steep_vessels]
        lesions["steep_vessels"] = [{**shown, "slope": [round(v, 4) for v in one.slope]} for one, shown in tubes]
    shifts = {phase: [round(v, 2) for v in shift] for phase, shift in study.shifts_mm.items()}
    truth = {"study": study.study_uid, "patient": study.patient, "visit": study.visit}
    return {**truth, "noise_sd_hu": round(study.noise_sd_hu, 2), "breathing_mm": shifts, **lesions}
