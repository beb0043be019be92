"""WAW-TACE in small: names, grids and quirks as gluon_liver/sets/waw_tace.py says them."""

import numpy as np

from .written import small_volume, write_itk, write_nifti

MASKS = "tumor_masks_wawtace_v1_08_05_2024"
SHAPE, SPACING = (8, 40, 48), (5.0, 0.8, 0.8)
# phase -> (spacing, origin) of its own grid: it covers the body of the arterial phase, in slices of another thickness
GRIDS = {
    0: ((5.0, 0.8, 0.8), (-20.0, -30.0, -98.0)),
    1: (SPACING, (-20.0, -30.0, -100.0)),
    2: ((2.5, 0.8, 0.8), (-20.0, -30.0, -100.0)),
    3: ((5.0, 0.7, 0.7), (-18.0, -28.0, -100.0)),
}


def write_waw_tace(folder):
    """Write the set below ``folder``. Returns patient -> mask of tumor numbers (z, y, x) on the grid it was drawn on.

    2: all phases, two tumors on the arterial one. 10: arterial and portal venous, drawn on the portal venous one, whose
    slices are half as thick. 35: the mask is called after the delayed phase and was drawn on the arterial one.
    """
    lesions = [("hcc", (3, 14, 14), (1.5, 4, 3)), ("hcc", (3, 15, 17), (1.2, 3, 4))]  # which touch each other
    hu, mask, _ = small_volume(3, SHAPE, lesions)
    truth = {"2": mask, "35": (mask == 1) * 1, "10": np.repeat((mask == 1) * 1, 2, axis=0)}
    for phase in GRIDS:
        write_scan(folder, "2", phase, hu + 3 * phase)
    write_scan(folder, "10", 1, hu)
    write_scan(folder, "10", 2, np.repeat(hu, 2, axis=0))
    write_scan(folder, "35", 1, hu)
    write_scan(folder, "35", 3, hu)
    write_mask(folder, "2", 1, 0, mask == 1)
    write_mask(folder, "2", 1, 1, mask == 2, value=3)
    write_mask(folder, "10", 2, 0, truth["10"])
    write_mask(folder, "35", 3, 0, mask == 1, drawn_on=1)
    return truth


def write_scan(folder, patient, phase, hu):
    path = folder / patient / f"{patient}_{phase}_scan.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    spacing, origin = GRIDS[phase]
    write_nifti(path, hu.astype(np.int16), spacing, origin=origin, axes="LAS")


def write_mask(folder, patient, phase, tumor, mask, *, drawn_on=None, value=1, ending="nrrd"):
    """A tumor as its file has it: axes to the left, front and head, like those of the scans."""
    path = folder / MASKS / patient / f"{patient}_{phase}_{tumor}_tumor_seg.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    spacing, (x, y, z) = GRIDS[phase if drawn_on is None else drawn_on]
    voxels, end = (np.asarray(mask) > 0).astype(np.uint8)[:, ::-1] * value, y + (mask.shape[1] - 1) * spacing[1]
    write_itk(path, voxels, spacing, direction=np.diag([1, -1, 1]), origin=(x, end, z))
