"""Inference: a trained run, slices of a study in, boxes in stored-image pixels out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from tqdm import tqdm

from ..config import Config
from ..data.annotation import ImageLabel
from ..data.dataset import Dataset
from ..data.loader import SliceLoader
from ..errors import RunError
from ..metrics.records import ImageResult
from ..nn.graphs import DetectionNet
from ..nn.models import make_detector
from ..nn.regions import RegionDetector
from .batches import normalise
from .checkpoint import load_checkpoint, newest_checkpoint
from .run import Run, input_phases


@dataclass(frozen=True)
class Detections:
    """Boxes of one slice, best first: corners in stored-image pixels, float32; scores 0 to 1; class indices."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class SliceDetector:
    """A trained detector that maps network inputs to boxes."""

    def __init__(self, detector: RegionDetector, *, config: Config, context: mx.Context):
        self.config = config
        self.classes = detector.classes
        self.network = detector
        self._context = context
        self._net = DetectionNet(detector)
        self._net.hybridize(static_alloc=True, static_shape=True)

    def batch_size(self) -> int:
        """Slices at a time by default: 8 of 256x256, fewer of larger ones and of several phases, for memory."""
        return max(1, 8 * 256**2 // self.config.data.size**2 // self.network.phases)

    @classmethod
    def from_run(cls, run: Run, *, context: Optional[mx.Context] = None) -> Tuple["SliceDetector", str]:
        """The newest checkpoint of a run, and its name.

        Raises :class:`RunError` when there is none or it does not fit.
        """
        context = context or mx.cpu()
        config = run.config
        phases = input_phases(config, run.environment["phases"])
        detector = make_detector(config, classes=run.environment["classes"], phases=phases, context=context)
        checkpoint = newest_checkpoint(run.checkpoints)
        load_checkpoint(checkpoint, detector)
        return cls(detector, config=config, context=context), checkpoint.name

    def loader(self, dataset: Dataset, *, cases: Sequence[str], progress: bool = False) -> SliceLoader:
        """Loads what the network takes of some cases."""
        multi_modal = self.config.network.multi_modal
        return SliceLoader(dataset, self.config.data, cases=cases, multi_modal=multi_modal, progress=progress)

    def detect(
        self, images: np.ndarray, present: np.ndarray, *, scales: Sequence[float], shapes: Sequence[Tuple[int, int]]
    ) -> List[Detections]:
        """Detect in a batch.

        Parameters
        ----------
        images: uint8 (B, phase, 1, depth, size, size) as :class:`SliceLoader` makes them.
        present: bool (B, phase), which phases are there.
        scales: network pixels per stored pixel of each image.
        shapes: (height, width) of each stored image, to which boxes are clipped.

        Raises :class:`RunError` when the network computes no numbers.
        """
        rows, check = (out.asnumpy() for out in self._net(*self.inputs(images, present)))
        if not np.isfinite(check).all():
            raise RunError("the network's scores are not finite: its training diverged, so it cannot detect anything")
        return [stored_boxes(found, scale, shape) for found, scale, shape in zip(rows, scales, shapes)]

    def inputs(self, images: np.ndarray, present: np.ndarray) -> List[mx.nd.NDArray]:
        """What the graphs take of ``images`` and ``present`` (see :meth:`detect`)."""
        inputs = [normalise(images)] + ([present.astype(np.float32)] if self.network.phases > 1 else [])
        return [mx.nd.array(part, ctx=self._context) for part in inputs]


def stored_boxes(rows: np.ndarray, scale: float, shape: Tuple[int, int]) -> Detections:
    """Rows (K, 6) of :class:`DetectionNet` as boxes of the stored image.

    ``scale`` is network pixels per stored pixel, ``shape`` the stored (height, width) that boxes are clipped to; boxes
    that nothing is left of are dropped.
    """
    rows = rows[rows[:, 0] >= 0]
    rows = rows[np.argsort(-rows[:, 1], kind="stable")]
    height, width = shape
    boxes = np.clip(rows[:, 2:] / scale, 0, np.array([width, height, width, height], np.float32))
    keep = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return Detections(boxes[keep].astype(np.float32), rows[keep, 1], rows[keep, 0].astype(np.int32))


def detect_slices(
    detector: SliceDetector,
    loader: SliceLoader,
    targets: Sequence[Tuple[str, int]],
    *,
    shape_of: Callable[[str], Tuple[int, int]],
    batch_size: Optional[int] = None,
    progress: bool = True,
) -> Iterator[Detections]:
    """Detections of (case, slice) targets in their order. ``shape_of`` gives a case's stored (height, width)."""
    batch_size = detector.batch_size() if batch_size is None else batch_size
    with tqdm(total=len(targets), desc="detecting", unit="slice", disable=not progress) as bar:
        for first in range(0, len(targets), batch_size):
            part = targets[first : first + batch_size]
            samples = [loader.load(case, index) for case, index in part]
            found = detector.detect(
                np.stack([sample.image for sample in samples]),
                np.stack([sample.present for sample in samples]),
                scales=[sample.scale for sample in samples],
                shapes=[shape_of(case) for case, _ in part],
            )
            bar.update(len(part))
            for detections in found:
                yield detections


def detect_labelled(
    detector: SliceDetector,
    dataset: Dataset,
    labels: Sequence[ImageLabel],
    *,
    batch_size: Optional[int] = None,
    progress: bool = True,
) -> List[ImageResult]:
    """Detections beside the ground truth, for the metrics."""
    cases = sorted({label.case for label in labels})
    loader = detector.loader(dataset, cases=cases, progress=progress)
    patients = {info.case: info.patient for info in dataset.cases}
    shapes = {label.case: (label.height, label.width) for label in labels}
    found = detect_slices(
        detector,
        loader,
        [(label.case, label.slice) for label in labels],
        shape_of=shapes.__getitem__,
        batch_size=batch_size,
        progress=progress,
    )
    return [
        ImageResult(
            image_id=label.image_id,
            patient=patients[label.case],
            gt_boxes=label.boxes,
            gt_labels=label.labels,
            boxes=detections.boxes,
            scores=detections.scores,
            labels=detections.labels,
        )
        for label, detections in zip(labels, found)
    ]
