"""Which images of a folder of DICOM files are axial CT slices, and why the others are left out, as an import has it."""

from __future__ import annotations

import re
from typing import Any, List

import numpy as np

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
# SOP classes, with a dot at the end their beginnings, and words of ImageType and of descriptions, as an import has them
STORAGE = "1.2.840.10008.5.1.4.1.1."
NOT_CT = {
    "1.2.840.10008.1.3.10": "a media directory (DICOMDIR)",
    STORAGE + "7": "a secondary capture",
    STORAGE + "7.": "a secondary capture",
    STORAGE + "88.": "a structured report (a dose report is one)",
    STORAGE + "481.2": "a radiotherapy dose",
    STORAGE + "11.": "a presentation state",
    STORAGE + "66.": "a segmentation or registration object",
}
LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM"}
SCREENS = {"DOSE", "DOSE_INFO", "SCREEN SAVE", "REPORT"}
OTHER_VALUES = {
    "OD": "optical densities",
    "MGML": "mg/ml of a material",
    "Z_EFF": "effective atomic numbers",
    "ED": "electron densities",
    "EDW": "electron densities",
    "PCT": "percentages",
}
PROJECTION_TYPE = re.compile(
    r"(?<![A-Z])(MIP|MAXIP|MINIP|MPVR|VRT|SSD|PROJECTION|CPR|CURVED|RAYSUM|MAXIMUM|MINIMUM|MAX[_ ]IP|MIN[_ ]IP"
    r"|PROJECTION[_ ]IMAGE|VOLUME[_ ]REND\w*|SURFACE[_ ]REND\w*)(?![A-Z])"
)
PROJECTION_NAME = re.compile(r"(?<![A-Z])(MIPS?|MAX[_ -]?IP|MIN[_ -]?IPS?|CPR|VRT|CURVED|VOLUME[_ -]REND\w*)(?![A-Z])")


def is_named(image: Any, name: str) -> bool:
    """Whether an image is of the series of this number or UID."""
    if name == str(image.get("SeriesInstanceUID")):
        return True
    return "." not in name and str(image.get("SeriesNumber")) == str(int(name))


def words_of(image: Any) -> List[str]:
    value = image.get("ImageType") or []
    return [str(word).strip().upper() for word in ([value] if isinstance(value, str) else value)]


def unit_of(image: Any) -> str:
    return str(image.get("RescaleType") or "").strip().upper()


def no_slice(image: Any) -> str:
    """Why an image is no axial slice of a CT, "" where it is one."""
    sop_class = str(image.get("SOPClassUID") or getattr(image, "file_meta", {}).get("MediaStorageSOPClassUID", ""))
    for uid, what in NOT_CT.items():
        if sop_class == uid or (uid[-1] == "." and sop_class.startswith(uid)):
            return f"{what}, not a CT image"
    if sop_class not in (CT_IMAGE, CT_IMAGE + ".1", CT_IMAGE + ".2"):
        return "its SOP class is not a CT image"
    image.SOPClassUID = sop_class
    if str(image.get("Modality") or "CT") != "CT":
        return "its modality is not CT"
    words = {*words_of(image)}
    if words & LOCALIZERS:
        return "a localizer by ImageType"
    if words & SCREENS:
        return "a dose or screen page by ImageType"
    if image.get("ImageOrientationPatient"):
        row, column = np.reshape([*map(float, image.ImageOrientationPatient)], (2, 3))
        normal = np.abs(np.cross(row, column))
        if normal[2] < normal[:2].max():
            return "not axial by orientation (a coronal or sagittal reformat, or a localizer)"
    values = OTHER_VALUES.get(unit_of(image))
    return f"its values are {values} by RescaleType, no HU" if values else ""


def no_plain_slice(image: Any) -> str:
    """Why an image is taken only where its series is named: a projection, or one derived of others."""
    words, what = words_of(image), ""
    if any(map(PROJECTION_TYPE.search, words)):
        what = "a projection or curved reformat by ImageType (MIP, MinIP and the like)"
    elif PROJECTION_NAME.search(str(image.get("SeriesDescription") or "").upper()):
        what = "a projection or curved reformat by its description (MIP, MinIP and the like)"
    elif words[:1] == ["DERIVED"]:
        what = "derived by ImageType (a reformat, or a copy that an archive compressed)"
    elif unit_of(image) == "HU_MOD":
        what = "modified HU by RescaleType (a virtual image, as spectral CT makes them)"
    return what and f"{what}, series {image.get('SeriesNumber')}; if it is needed, name it, FOLDER@NUMBER"
