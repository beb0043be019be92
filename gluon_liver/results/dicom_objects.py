"""What the DICOM objects of results have in common."""

from __future__ import annotations

import uuid
from typing import Any

from gluon_liver import __version__

from .found import Found
from .source_series import UTF_8

MANUFACTURER, MODEL = "gluon_liver developers", "gluon_liver"
# The program as a device has one of its own, a version another.
DEVICE_UID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'{MODEL} {__version__}').int}"
SR_SERIES, SEG_SERIES = 9001, 9002  # SeriesNumber: behind those of the scanner
DESCRIPTION = "Liver lesions, computer-made, research use"
WARNING = "Computer-made, for research use only, not for diagnosis. Boxes of a detection network, reviewed by nobody."


def tracking_id(found: Found, number: int) -> str:
    """The name of lesion ``number``, from 1, in the objects."""
    return f"Lesion {number} ({found.lesions[number - 1].class_name})"


def network_name(found: Found) -> str:
    """The name of the algorithm."""
    return f"{MODEL} {found.network}" if found.network else MODEL


def describe(dataset: Any) -> None:
    """Say in an object that it is for research and where it comes from."""
    dataset.SpecificCharacterSet = UTF_8  # what the headers of the images were turned to
    dataset.SeriesDescription = DESCRIPTION
    dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, MODEL
    dataset.SoftwareVersions = __version__
