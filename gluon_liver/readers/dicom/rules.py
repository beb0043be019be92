"""Which images of a folder are axial CT slices, and why the others are left out.

The rules read the header only: SOP class, ImageType and orientation. A reason never quotes a value that could
identify a patient: SOP classes and ImageType come from DICOM's own vocabulary.
"""

from __future__ import annotations

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

Drop = Tuple[str, str]


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
    """(kind, reason) for localizers, dose screens and derived images by ImageType or FrameType, else None."""
    words = [str(word).strip().upper() for word in image_type]
    if any(word in LOCALIZER_WORDS for word in words):
        return "localizer", "a localizer by ImageType"
    if any(word in SCREEN_WORDS for word in words):
        return "dose-report", "a dose or screen page by ImageType"
    if words and words[0] == "DERIVED":
        return "derived", "a derived image (ImageType starts with DERIVED)"
    return None


def drop_by_orientation(orientation: Sequence[float]) -> Optional[Drop]:
    """(kind, reason) unless the slice normal points mostly along the body; a tilted gantry stays axial.

    orientation: the six cosines of ImageOrientationPatient, first the row direction, then the column direction.
    """
    normal = np.abs(np.cross(orientation[:3], orientation[3:]))
    if normal[2] < normal[:2].max():
        return "non-axial", "not axial by orientation (a coronal or sagittal reformat, or a localizer)"
    return None
