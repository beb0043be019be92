"""The acquisitions of one series: stacks of slices that lie over each other, or side by side with a gap.

Scanners and archives store several contrast phases under one SeriesInstanceUID. Slices that belong to one volume are
never closer together than their own spacing, so a tag is followed from value to value, and a new acquisition begins
where a slice would come too close to those that the present one has. One acquisition of which AcquisitionNumber or the
time changes from slice to slice, or from table position to table position, therefore stays whole, and so do scans that
continue each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.structures.arrays import Array, FloatArray

from .file_header import SliceHeader
from .slice_grid import SAME_POSITION_MM, project_positions

MIN_SLICES = 3  # of an acquisition; fewer are strays
TOO_NEAR = 0.75  # of the spacing
OVERLAP = 0.5  # of the shorter stack, where a tag that changes with every slice tells two apart
WIDE_GAP = 3.5  # times the spacing: scans so far apart are not one volume
MAX_INTERLEAVED = 6
WAVER = 0.1  # of the step from a slice of one of interleaved stacks to its next
STEADY = 0.8  # share of the steps that are within a tenth of the usual one
Stack = List[int]  # indices of slices


@dataclass(frozen=True)
class Acquisitions:
    """stacks: (number, slices) of each, one stack with the number 0 where there is nothing to tell apart.

    strays: slices of acquisitions of one or two images or places. told_by: the tag that told them apart,
    "positions" or "" for none.
    """

    stacks: Tuple[Tuple[int, Tuple[SliceHeader, ...]], ...]
    strays: Tuple[SliceHeader, ...] = ()
    told_by: str = ""


# (what it is called, the value of a slice)
_KEYS: Tuple[Tuple[str, Callable[[SliceHeader], Any]], ...] = (
    ("TemporalPositionIdentifier", lambda one: one.timing.temporal_position),
    ("AcquisitionNumber", lambda one: one.timing.acquisition),
    ("acquisition time", lambda one: one.timing.acquisition_time),
    ("content time", lambda one: one.timing.content_time),
    ("multi-frame file", lambda one: one.sop_instance_uid if one.frames > 1 else None),
    ("thickness, kernel or voltage", lambda one: one.timing.settings),
    ("AcquisitionNumber, thickness, kernel or voltage", lambda one: (one.timing.acquisition or 0, one.timing.settings)),
    ("SeriesNumber, SeriesDescription or contrast agent", lambda one: one.series),
    ("InstanceNumber", lambda one: one.timing.instance),
    ("frame number", lambda one: one.frame),
    ("folder", lambda one: str(one.path.parent)),
)
_NUMBERS = _KEYS[0][0], _KEYS[1][0]
_TIMES = _KEYS[2][0], _KEYS[3][0]
_NAMES = _KEYS[4][0], _KEYS[5][0], _KEYS[-1][0]  # their order means nothing


def find_acquisitions(slices: Sequence[SliceHeader]) -> Acquisitions:
    """The acquisitions among slices of one size, orientation and pixel spacing.

    An acquisition that has an AcquisitionNumber of its own is called by it, others are counted from 1 in the order of
    the tag, by position where no tag tells them apart.
    """
    whole = Acquisitions(((0, tuple(slices)),))
    if len(slices) < 2 * MIN_SLICES:
        return whole
    z = project_positions(slices)[1]
    for name, key in _KEYS:
        values = [key(one) for one in slices]
        if len(set(values)) < 2:
            continue
        if None in values:  # told by being absent
            values = [("" if name in _NAMES else -1) if one is None else one for one in values]
        still = {i for group in _by_value(values) if name in _NUMBERS and _stands_still(z[group]) for i in group}
        if 0 < len(still) < len(slices):  # bolus tracking
            found = find_acquisitions([one for i, one in enumerate(slices) if i not in still])
            strays = (*found.strays, *(slices[i] for i in sorted(still)))
            return replace(found, strays=strays, told_by=found.told_by or name)
        tries = [_by_value(values)] + ([_by_burst(np.array(values))] if name in _TIMES else [])
        for groups in tries:
            stacks = _stacks(z, slices, groups, name)
            if stacks:
                return _numbered(slices, z, stacks, values, name)
    stacks = _interleaved(z, slices)
    return _numbered(slices, z, stacks, [], "positions") if stacks else whole


def completes(plain: Sequence[SliceHeader], others: Sequence[SliceHeader]) -> bool:
    """Whether the other slices make one even stack with the plain ones (to 5 %), between them or in line with them.

    Slices between all of the plain ones are those of another stack, unless the images were counted along both.
    """
    if len(plain) < 2:
        return False
    slices = sorted([*plain, *others], key=lambda one: float(project_positions([plain[0], one])[1][1]))
    own, both = (np.diff(np.sort(project_positions(some)[1])) for some in (plain, slices))
    hole = own.max() > 1.05 * own.min() or len(others) >= MIN_SLICES
    steps = np.diff([np.nan if one.timing.instance is None else one.timing.instance for one in slices])
    counted = (steps > 0).all() or (steps < 0).all()
    apart = both.min() >= TOO_NEAR * own.min() or (counted and both.min() > SAME_POSITION_MM)
    return bool(hole and apart and np.ptp(both) < 0.05 * both.mean())


def _by_value(values: Sequence[Any]) -> List[Stack]:
    groups: Dict[Any, Stack] = {}
    for index, value in enumerate(values):
        groups.setdefault(value, []).append(index)
    return [groups[value] for value in sorted(groups)]


def _stands_still(z: FloatArray) -> bool:
    """Whether images were taken again and again at one or two places."""
    return len(np.unique(np.round(z, 2))) < min(MIN_SLICES, len(z))


def _by_burst(times: FloatArray) -> List[Stack]:
    """Slices in the order of their times, parted where nothing happened for a while."""
    order = np.argsort(times, kind="stable")
    pauses = np.diff(times[order])
    usual = float(np.median(pauses[pauses > 0]))
    return [list(map(int, part)) for part in np.split(order, np.flatnonzero(pauses > max(1.0, 5 * usual)) + 1)]


def _stacks(z: FloatArray, slices: Sequence[SliceHeader], groups: List[Stack], name: str) -> Optional[List[Stack]]:
    """The acquisitions by groups of slices in the order of a tag; None where the tag does not tell them apart."""
    if len(groups) < 2:
        return None
    step = _usual_step(z, groups)
    large = sum(len(group) for group in groups if len(group) >= MIN_SLICES) >= len(z) / 2
    for group in groups:
        if (np.diff(np.sort(z[group])) < SAME_POSITION_MM).any():
            return None
        if len(group) >= 2 * MIN_SLICES and _interleaved(z[group], [slices[index] for index in group]):
            return None
    stacks: List[Stack] = [[]]
    for group in groups:
        if stacks[-1] and _distance(z[stacks[-1]], z[group]) < TOO_NEAR * step:
            stacks.append([])
        stacks[-1] += group
    if len(stacks) == 1:
        return groups if large and name in _NUMBERS and _lie_apart(z, groups, step) else None
    whole = [stack for stack in stacks if len(stack) >= MIN_SLICES]
    if large and name in _NUMBERS:
        # One or two images of another number (bolus tracking) are strays; other tags do not say as much.
        return stacks if whole else None
    steady = len(whole) == len(stacks) and all(_steady(z[stack]) for stack in stacks)
    return stacks if steady and ((large and name in _TIMES) or _lie_over_each_other(z, stacks)) else None


def _usual_step(z: FloatArray, groups: List[Stack]) -> float:
    """The spacing that slices of one acquisition have, going through the groups in order."""
    inside = np.concatenate([np.diff(np.sort(z[group])) for group in groups])
    if len(inside) < len(z) / 2:
        path = np.concatenate([np.sort(z[group]) for group in groups])
        inside = np.abs(np.diff(path))
    inside = inside[inside >= SAME_POSITION_MM]
    return float(np.median(inside)) if len(inside) else 0.0


def _distance(some: FloatArray, others: FloatArray) -> float:
    return float(np.abs(some[:, None] - others[None]).min())


def _lie_over_each_other(z: FloatArray, stacks: List[Stack]) -> bool:
    """Whether each stack lies over another one for a good part of its length."""
    ends = np.array([[z[stack].min(), z[stack].max()] for stack in stacks])
    for number in range(len(stacks)):
        low, high = np.maximum(ends[:, 0], ends[number, 0]), np.minimum(ends[:, 1], ends[number, 1])
        shorter = np.minimum(ends[:, 1] - ends[:, 0], ends[number, 1] - ends[number, 0])
        if np.delete((high - low) / np.maximum(shorter, SAME_POSITION_MM), number).max() < OVERLAP:
            return False
    return True


def _steady(z: FloatArray) -> bool:
    steps = np.diff(np.sort(z))
    usual = np.median(steps)
    return bool((np.abs(steps - usual) <= 0.1 * usual).mean() >= STEADY)


def _lie_apart(z: FloatArray, groups: List[Stack], step: float) -> bool:
    """Whether each group is a scan of its own: apart from the next, or of another spacing.

    All must be so: a single wide gap among many groups is a table position that is missing.
    """
    if any(len(group) < MIN_SLICES for group in groups):
        return False
    ordered = sorted((np.sort(z[group]) for group in groups), key=lambda one: float(one[0]))
    usual = [float(np.median(np.diff(one))) for one in ordered]
    for below, above, first, second in zip(ordered, ordered[1:], usual, usual[1:]):
        gap = float(above[0] - below[-1])
        if gap < 0 or (gap <= WIDE_GAP * step and abs(first - second) <= 0.05 * step):
            return False
    return True


def _interleaved(z: FloatArray, slices: Sequence[SliceHeader]) -> Optional[List[Stack]]:
    """Stacks of one spacing that begin at different heights, by positions alone."""
    order = np.argsort(z, kind="stable")
    counted = [one.timing.instance for one in slices]
    classes = _residue_classes(z[order]) or _counted_anew(z[order], [counted[index] for index in order])
    if classes is None:
        return None
    # Positions of one stack that were rounded have a pattern, too. Rounding to whole millimetres explains more than
    # it should, so there the images must have been counted along the stack.
    decimals = next((n for n in range(4) if np.abs(z - np.round(z, n)).max() < 1e-4), 4)
    places = np.arange(len(z))
    off = np.ptp(z[order] - np.polyval(np.polyfit(places, z[order], 1), places)) / 2
    counted_twice = None not in counted and len(set(counted)) < len(counted)
    if not counted_twice and off <= 0.6 * 10.0**-decimals:
        numbers = np.diff(np.array([0 if one is None else one for one in counted])[order])
        if decimals or (numbers > 0).all() or (numbers < 0).all():
            return None
    return [list(map(int, order[places])) for places in classes]


def _counted_anew(z: FloatArray, counted: Sequence[Optional[int]]) -> Optional[List[Array]]:
    """Places of stacks that make an even one together, where each number of an image occurs once in each of them."""
    times = set(Counter(counted).values())
    count = min(times)
    if None in counted or len(times) > 1 or count < 2 or len(z) < MIN_SLICES * count:
        return None
    if (np.diff(z) < SAME_POSITION_MM).any() or not _steady(z):
        return None
    return [np.arange(start, len(z), count) for start in range(count)]


def _residue_classes(z: FloatArray) -> Optional[List[Array]]:
    """Places in rising positions (n,) of each of several interleaved even stacks; None where there are none."""
    steps = np.diff(z)
    if (steps < SAME_POSITION_MM).any() or np.abs(steps - steps.mean()).max() <= 0.02 * steps.mean():
        return None
    for count in range(2, MAX_INTERLEAVED + 1):
        if len(z) < MIN_SLICES * count:
            return None
        step = float(np.median(z[count:] - z[:-count]))
        offset = (z - z[len(z) // 2]) / step
        residue = offset - np.floor(offset)
        order = np.argsort(residue, kind="stable")
        borders = np.flatnonzero(np.diff(residue[order]) > 0.05) + 1
        classes = np.split(order, borders)
        if len(classes) > 1 and residue[order[0]] + 1 - residue[order[-1]] <= 0.05:
            classes = [np.concatenate([classes[-1], classes[0]]), *classes[1:-1]]
        classes = sorted(map(np.sort, classes), key=lambda one: int(one[0]))
        if len(classes) == count and all(len(one) >= MIN_SLICES for one in classes):
            # counted from the class's first slice: residues near 0 and near 1 are close
            centres = [residue[one[0]] + np.median((residue[one] - residue[one[0]] + 0.5) % 1 - 0.5) for one in classes]
            if _even(np.sort(np.array(centres) % 1)):
                return None  # one stack of which positions waver
            if all((np.abs(np.diff(z[one]) - step) <= 0.05 * step).all() for one in classes):
                return classes
    return None


def _even(residues: FloatArray) -> bool:
    """Whether stacks that begin at these shares of a step fill it evenly, as the slices of a single one do."""
    gaps = np.diff([*residues, residues[0] + 1])
    return bool(np.abs(gaps - 1 / len(gaps)).max() <= WAVER)


def _numbered(
    slices: Sequence[SliceHeader], z: FloatArray, stacks: List[Stack], values: Sequence[Any], name: str
) -> Acquisitions:
    whole = [stack for stack in stacks if len(stack) >= MIN_SLICES]
    strays = tuple(slices[index] for stack in stacks if len(stack) < MIN_SLICES for index in stack)
    if name in _NAMES:
        whole.sort(key=lambda stack: (float(z[stack].min()), min(slices[index].sop_instance_uid for index in stack)))
    numbers = list(range(1, len(whole) + 1))
    if name == "AcquisitionNumber":
        own = [{values[index] for index in stack} for stack in whole]
        if all(len(one) == 1 and min(one) > 0 for one in own):
            numbers = [min(one) for one in own]
    if len(whole) == 1:
        numbers = [0]
    found = ((number, tuple(slices[index] for index in sorted(stack))) for number, stack in zip(numbers, whole))
    return Acquisitions(tuple(found), strays, name)
