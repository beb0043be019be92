"""What the headers of a series say of when and how it was taken, beside what an import reads of them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import pydicom

from gluon_liver.readers.dicom.bounded import BoundedReader
from gluon_liver.readers.dicom.pixels import PARSE_ERRORS
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.readers.dicom.timing import DAY

# keyword of the date, of the time, and what the clock is called; the first that a header has counts
CLOCKS = (
    ("AcquisitionDate", "AcquisitionTime", ""),
    ("ContentDate", "ContentTime", "content time"),
    ("SeriesDate", "SeriesTime", "series time"),
    ("StudyDate", "StudyTime", "study time"),
)
CONTRAST = (
    ("ContrastBolusAgent", "{}"),
    ("ContrastBolusRoute", "{}"),
    ("ContrastBolusVolume", "{} ml"),
    ("ContrastBolusTotalDose", "{} ml in all"),
    ("ContrastFlowRate", "{} ml/s"),
    ("ContrastBolusStartTime", "from {}"),
    ("ContrastBolusStopTime", "to {}"),
)
SEQUENCES = ("ContrastBolusAgentSequence", "ContrastBolusAdministrationRouteSequence")
KEYWORDS = [
    *("SeriesDescription", "StudyDescription", "ConvolutionKernel", "AcquisitionDateTime"),
    *(name for clock in CLOCKS for name in clock[:2]),
    *(name for name, _ in CONTRAST),
    *SEQUENCES,
]
MAX_DELAY = timedelta(hours=1)


class Moment(NamedTuple):
    """When a series was taken. clock: "" for the acquisition's own time, else the one that stands in for it."""

    when: datetime
    clock: str


class SeriesHeader(NamedTuple):
    """Texts of a series' headers, "" where they say nothing. after_injection: seconds by the contrast's start time."""

    description: str = ""
    study_description: str = ""
    kernel: str = ""
    contrast: str = ""
    date: str = ""
    moment: Optional[Moment] = None
    after_injection: Optional[float] = None


def read_series_header(paths: Sequence[Path], acquired_at: Optional[float] = None) -> SeriesHeader:
    """From some files of a series, first to last along the body; a file that cannot be read says nothing.

    acquired_at: the earliest of :attr:`Timing.acquisition_time`, which frames of one file may have of their own.
    """
    values = [value for value in map(_read, dict.fromkeys(paths)) if value]
    if not values:
        return SeriesHeader()
    dates = [date for date in (_date(value.get(key, "")) for value in values for key, _, _ in CLOCKS[::-1]) if date]
    acquired = _acquired(acquired_at, dates) or min(filter(None, map(_moment, values)), default=None)
    middle = values[len(values) // 2]
    return SeriesHeader(
        description=middle.get("SeriesDescription", ""),
        study_description=middle.get("StudyDescription", ""),
        kernel=middle.get("ConvolutionKernel", ""),
        contrast=_contrast(middle),
        date=dates[0].strftime("%Y-%m-%d") if dates else "",
        moment=acquired,
        after_injection=_after_injection(middle, acquired),
    )


def _read(path: Path) -> Dict[str, str]:
    """keyword -> its text, of those that have one."""
    values: Dict[str, str] = {}
    try:
        with quiet_pydicom(), BoundedReader(path) as stream:
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=KEYWORDS)
            for keyword in KEYWORDS:
                values[keyword] = _text(dataset, keyword)
    except (OSError,) + PARSE_ERRORS:
        pass
    return {keyword: value for keyword, value in values.items() if value}


def _text(dataset: Any, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
        if keyword in SEQUENCES:
            return ", ".join(str(item.get("CodeMeaning", "")) for item in value or ())
        if value is None or value == "":
            return ""
        several = not isinstance(value, (str, bytes)) and hasattr(value, "__len__")
        return "\\".join(map(str, value)) if several else str(value).strip()
    except PARSE_ERRORS:
        return ""


def _contrast(values: Dict[str, str]) -> str:
    parts = [text.format(values[keyword]) for keyword, text in CONTRAST if keyword in values]
    return ", ".join([*parts, *(values[keyword] for keyword in SEQUENCES if keyword in values)])


def _moment(values: Dict[str, str]) -> Optional[Moment]:
    whole = values.get("AcquisitionDateTime", "")
    moment = _parse(whole[:8], whole[8:])
    if moment:
        return Moment(moment, "")
    dates = [values[date] for date, _, _ in CLOCKS if date in values]
    for date, time, clock in CLOCKS:
        moment = _parse(values.get(date) or (dates or [""])[0], values.get(time, ""))
        if moment:
            return Moment(moment, clock)
    return None


def _acquired(seconds: Optional[float], dates: Sequence[datetime]) -> Optional[Moment]:
    """The moment of a timing, which may lack its date."""
    if seconds is None or (seconds < DAY and not dates):
        return None
    day = datetime.fromordinal(int(seconds // DAY)) if seconds >= DAY else dates[-1]
    return Moment(day + timedelta(seconds=seconds % DAY), "")


def _after_injection(values: Dict[str, str], acquired: Optional[Moment]) -> Optional[float]:
    if acquired is None or acquired.clock:
        return None
    start = _parse(acquired.when.strftime("%Y%m%d"), values.get("ContrastBolusStartTime", ""))
    delay = acquired.when - start if start else None
    return delay.total_seconds() if delay is not None and timedelta(0) <= delay <= MAX_DELAY else None


def _date(text: str) -> Optional[datetime]:
    return _parse(text, "000000")


def _parse(date: str, time: str) -> Optional[datetime]:
    """A DICOM date (YYYYMMDD, or with dots) and time (HHMMSS.FFFFFF, or with colons), None for anything else."""
    clock = re.match(r"(\d\d):?(\d\d):?(\d\d)?(?:\.(\d{1,6}))?", time)
    digits = date.replace(".", "")
    if not clock or not re.fullmatch(r"\d{8}", digits):
        return None
    try:
        hour, minute, second = (int(part or 0) for part in clock.groups()[:3])
        day = datetime(int(digits[:4]), int(digits[4:6]), int(digits[6:]), hour, minute, min(second, 59))
    except ValueError:
        return None
    return day + timedelta(microseconds=int((clock.group(4) or "0").ljust(6, "0")))


def spread(values: Sequence[Any], count: int = 3) -> List[Any]:
    """``count`` of the values, first and last among them, evenly apart."""
    if len(values) <= count:
        return list(values)
    return [values[round(place * (len(values) - 1) / (count - 1))] for place in range(count)]
