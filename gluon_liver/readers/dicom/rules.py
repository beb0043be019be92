"""Which images of a folder are axial CT slices, and why the others are left out.

The rules read the header only: SOP class, ImageType and orientation. A reason never quotes a value that could
identify a patient: SOP classes and ImageType come from DICOM's own vocabulary.
"""

from __future__ import annotations

import re
from typing import Optional, Sequence, Tuple

import numpy as np

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CLASSES = (CT_IMAGE + ".1", CT_IMAGE + ".2")  # Enhanced CT Image, Legacy Converted Enhanced CT Image
CT_CLASSES = (CT_IMAGE,) + ENHANCED_CLASSES

# (SOP class UID or a prefix that ends with a dot, kind, what it is)
NOT_CT_CLASSES = (
    ("1.2.840.10008.1.3.10", "media-directory", "a media directory (DICOMDIR)"),
    ("1.2.840.10008.5.1.4.1.1.7", "secondary-capture", "a secondary capture"),
    ("1.2.840.10008.5.1.4.1.1.7.", "secondary-capture", "a secondary capture"),
    ("1.2.840.10008.5.1.4.1.1.88.", "dose-report", "a structured report (a dose report is one)"),
    ("1.2.840.10008.5.1.4.1.1.481.2", "dose", "a radiotherapy dose"),
    ("1.2.840.10008.5.1.4.1.1.11.", "presentation-state", "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.66.", "segmentation", "a segmentation or registration object"),
)
LOCALIZER_WORDS = ("LOCALIZER", "SCOUT", "TOPOGRAM")
SCREEN_WORDS = ("DOSE", "DOSE_INFO", "SCREEN SAVE", "REPORT")
# RescaleType (DICOM PS3.3 C.11.1.1.2) of CT images whose values are no Hounsfield units, and what they are
OTHER_VALUES = {
    "OD": "optical densities",
    "MGML": "mg/ml of a material",
    "Z_EFF": "effective atomic numbers",
    "ED": "electron densities",
    "EDW": "electron densities",
    "PCT": "percentages",
}
MODIFIED_HU = "HU_MOD"

# Words of ImageType, and of descriptions, of images that are not the thin or thick slices that a lesion is read on.
PROJECTION_WORDS = (
    "MIP",
    "MAXIP",
    "MINIP",
    "MPVR",
    "VRT",
    "SSD",
    "PROJECTION",
    "CPR",
    "CURVED",
    "RAYSUM",
    "MAXIMUM",
    "MINIMUM",
)
_PROJECTION_TYPE = re.compile(
    rf"(?<![A-Z])({'|'.join(PROJECTION_WORDS)}|MAX[_ ]IP|MIN[_ ]IP|PROJECTION[_ ]IMAGE|VOLUME[_ ]REND\w*"
    r"|SURFACE[_ ]REND\w*)(?![A-Z])"
)
_PROJECTION_DESCRIPTION = re.compile(
    r"(?<![A-Z])(MIPS?|MAX[_ -]?IP|MIN[_ -]?IPS?|CPR|VRT|CURVED|VOLUME[_ -]REND\w*)(?![A-Z])"
)

Drop = Tuple[str, str]
Kind = Tuple[str, str]  # "", "derived", "projection" or "labels", and why
PLAIN: Kind = ("", "")


def drop_by_class(sop_class: str, modality: str) -> Optional[Drop]:
    """(kind, reason) when an object of this SOP class or modality is no CT image, else None."""
    for uid, kind, what in NOT_CT_CLASSES:
        if sop_class == uid or (uid.endswith(".") and sop_class.startswith(uid)):
            return kind, f"{what}, not a CT image"
    if sop_class not in CT_CLASSES:
        return "not-ct", "its SOP class is not a CT image"
    if modality not in ("", "CT"):
        return "not-ct", "its modality is not CT"
    return None


def drop_by_image_type(image_type: Sequence[str]) -> Optional[Drop]:
    """(kind, reason) for localizers and dose screens by ImageType or FrameType, else None."""
    words = [str(word).strip().upper() for word in image_type]
    if any(word in LOCALIZER_WORDS for word in words):
        return "localizer", "a localizer by ImageType"
    if any(word in SCREEN_WORDS for word in words):
        return "dose-report", "a dose or screen page by ImageType"
    return None


def drop_by_rescale_type(rescale_type: str) -> Optional[Drop]:
    """(kind, reason) for values of another quantity than HU, as spectral CT makes maps of, else None."""
    what = OTHER_VALUES.get(rescale_type.upper())
    return ("not-hu", f"its values are {what} by RescaleType, no HU") if what else None


def kind_of(image_type: Sequence[str], description: str, rescale_type: str = "") -> Kind:
    """Whether an image is taken only where someone names its series: a projection or a derived image, and why.

    Scanners mark reformatted axial series DERIVED, and archives the copies that they compress, so that DERIVED alone
    does not say that an image is of no use.
    """
    words = [str(word).strip().upper() for word in image_type]
    if any(_PROJECTION_TYPE.search(word) for word in words):
        return "projection", "a projection or curved reformat by ImageType (MIP, MinIP and the like)"
    if _PROJECTION_DESCRIPTION.search(description.upper()):
        return "projection", "a projection or curved reformat by its description (MIP, MinIP and the like)"
    if words and words[0] == "DERIVED":
        return "derived", "derived by ImageType (a reformat, or a copy that an archive compressed)"
    if rescale_type.upper() == MODIFIED_HU:
        return "derived", "modified HU by RescaleType (a virtual image, as spectral CT makes them)"
    return PLAIN


def drop_by_orientation(orientation: Sequence[float]) -> Optional[Drop]:
    """(kind, reason) unless the slice normal points mostly along the body; a tilted gantry stays axial.

    orientation: the six cosines of ImageOrientationPatient, first the row direction, then the column direction.
    """
    normal = np.abs(np.cross(orientation[:3], orientation[3:]))
    if normal[2] < normal[:2].max():
        return "non-axial", "not axial by orientation (a coronal or sagittal reformat, or a localizer)"
    return None
