"""LLD-MMRI in small: names, records, grids and quirks as gluon_liver/sets/lld_mmri.py says them."""

import json

import numpy as np

from .truth import mask_truth
from .written import small_volume, write_nifti

SHAPE, ORIGIN = (10, 40, 48), (-30.0, -40.0, -60.0)
NUMBERS = {
    "Hepatic_hemangioma": 0,
    "Intrahepatic_cholangiocarcinoma": 1,
    "Hepatic_abscess": 2,
    "Hepatic_metastasis": 3,
    "Hepatic_cyst": 4,
    "FOCAL_NODULAR_HYPERPLASIA": 5,
    "Hepatocellular_carcinoma": 6,
}
# phase -> (slice spacing in mm, factor and offset from HU to its intensities, type of the file's numbers)
PHASES = {
    "T2WI": (6.0, 2.0, 2100, "u2"),
    "In Phase": (3.0, 0.3, 340, "i2"),
    "Out Phase": (3.0, 0.25, 300, "i2"),
    "C-pre": (3.0, 0.5, 520, "i2"),
    "C+A": (3.0, 0.7, 730, "i2"),
    "C+V": (3.0, 0.8, 850, "i2"),
    "C+Delay": (3.0, 0.6, 650, "i2"),
    "DWI": (6.0, 0.0001, 0.11, "f4"),
}
CASES = {"MR101": 6, "MR-4002": 4, "MR203": 0}  # case -> category


def body_of(number):
    """(HU, mask of lesion numbers, classes) of a case by its place, from which its phases are made."""
    lesions = [("any", (3 + number, 14, 14), (1.5, 4, 3)), ("any", (6, 26, 16 + number), (1.2, 3, 4))]
    return small_volume(number, SHAPE, lesions)


def write_lld_mmri(folder, *, cases=None, lacking=(), downward=("MR-4002",), flat=False, name="Annotation.json"):
    """Write the set below ``folder``. Returns case -> mask of lesion numbers (z from the feet, y, x) on the phase C+V.

    lacking: (case, phase) without a volume. downward: cases whose slices run to the feet. flat: as MedSAM names files.
    """
    info, masks = {}, {}
    for number, (case, category) in enumerate((cases or CASES).items()):
        hu, mask, _ = body_of(number)
        masks[case] = mask
        info[case] = [
            write_series(folder, case, phase, hu, mask, category, downward=case in downward, flat=flat)
            for phase in PHASES
            if (case, phase) not in lacking
        ]
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    tree = {"Annotation_info": info, "Category_info": {**NUMBERS, "Inaccessible": -1}}
    (folder / "labels" / name).write_text(json.dumps(tree))
    return masks


def write_series(folder, case, phase, hu, mask, category, *, downward=False, flat=False, origin=ORIGIN):
    """One volume, and the record of it."""
    spacing, factor, offset, kind = PHASES[phase]
    step = round(spacing / 3.0)
    values, marks = (np.maximum(hu[::step] * factor + offset, 0)).astype(kind), mask[::step]
    study, series = f"{case}-study", f"1.2.{case}.{list(PHASES).index(phase)}"
    path = folder / "images" / case / study / f"{series}.nii.gz"
    if flat:
        path = folder / "images" / f"{case}_{category}_{phase.replace(' ', '')}_0000.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = (spacing, 1.2, 1.2)
    write_nifti(path, values, grid, origin=origin, axes="LPI" if downward else "LPS")
    lesions = {}
    for z, boxes in mask_truth(marks).items():
        place = len(marks) - 1 - z if downward else z
        for x1, y1, x2, y2, number in boxes:
            lesion = lesions.setdefault(str(number - 1), {"category": category, "bbox": {"2D_box": []}})
            edges = dict(x_min=x1, y_min=y1, x_max=x2, y_max=y2)
            lesion["bbox"]["2D_box"].append({"slice_idx": place, **edges, "area": (x2 - x1) * (y2 - y1)})
    for lesion in lesions.values():
        rows = lesion["bbox"]["2D_box"]
        ends = {f"{axis}_min": min(row[f"{axis}_min"] for row in rows) for axis in "xy"}
        ends.update({f"{axis}_max": max(row[f"{axis}_max"] for row in rows) for axis in "xy"})
        places = [row["slice_idx"] for row in rows]
        lesion["bbox"]["3D_box"] = {**ends, "z_min": min(places), "z_max": max(places)}
    return {
        "studyUID": study,
        "seriesUID": series,
        "phase": phase,
        "pixel_spacing": [1.2, 1.2],
        "slice_thickness": spacing,
        "slice_spacing": spacing,
        "origin": list(origin),
        "annotation": {"num_targets": len(lesions), "lesion": lesions},
    }
