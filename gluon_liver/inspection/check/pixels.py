"""HU that no scanner gives: a wrong offset, a window instead of HU, no air, and boxes that lie on air."""

from __future__ import annotations

from collections import defaultdict
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.study import Study
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.inspection.summary.intensities import pixels_of
from gluon_liver.structures.arrays import Array

from .findings import PROBLEM, WARNING, Finding

MOST_SLICES, STRIDE = 12, 3  # of a study, and every so many pixels of rows and columns
AIR_HU = -500
CLIPPED = 0.02  # of the pixels at each end of a range that is no longer than a window
LONGEST_WINDOW = 1000
BOX_ON_AIR = -300
LEAST_TISSUE = 0.01  # of the pixels, above that
BLACK = 5  # grey value of a frame

TEXTS: Dict[str, Tuple[str, str, str]] = {
    "empty": (PROBLEM, "has one value alone", "the volume is empty: look at the files that it came from"),
    "offset 1024": (
        PROBLEM,
        "has values of 0 and more, its tissue about 1,024 too high",
        "RescaleIntercept (-1024) was not applied: convert it to HU and import again",
    ),
    "offset 32768": (
        PROBLEM,
        "has values about 32,768 too high",
        "unsigned 16-bit pictures hold HU + 32768: subtract it before the import",
    ),
    "too low": (
        PROBLEM,
        "has next to nothing above -300 HU",
        "RescaleIntercept (-1024) was applied twice: convert it to HU and import again",
    ),
    "8 bits": (
        PROBLEM,
        "has values from 0 to 255 alone",
        "these are pictures of a window, no HU: look for the original volumes",
    ),
    "window": (
        PROBLEM,
        "was clipped to a window",
        "values beyond the window are lost: look for the original volumes, and train with this window only",
    ),
    "positive": (PROBLEM, "has no value below 0", "air and fat are below 0 HU: look how it was converted"),
    "no air": (
        WARNING,
        f"has nothing below {AIR_HU} HU",
        "no air around and in the body: a window, an organ that was cut out, or values that are no HU",
    ),
}


def sampled(study: Study, phase: int) -> Array:
    """Every few pixels of some slices of a phase that are present, as one row."""
    there = np.flatnonzero(study.present[phase])
    places = there[np.linspace(0, len(there) - 1, min(MOST_SLICES, len(there))).astype(int)] if len(there) else there
    rows = [np.asarray(study.hu[phase, place, ::STRIDE, ::STRIDE]).ravel() for place in places]
    return np.concatenate(rows) if rows else np.zeros(0, np.int16)


def fault_of(values: Array) -> Optional[str]:
    """The name in :data:`TEXTS` of what is wrong with HU of a phase, None where nothing is."""
    if not len(values):
        return None
    low, high = int(values.min()), int(values.max())
    if low == high:
        return "empty"
    middle = float(np.median(values[values > low])) if (values > low).any() else float(low)
    if (values > BOX_ON_AIR).mean() < LEAST_TISSUE:
        return "too low"
    if low >= 0 and high <= 255:
        return "8 bits"
    if middle > 20000:
        return "offset 32768"
    if low >= 0:
        # air about 0 to 60, tissue about 1,024
        return "offset 1024" if high > 700 and ((values > 850) & (values < 1350)).mean() > 0.02 else "positive"
    if high - low <= LONGEST_WINDOW and min((values == low).mean(), (values == high).mean()) >= CLIPPED:
        return "window"
    return "no air" if low > AIR_HU else None


def check_hu(study: Study, found: Dict[str, List[str]]) -> None:
    """Add the phases of a study with implausible HU to ``found``, by the names of :data:`TEXTS`."""
    for phase, name in enumerate(study.phases):
        fault = fault_of(sampled(study, phase))
        if fault:
            found[fault].append(f"{study.case} {name}")


def findings_of_hu(found: Dict[str, List[str]]) -> Iterator[Finding]:
    """One finding for each kind of fault."""
    for fault, places in found.items():
        severity, what, advice = TEXTS[fault]
        yield Finding(severity, "HU", places, f"{_phases(places)} {what}", advice)


def _phases(places: List[str]) -> str:
    return "one phase of a study" if len(places) == 1 else f"each of {len(places)} phases of studies"


def boxes_on_air(dataset: CTDataset, study: Study) -> List[str]:
    """Labelled slices with a box whose inside is mostly air on the reference phase."""
    places = []
    for place, label in dataset.labels_by_slice(study.case).items():
        for box in label.boxes:
            rows, columns = pixels_of(box, study.hu.shape[2:])
            if float(np.median(study.hu[study.reference_index, place, rows, columns])) < BOX_ON_AIR:
                places.append(label.title)
    return places


def check_frames(dataset: USDataset) -> Iterator[Finding]:
    """Frames without a picture, and boxes where it is black."""
    found: Dict[str, List[str]] = defaultdict(list)
    for info in dataset.cases:
        frames = dataset.frames(info.case)
        for label in (one for one in dataset.labels if one.case == info.case):
            frame = frames[label.row]
            if int(frame.max()) - int(frame.min()) <= BLACK:
                found["frame"].append(label.title)
                continue
            for box in label.boxes:
                rows, columns = pixels_of(box, frame.shape[:2])
                if frame[rows, columns].max() <= BLACK:
                    found["box"].append(label.title)
    if found["frame"]:
        what = f"{len(found['frame'])} labelled frames show nothing"
        yield Finding(WARNING, "frames", found["frame"], what, "look at the recording, and leave them out")
    if found["box"]:
        what = f"{len(found['box'])} boxes lie where the frame is black"
        yield Finding(WARNING, "frames", found["box"], what, "are the boxes those of another crop or recording?")
