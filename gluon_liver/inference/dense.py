"""A CT study read along its slices: what neighbouring windows of nine slices share is computed once."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.dense_reading import check_dense
from gluon_liver.data.ct_loader import OpenCase, phases_read, shown_phases
from gluon_liver.data.images import normalise, resize_square
from gluon_liver.errors import RunError
from gluon_liver.nn.cascade import Cascade
from gluon_liver.nn.dense import REACH, STEP, DenseBackbone
from gluon_liver.structures.detections import Detections

from .ahead import ahead
from .detector import ImageDetector, SliceDetector, stored_boxes


class Planes(NamedTuple):
    """The next two slices of a study, and what to know of the two whose maps they complete."""

    images: np.ndarray  # float32 (2, P, size, size), normalised
    present: np.ndarray  # float32 (2, P)
    scale: float  # network pixels per stored pixel


class DenseDetector:
    """Detects in neighbouring slices of a study; see :mod:`gluon_liver.nn.dense` for how this differs from windows.

    Raises :class:`RunError` for a network of other inputs than nine slices, or another ``network.slice_fusion``, and
    for one that another engine than MXNet computes.
    """

    def __init__(self, detector: ImageDetector):
        check_dense(detector.config)
        if not isinstance(detector, SliceDetector):
            raise RunError("dense reading computes parts of the network, which MXNet alone does here: leave it out")
        self._config, self._context = detector.config, detector.context
        self._backbone, self.cascade = DenseBackbone(detector.network), Cascade(detector.network)

    def detect(self, case: OpenCase, slices: range) -> Iterator[Detections]:
        """Detections in each of ``slices``, neighbours in their order, in pixels of the stored images."""
        shape = (case.images.shape[2], case.images.shape[3])
        self._backbone.restart()
        left = len(slices)
        for planes in ahead(self._planes(case, slices)):
            images, present = (mx.nd.array(part, ctx=self._context) for part in (planes.images, planes.present))
            features = self._backbone.read(images, present)
            if features is not None:
                for rows in self.cascade.detect(images, features)[:left]:
                    left -= 1
                    yield stored_boxes(rows, planes.scale, shape)

    def _planes(self, case: OpenCase, slices: range) -> Iterator[Planes]:
        """Two slices at a time, from :data:`REACH` below the first of ``slices`` to as far above the last."""
        study = case.study
        phases, shown = phases_read(study, self._config), shown_phases(study, self._config)
        for first in range(slices[0] - REACH, slices[-1] + REACH + 1, STEP):
            pairs = [self._pair(case, phase, first) for phase in shown]
            done = np.clip([first - REACH - 1, first - REACH], 0, study.present.shape[1] - 1)
            present = study.present[np.ix_(phases, done)].T.astype(np.float32)
            yield Planes(normalise(np.stack([pair for pair, _ in pairs], axis=1)), present, pairs[0][1])

    def _pair(self, case: OpenCase, phase: int, first: int) -> Tuple[np.ndarray, float]:
        """Slices ``first`` and the next of a phase as the network takes them, and their scale; its own ends repeat.

        A phase that the study lacks shows the reference phase, so that the network sees nothing foreign.
        """
        present = case.study.present
        if not present[phase].any():
            phase = case.study.reference_index
        low, high = np.flatnonzero(present[phase])[[0, -1]]
        planes = [np.asarray(case.images[phase, place]) for place in np.clip([first, first + 1], low, high)]
        return resize_square(np.stack(planes), self._config.data.size)
