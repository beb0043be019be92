"""Labels of a label file on the slices of imported studies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, List, Mapping, Optional, Tuple

import numpy as np

from gluon_liver.data.coco import NO_LESIONS, CocoImage
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.labels.masks import REPEATED, MaskBoxes
from gluon_liver.readers.dicom.volume import SeriesStack
from gluon_liver.structures.volume_stack import VolumeStack

from .study_log import StudyLog

# A box keeps its label after its slice was moved while this much of it is still inside the image.
MIN_INSIDE = 0.5


@dataclass(frozen=True)
class _Candidate:
    """A slice of a series that a stored slice of the reference phase may take its labels from.

    source: its place in the series; distance: slices of the reference grid between the two; item: the label file's
    entry, None for a slice that is background because the file lists every other one.
    """

    phase: str
    source: int
    distance: float
    item: Optional[CocoImage]


def place_labels(
    by_phase: Mapping[str, Mapping[int, CocoImage]],
    stacks: Optional[Mapping[str, VolumeStack]],
    case: str,
    log: StudyLog,
    *,
    exhaustive: bool,
) -> None:
    """Add to the log labels on the stored slices of the reference phase.

    by_phase: entries by slice of the phase's series; those of another phase than the reference (``--labels-on``) go by
    world coordinates to the nearest slice of the reference phase, at most half a slice away, unless that has labels of
    its own. stacks: the series by phase, None where the study was not taken.
    """
    chosen: Dict[int, _Candidate] = {}
    for phase in sorted(by_phase, key=lambda phase: phase != log.reference):
        entries = by_phase[phase]
        if not entries:
            continue
        if stacks is None or phase not in stacks:
            count = sum(item.count for item in entries.values())
            reason = "its study was not taken" if stacks is None else f"its phase {phase} was not taken"
            log.labels_not_taken.add(reason, images=len(entries), boxes=count)
            continue
        listed: List[Tuple[int, Optional[CocoImage]]] = sorted(entries.items())
        if exhaustive:
            listed += [(source, None) for source in range(len(stacks[phase].mapping.slices)) if source not in entries]
        nearest: Dict[int, _Candidate] = {}
        for source, item in listed:
            place, distance, reason = _counterpart(source, phase, stacks, log.reference)
            candidate = _Candidate(phase, source, distance, item)
            if not reason and place in chosen:
                reason = "the slice of the reference phase has labels of its own"
            if not reason and place in nearest:
                reason = f"another slice of {phase} lies nearer to the slice of the reference phase"
                if distance < nearest[place].distance:
                    candidate, nearest[place] = nearest[place], candidate
            if reason:
                _count_out(candidate.item, reason, log)
            else:
                nearest[place] = candidate
        chosen.update(nearest)
    images = {} if stacks is None else _labels(chosen, stacks, case, log)
    log.images += [replace(images[z], image_id=number) for number, z in enumerate(sorted(images), len(log.images) + 1)]


def place_mask_boxes(
    found: MaskBoxes, stack: VolumeStack, case: str, log: StudyLog, *, left_out: int = -1, carried: bool = False
) -> None:
    """Add to the log a label for each stored slice that masks reach, but for those with a lesion that is left out.

    stack: of the reference phase. left_out: the class index of such lesions. carried: the masks are of another phase.
    """
    if found.repeated:
        log.labels_not_taken.add(REPEATED, boxes=found.repeated)
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int32), NO_LESIONS
    _, height, width = stack.geometry.size
    for z in sorted({*np.flatnonzero(found.covered).tolist(), *found.slices}):
        here = found.slices.get(z)
        boxes, kinds, lesions = (here.boxes, here.labels, here.lesions) if here is not None else nothing
        if left_out in kinds:
            log.labels_not_taken.add("a lesion of it is of a class that is left out", images=1, boxes=len(boxes))
            continue
        number = len(log.images) + 1
        log.images.append(CTLabel(number, case, z, width, height, boxes, kinds, log.reference, lesions))
        _count_slice(z, len(boxes), stack, log, carried=carried)


def _count_slice(z: int, boxes: int, stack: VolumeStack, log: StudyLog, *, carried: bool) -> None:
    """Count a labelled slice and its boxes by what became of the slice."""
    became = {what: z in getattr(stack.history, what) for what in ("interpolated", "blended", "shifted")}
    for what, so in {"carried": carried, **became}.items():
        log.label_slices["images", what] += so
        log.label_slices["boxes", what] += boxes * so


def _labels(
    chosen: Mapping[int, _Candidate], stacks: Mapping[str, VolumeStack], case: str, log: StudyLog
) -> Dict[int, CTLabel]:
    """The label of each stored slice, but for those of which a box is lost."""
    reference = log.reference
    fixed, images = stacks[reference], {}
    _, height, width = fixed.geometry.size
    for z, candidate in chosen.items():
        item = candidate.item
        if item is not None and item.left_out:
            _count_out(item, item.left_out, log)
            continue
        labels = np.zeros(0, np.int32) if item is None else item.labels
        moved = np.zeros((0, 4), np.float32)
        if item is not None:
            moved = stacks[candidate.phase].mapping.to_stored(item.boxes, candidate.source)
        if candidate.phase != reference:
            moved = _to_grid(moved, stacks[candidate.phase], candidate.source, fixed)
        boxes = np.clip(moved, 0, np.array([width, height, width, height], dtype=np.float32))
        if (_area(boxes) < MIN_INSIDE * _area(moved)).any():
            # The lesion is there but its box is not: the slice can be neither trained on nor scored.
            what = "undoing the gantry tilt" if candidate.phase == reference else "going over to the reference phase"
            _count_out(item, f"{what} moved a box of the slice out of it", log)
            continue
        lesions = NO_LESIONS if item is None else item.lesions
        images[z] = CTLabel(0, case, z, width, height, boxes, labels, reference, lesions)
        _count_slice(z, len(boxes), fixed, log, carried=candidate.phase != reference)
    return images


def _counterpart(source: int, phase: str, stacks: Mapping[str, VolumeStack], reference: str) -> Tuple[int, float, str]:
    """(stored slice of the reference phase, slices between the two, why there is none) for a slice of a series."""
    moving, fixed = stacks[phase], stacks[reference]
    place = moving.mapping.slices[source]
    if isinstance(moving, SeriesStack) and source in moving.left_out:
        return -1, 0.0, "--regrid left its slice out, far off the others"
    if place < 0:
        return -1, 0.0, "--regrid shows its slice nowhere, between places of the usual spacing"
    if phase == reference:
        return place, 0.0, ""
    height = fixed.geometry.world_to_index(moving.geometry.slice_centres()[place])[0]
    nearest = int(np.rint(height))
    if not 0 <= nearest < fixed.geometry.size[0]:
        return -1, 0.0, f"the reference phase has no slice at its position on {phase}"
    return nearest, float(abs(height - nearest)), ""


def _to_grid(boxes: np.ndarray, moving: VolumeStack, source: int, fixed: VolumeStack) -> np.ndarray:
    """Boxes (n, 4) of a stored slice of one grid -> in pixels of another, by the world coordinates of their corners."""
    corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]].astype(np.float64)  # (n, 4 corners, xy)
    heights = np.full((*corners.shape[:2], 1), moving.mapping.slices[source], np.float64)
    # an edge coordinate e lies half a pixel before voxel index e
    world = moving.geometry.index_to_world(np.concatenate([heights, corners[..., ::-1] - 0.5], axis=-1))
    there = fixed.geometry.world_to_index(world)[..., :0:-1] + 0.5
    return np.concatenate([there.min(axis=1), there.max(axis=1)], axis=1).astype(np.float32)


def _count_out(item: Optional[CocoImage], reason: str, log: StudyLog) -> None:
    if item is not None:
        log.labels_not_taken.add(reason, images=1, boxes=item.count)
        log.not_carried.setdefault(reason, []).append(item.entry["id"])


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
