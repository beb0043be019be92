"""What the DICOM objects of results have in common."""

from __future__ import annotations

import uuid
from typing import Any

from gluon_liver import __version__

from .found import Found
from .source_header import UTF_8

MANUFACTURER, MODEL = "gluon_liver developers", "gluon_liver"
# The program as a device has one of its own, a version another.
DEVICE_UID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'{MODEL} {__version__}').int}"
SR_SERIES, SEG_SERIES = 9001, 9002  # SeriesNumber: behind those of the scanner
DESCRIPTION = "Liver lesions, computer-made, research use"
LONGEST_LABEL = 64  # of value representation LO
WARNING = "Computer-made, for research use only, not for diagnosis. Boxes of a detection network, reviewed by nobody."


def tracking_id(found: Found, number: int) -> str:
    """The name of lesion ``number``, from 1, in the objects: short, and without a backslash, which parts labels."""
    name, room = found.lesions[number - 1].class_name.replace("\\", "/"), LONGEST_LABEL - len(f"Lesion {number} ()")
    return f"Lesion {number} ({name if len(name) <= room else name[: room - 3] + '...'})"


def network_name(found: Found) -> str:
    """The name of the algorithm."""
    return f"{MODEL} {found.network}" if found.network else MODEL


def describe(dataset: Any) -> None:
    """Say in an object that it is for research and where it comes from."""
    dataset.SpecificCharacterSet = UTF_8  # what the headers of the images were turned to
    dataset.SeriesDescription = DESCRIPTION
    dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, MODEL
    dataset.SoftwareVersions = __version__
