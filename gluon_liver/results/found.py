"""What was found in a study, as every writer of results takes it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

import numpy as np

from gluon_liver.data.study import Study
from gluon_liver.structures.arrays import Array, FloatArray
from gluon_liver.structures.detections import Detections
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.lesions import Lesion

if TYPE_CHECKING:
    from .source_series import SourceSeries

NOTE = "computer-made, for research use only, not for diagnosis"
BOXES, ELLIPSOIDS = "boxes", "ellipsoids"
SHAPES = BOXES, ELLIPSOIDS


@dataclass(frozen=True, eq=False)
class Found:
    """The detections of all slices of a study, and the lesions that they were joined to.

    detections: of each slice of the study, of all scores. image_ids: of the slices, for COCO.
    lesions: the best score first; the number of a lesion is its place here, from 1.
    entries: the same as lesions.json has them.
    network, checkpoint: what found them; None where they have no name.
    classes: of the network.
    shape: what masks show of a box, see :data:`SHAPES`.
    series: the DICOM series of the reference phase, where one was asked for.
    """

    study: Study
    detections: Sequence[Detections]
    image_ids: Sequence[int]
    lesions: Sequence[Lesion]
    entries: Sequence[Dict[str, Any]]
    network: Optional[str]
    checkpoint: Optional[str]
    classes: Sequence[str]
    shape: str = BOXES
    series: Optional[SourceSeries] = None

    @cached_property
    def tracking_uids(self) -> List[str]:
        """Of each lesion a UID that nothing else has, the same in all objects."""
        return [new_uid() for _ in self.lesions]


def new_uid() -> str:
    """A UID that nothing else has: PS3.5 B.2, a UUID as a number."""
    return f"2.25.{uuid.uuid4().int}"


def corners_in_patient(geometry: Geometry, place: int, box: Array) -> FloatArray:
    """(4, 3) mm in the patient's LPS frame of the corners of a box, edges x1, y1, x2, y2 of slice ``place``.

    In the order (x1, y1), (x2, y1), (x2, y2), (x1, y2). An edge lies half a pixel before the pixel's centre.
    """
    x1, y1, x2, y2 = (float(edge) - 0.5 for edge in box)
    return geometry.index_to_world(np.array([(place, y1, x1), (place, y1, x2), (place, y2, x2), (place, y2, x1)]))
