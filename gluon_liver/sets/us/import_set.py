"""A set of ultrasound pictures or recordings -> prepared data, by its layout; and what that would take, beforehand."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Dict, List, Union

from gluon_liver.errors import InputError
from gluon_liver.prepare.report import not_taken_lines
from gluon_liver.prepare.us import FRACTIONS, USOptions, USSource, import_recordings, match_labels
from gluon_liver.prepare.us_report import USImportLog

from .layout import Given, USLayout
from .registry import US_LAYOUTS

NOTHING, USUAL = Given(), USOptions()
SALT = "ids are made with the salt {name!r}, which is public: of every copy of this set they are the same"

UNSAID = (
    "neither --region nor --whole-frame is given: the import takes no recording that does not tell itself where the "
    "picture lies in its frames (DICOM may, pictures and videos do not)"
)


def find_set(name: str, source: Union[str, Path], given: Given = NOTHING) -> USSource:
    """What is below ``source`` by the layout of a name. Raises :class:`InputError` where that is nothing."""
    layout = _layout(name)
    for one in fields(Given):
        general = one.name in ("label_options", "region", "whole_frame")
        if not general and getattr(given, one.name) != one.default and one.name not in layout.takes:
            option = "--" + one.name.replace("_", "-")
            raise InputError(f"{option} is not for --layout {name}: leave it out")
    for side in (given.box_mm, given.box_pixels):
        if side is not None and not 0 < side < 10_000:
            raise InputError(f"the side of a box is {side:g}; it must be above 0")
    found = layout.find(Path(source), given)
    return replace(found, notes=[f"layout {layout.name}: {layout.title}; {_TESTED[layout.tested]}", *found.notes])


_TESTED = {
    "layout": "it was tested on files in this form that tests wrote, and on no real ones",
    "real files": "it was tested on real files",
}


def import_us_set(
    name: str,
    source: Union[str, Path],
    out: Union[str, Path],
    given: Given = NOTHING,
    options: USOptions = USUAL,
) -> Dict[str, Any]:
    """Import a set; returns the report. Raises as :func:`find_set` and :func:`import_recordings`."""
    options.check()
    found = find_set(name, source, given)
    _check_splits(found, options)
    if _layout(name).public and options.salt is None:
        found = replace(found, notes=[*found.notes, SALT.format(name=name)])
        options = replace(options, salt=name, public_salt=True)
    return import_recordings(found, out, options)


def plan_lines(name: str, source: Union[str, Path], given: Given, options: USOptions) -> List[str]:
    """What :func:`import_us_set` would take, for the screen; no picture is decoded and nothing written."""
    options.check()
    found = find_set(name, source, given)
    _check_splits(found, options)
    log = USImportLog(classes=found.labels.classes)
    log.notes = list(found.notes)
    if not (_layout(name).public or given.region or given.whole_frame):
        log.notes.append(UNSAID)
    matched = match_labels(found, log)
    images = [image for some in matched.values() for image in some]
    by_class = Counter(found.labels.classes[label] for image in images for label in image.labels)
    boxes = ", ".join(f"{by_class[one]} {one}" for one in found.labels.classes)
    background = sum(not len(image.labels) for image in images)
    frames = f"{len(images)} frame(s) with {sum(by_class.values())} box(es) ({boxes})"
    lines = [
        f"would take: {len(matched)} recording(s) of {len(found.recordings)}",
        f"labels: {frames}, {background} of them background",
    ]
    if found.splits:
        parts = Counter(found.splits[video] for video in matched)
        lines.append("the set's own splits: " + ", ".join(f"{count} {part}" for part, count in parts.items()))
    lines += not_taken_lines({"labels": {"not_taken": log.labels_not_taken.to_json()}, "quarantined": []})
    return lines + [f"note: {note}" for note in log.notes]


def _layout(name: str) -> USLayout:
    if name not in US_LAYOUTS:
        raise InputError(
            f"--layout {name}: there is none of that name for ultrasound; known are {', '.join(US_LAYOUTS)}"
        )
    return US_LAYOUTS[name]()


def _check_splits(found: USSource, options: USOptions) -> None:
    if found.splits and (tuple(options.fractions) != FRACTIONS or options.test_images is not None):
        raise InputError("the set has splits of its own, which are kept: leave --split-fractions and --test-images out")
