"""When a slice was taken, and its place among the others of its series, as far as the header says."""

from __future__ import annotations

import datetime
import re
from typing import Any, Optional, Tuple

from .file_header import Timing
from .pixels import PARSE_ERRORS
from .tags import text

DAY = 86400.0


def slice_timing(dataset: Any, content: Any = None) -> Timing:
    """The timing of one slice; ``content``: the item of FrameContentSequence of an Enhanced CT frame.

    A value that cannot be read counts as absent: nothing but the order of acquisitions hangs on it.
    """
    if content is not None:
        moment = seconds(text_of(content, "FrameAcquisitionDateTime"))
        if moment is None:
            moment = seconds(text_of(content, "FrameReferenceDateTime"))
        return Timing(
            whole_number(content, "FrameAcquisitionNumber"),
            whole_number(content, "TemporalPositionIndex"),
            acquisition_time=moment,
        )
    moment = seconds(text_of(dataset, "AcquisitionDateTime"))
    if moment is None:
        moment = seconds(text_of(dataset, "AcquisitionDate") + text_of(dataset, "AcquisitionTime"))
    if moment is None:
        moment = seconds(text_of(dataset, "AcquisitionTime"))
    made = seconds(text_of(dataset, "ContentDate") + text_of(dataset, "ContentTime"))
    return Timing(
        whole_number(dataset, "AcquisitionNumber"),
        whole_number(dataset, "TemporalPositionIdentifier"),
        moment,
        made,
        whole_number(dataset, "InstanceNumber") if text_of(dataset, "NumberOfFrames") in ("", "1") else None,
        tuple(text_of(dataset, keyword) for keyword in ("SliceThickness", "ConvolutionKernel", "KVP")),
    )


def seconds(value: str) -> Optional[float]:
    """Seconds of a DICOM date with time (YYYYMMDDHHMMSS.ffffff) or of a time alone; None where it is neither."""
    match = re.match(r"([\d:]+)(\.\d+)?", value)
    if not match:
        return None
    whole, days = match.group(1).replace(":", ""), 0
    if len(whole) >= 10:
        try:
            days = datetime.date(int(whole[:4]), int(whole[4:6]), int(whole[6:8])).toordinal()
        except ValueError:
            return None
        whole = whole[8:]
    elif len(whole) > 6:  # a date without a time
        return None
    clock = whole.ljust(6, "0")
    part = float(match.group(2) or 0)
    return days * DAY + int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:6]) + part


def text_of(dataset: Any, keyword: str) -> str:
    """The value as text, "" where it is absent or cannot be read."""
    try:
        return text(dataset, keyword)
    except PARSE_ERRORS:
        return ""


def words(dataset: Any, keyword: str) -> Tuple[str, ...]:
    """The values of a tag of several words, none where it is absent."""
    value = dataset.get(keyword) or ()
    return (value,) if isinstance(value, str) else tuple(str(word) for word in value)


def whole_number(dataset: Any, keyword: str) -> Optional[int]:
    """The value as a whole number, None where it is absent or none."""
    try:
        return int(text_of(dataset, keyword))
    except ValueError:
        return None
