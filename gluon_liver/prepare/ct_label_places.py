"""Labels of a label file on the slices of imported studies."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Mapping, Optional

import numpy as np

from gluon_liver.data.coco import CocoImage
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.readers.dicom.volume import Volume

from .ct_report import CTImportLog

# A box keeps its label after a gantry tilt was undone while this much of it is still inside the image.
MIN_INSIDE = 0.5


def place_labels(
    by_slice: Mapping[int, CocoImage], volume: Optional[Volume], case: str, log: CTImportLog, *, exhaustive: bool
) -> None:
    """Add to the log labels on the slices of the imported reference volume, moved along where a tilt was undone."""
    if not by_slice:
        return
    if volume is None:
        count = sum(len(item.boxes) for item in by_slice.values())
        log.labels_not_taken.add("its study was not taken", images=len(by_slice), boxes=count)
        return
    height, width = volume.hu.shape[1:]
    images: Dict[int, CTLabel] = {}
    for place, item in sorted(by_slice.items()):
        z = int(volume.source_slice[place])
        if z < 0:
            log.labels_not_taken.add("--regrid left no slice at its position", images=1, boxes=len(item.boxes))
            continue
        shift = np.tile(volume.source_shift[place], 2).astype(np.float32)
        moved = item.boxes + shift
        boxes = np.clip(moved, 0, np.array([width, height, width, height], dtype=np.float32))
        if (_area(boxes) < MIN_INSIDE * _area(moved)).any():
            # The lesion is there but its box is not: the slice can be neither trained on nor scored.
            reason = "undoing the gantry tilt moved a box of the slice out of it"
            log.labels_not_taken.add(reason, images=1, boxes=len(boxes))
            continue
        images[z] = CTLabel(0, case, z, width, height, boxes, item.labels, log.rules.reference)
    if exhaustive:
        listed = {int(volume.source_slice[place]) for place in by_slice}
        for z, uid in enumerate(volume.sop_instance_uids):
            # Slices that --regrid interpolated show no single image that someone looked at.
            if uid and z not in listed:
                empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
                images[z] = CTLabel(0, case, z, width, height, *empty, log.rules.reference)
    log.images += [replace(images[z], image_id=number) for number, z in enumerate(sorted(images), len(log.images) + 1)]


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
