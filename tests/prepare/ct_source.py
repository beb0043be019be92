"""A CT study as DICOM, labels for it, and what an import made of them."""

from __future__ import annotations

import os
from functools import partial

import numpy as np

from gluon_liver.data.ct_dataset import CTDataset
from tests.readers.ct_writer import ct_dataset, uid, write
from tests.readers.us_writer import write_labels

PHASES = {"NON CONTRAST": 0.0, "ARTERIAL": 0.0, "DELAYED": 1.0}
THIRD = {"study": uid(1), "phase": "arterial", "slice": 2}

label_file = partial(write_labels, width=16, height=16, classes=("cyst", "hemangioma", "hcc"))


def write_study(folder, study=1, *, patient="P1", phases=PHASES, slices=4):
    """One study of `slices` slices 2 mm apart; pixels of series n, slice i hold 100 n + i."""
    for number, (description, z0) in enumerate(phases.items(), 1):
        common = dict(study=study, series=number, patient=patient, description=description)
        for i in range(slices):
            pixels = np.full((16, 16), 100 * number + i, np.int16)
            ds = ct_dataset(instance=i, z=z0 + 2.0 * i, pixels=pixels, **common)
            write(ds, folder / f"st{study}" / f"se{number}" / f"{i}.dcm")


def boxes_of_slices(out):
    return [(image.slice, len(image.boxes)) for image in CTDataset.open(out).labels]


def labels_not_taken(report):
    """Counts of images and boxes by reason."""
    return {one["reason"]: (one["images"], one["boxes"]) for one in report["labels"]["not_taken"]}


def siblings(out):
    return [name for name in os.listdir(out.parent) if "importing" in name]
