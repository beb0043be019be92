"""lesions.nii.gz: the number of a lesion in each voxel, on the study's stored grid."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np

from gluon_liver.files.atomic import whole_path
from gluon_liver.structures.arrays import FloatArray, IntArray
from gluon_liver.structures.geometry import Geometry

from .found import NOTE, Found
from .painting import painted

FILE = "lesions.nii.gz"
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_nifti(folder: Path, found: Found) -> List[str]:
    """Write the label volume into ``folder``; the name of the file is returned."""
    import nibabel

    image = nibabel.Nifti1Image(label_volume(found).transpose(2, 1, 0), affine(found.study.geometry))
    image.set_sform(image.affine, code="scanner")
    image.set_qform(image.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = NOTE.encode("ascii")
    with whole_path(folder / FILE, ending=".partial.nii.gz") as partial:  # nibabel tells the format by the name
        nibabel.save(image, partial)
    return [FILE]


def label_volume(found: Found) -> IntArray:
    """uint16 (z, y, x) of the stored grid: the number of the lesion, 0 for none; of two that of the better score."""
    slices, rows, columns = found.study.geometry.size
    labels = np.zeros((slices, rows, columns), np.uint16)
    for number, lesion in reversed([*enumerate(found.lesions, 1)]):  # the best come first, and are painted last
        for box in lesion.boxes:
            part, marked = painted(box.box, (rows, columns), found.shape)
            labels[box.slice][part][marked] = number
    return labels


def affine(geometry: Geometry) -> FloatArray:
    """(4, 4) from indices (x, y, z) to mm in NIfTI's frame, RAS: x to the patient's right, y to the front."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(geometry.direction) * np.asarray(geometry.spacing[::-1])
    matrix[:3, 3] = geometry.origin
    turned: FloatArray = TO_RAS @ matrix
    return turned
