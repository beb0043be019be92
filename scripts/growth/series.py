"""The series: what grows, what is made for a point, and the work that is timed."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, NamedTuple, Tuple

from . import data, networks, scoring

Work = Callable[[], object]


class Series(NamedTuple):
    """One thing that grows.

    make: (folder, value) -> writes the input. prepare: (folder, value) -> imports and reads what is not timed, and
    returns the work. arithmetic: the slope of time that the work asks for. note: what the page says beside it.
    """

    title: str
    unit: str
    values: Tuple[int, ...]
    make: Callable[[Path, int], None]
    prepare: Callable[[Path, int], Work]
    arithmetic: float = 1
    note: str = ""


def nothing(folder: Path, value: int) -> None:
    """For work that needs no file."""


PATIENTS = (10, 100, 1000, 10000)
FLAT = "the rest of the network does not grow with it"
SERIES: Dict[str, Series] = {
    "open": Series("opening data", "patients", PATIENTS, data.write_data, data.opening),
    "split": Series("splitting, and what a split holds", "patients", PATIENTS, data.write_data, data.splitting),
    "check": Series("checking data (doctor --data)", "patients", PATIENTS, data.write_data, data.checking),
    "labels": Series("reading a label file", "images", PATIENTS, data.write_label_file, data.reading_labels),
    "score": Series("all metrics with 1,000 replicates", "patients", (5, 10, 20, 40), nothing, scoring.scoring),
    "study": Series("joining boxes across slices", "slices", (50, 150, 500, 1500), nothing, scoring.joining),
    "scan": Series("finding the series of a folder", "files", (60, 300, 1500), data.write_dicom, data.scanning),
    "log": Series("reading log.jsonl", "MB", (1, 3, 10, 30, 96), data.write_log, data.reading_log),
    "side": Series("inference", "pixels a side", (128, 192, 256, 384, 512), nothing, networks.by_side, 2),
    "slices": Series("inference", "slices of a stack", (3, 5, 9, 15), nothing, networks.by_slices, 1, FLAT),
    "phases": Series("inference", "phases related", (2, 3, 4), nothing, networks.by_phases, 1, FLAT),
    "proposals": Series("inference", "proposals", (50, 100, 200, 400, 800), nothing, networks.by_proposals, 1, FLAT),
}
