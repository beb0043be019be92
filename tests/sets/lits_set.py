"""LiTS and the decathlon's tasks as they are unpacked, small."""

import json

import numpy as np

from tests.sets.written import small_volume, write_nifti

LESIONS = [("tumor", (3, 18, 12), (1.5, 3, 2)), ("tumor", (7, 15, 14), (2, 2, 4))]


def drawn(seed, shape=(12, 34, 36)):
    """(HU, mask as the sets have it: 1 liver, 2 tumor, mask of lesion numbers)."""
    hu, lesions, _ = small_volume(seed, shape, LESIONS)
    mask = np.where(lesions > 0, 2, (hu > 85) & (hu < 115)).astype(np.uint8)
    return hu, mask, lesions


def write_lits(folder, numbers=(0, 28, 50)):
    """`Training Batch 1|2`, a header of either orientation, identity matrices from 28 to 47, one test volume."""
    lesions = {}
    for number in numbers:
        batch = folder / f"Training Batch {1 if number < 28 else 2}"
        batch.mkdir(parents=True, exist_ok=True)
        hu, mask, lesions[str(number)] = drawn(number)
        place = (
            dict(spacing=(1.0, 1.0, 1.0)) if 28 <= number <= 47 else dict(spacing=(2.5, 0.7, 0.7), origin=(-90, -80, 5))
        )
        axes = "RAS" if number >= 28 else "LPS"
        write_nifti(batch / f"volume-{number}.nii", hu, axes=axes, **place)
        write_nifti(batch / f"segmentation-{number}.nii", mask, axes=axes, **place)
    (folder / "LITS-Challenge-Test-Data").mkdir()
    write_nifti(folder / "LITS-Challenge-Test-Data" / "test-volume-0.nii", hu)
    return lesions


def write_msd(folder, task, prefix, labels, numbers=(1, 2)):
    """A task's folder with dataset.json and macOS's files beside those that count."""
    root = folder / task
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (root / name).mkdir(parents=True)
    lesions, training = {}, []
    for number in numbers:
        hu, mask, lesions[f"{prefix}_{number:03d}"] = drawn(number)
        file = f"{prefix}_{number:03d}.nii.gz"
        write_nifti(root / "imagesTr" / file, hu, dtype=np.float32, axes="RAS")
        write_nifti(root / "labelsTr" / file, mask, axes="RAS")
        for name in ("imagesTr", "labelsTr"):
            (root / name / f"._{file}").write_bytes(b"\0\5\26\7Mac OS X")
        training.append({"image": f"./imagesTr/{file}", "label": f"./labelsTr/{file}"})
    write_nifti(root / "imagesTs" / f"{prefix}_099.nii.gz", hu)
    record = {"name": prefix, "modality": {"0": "CT"}, "labels": {"0": "background", **labels}, "training": training}
    (root / "dataset.json").write_text(json.dumps(record))
    return lesions
