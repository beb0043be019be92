"""Inference: a trained run, slices of a study in, boxes in stored-image pixels out."""

from __future__ import annotations

import itertools
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import TASKS, make_loader
from gluon_liver.data.samples import Sample
from gluon_liver.nn.folding import FLOAT32
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.runs.checkpoint import open_network
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import Detections
from gluon_liver.structures.image_result import ImageResult
from gluon_liver.system.terminal import progress_bar

from .ahead import ahead
from .engine import Engine, MXNetEngine


class ImageDetector:
    """A trained network, whatever engine computes it, that maps images to boxes.

    Attributes: engine; config; classes; phases, that an image has.
    """

    def __init__(self, engine: Engine, *, config: Config, classes: Sequence[str], phases: int = 1):
        self.engine, self.config, self.classes, self.phases = engine, config, tuple(classes), phases

    def detect(
        self, images: np.ndarray, present: np.ndarray, *, scales: Sequence[float], shapes: Sequence[Tuple[int, int]]
    ) -> List[Detections]:
        """Detect in a batch.

        images: uint8, of several :class:`gluon_liver.data.samples.Sample`.
        present: bool (B, phase), which phases are there.
        scales: network pixels per stored pixel of each image.
        shapes: (height, width) of each stored image, to which boxes are clipped.

        Raises :class:`RunError` when the network computes no numbers.
        """
        rows = self.engine.detect(self.arrays(images, present))
        return [stored_boxes(one, scale, shape) for one, scale, shape in zip(rows, scales, shapes)]

    def arrays(self, images: np.ndarray, present: np.ndarray) -> List[np.ndarray]:
        """What engines take of ``images`` and ``present`` (see :meth:`detect`)."""
        arrays = [TASKS[self.config.task].dataset.network_input(images)]
        if self.phases > 1:
            arrays.append(present.astype(np.float32))
        return arrays


class SliceDetector(ImageDetector):
    """A detector of MXNet, as its numbers are now: also its parts can be read.

    precision: as of :func:`gluon_liver.nn.folding.folded`.
    """

    def __init__(self, detector: RegionDetector, *, config: Config, context: mx.Context, precision: str = FLOAT32):
        self.mxnet = MXNetEngine(detector, context=context, precision=precision)
        self.network, self.context = self.mxnet.network, context
        super().__init__(self.mxnet, config=config, classes=detector.classes, phases=detector.phases)

    @classmethod
    def from_run(
        cls, run: Run, *, context: Optional[mx.Context] = None, precision: str = FLOAT32
    ) -> Tuple[SliceDetector, str]:
        """The newest checkpoint of a run, and its name.

        precision: as of :func:`gluon_liver.nn.folding.folded`.

        Raises :class:`RunError` when there is none or it does not fit.
        """
        context, checkpoint = context or mx.cpu(), chosen_checkpoint(run)
        detector, _ = open_network(run, checkpoint, context=context)
        return cls(detector, config=run.config, context=context, precision=precision), checkpoint.name

    def inputs(self, images: np.ndarray, present: np.ndarray) -> List[mx.nd.NDArray]:
        """What the graphs take of ``images`` and ``present`` (see :meth:`detect`)."""
        return self.mxnet.load(self.arrays(images, present))


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


def detect_samples(
    detector: ImageDetector,
    samples: Iterable[Sample],
    *,
    shapes: Sequence[Tuple[int, int]],
    batch_size: Optional[int] = None,
    progress: bool = True,
) -> Iterator[Detections]:
    """Detections of samples in their order. ``shapes`` are the stored (height, width) of each."""
    # for memory 8 images of 256x256 at a time, fewer of larger ones and of several phases
    batch_size = batch_size or max(1, 8 * 256**2 // detector.config.data.size**2 // detector.phases)
    first = 0
    with progress_bar(total=len(shapes), text="detecting", unit="image", show=progress) as bar:
        for images, present, scales in ahead(_batches(samples, batch_size)):
            detections = detector.detect(images, present, scales=scales, shapes=shapes[first : first + batch_size])
            first += len(detections)
            bar.update(len(detections))
            yield from detections


def _batches(samples: Iterable[Sample], size: int) -> Iterator[Tuple[np.ndarray, np.ndarray, List[float]]]:
    """Images, which phases are there, and scales of up to ``size`` samples at a time."""
    samples = iter(samples)
    part = list(itertools.islice(samples, size))
    while part:
        images, present = np.stack([one.image for one in part]), np.stack([one.present for one in part])
        yield images, present, [one.scale for one in part]
        part = list(itertools.islice(samples, size))


def detect_labelled(
    detector: ImageDetector,
    dataset: Dataset,
    labels: Sequence[Label],
    *,
    batch_size: Optional[int] = None,
    progress: bool = True,
) -> List[ImageResult]:
    """Detections beside the ground truth, for the metrics."""
    load = make_loader(detector.config, dataset, cases=sorted({label.case for label in labels}), progress=progress)
    shapes = [(label.height, label.width) for label in labels]
    detections = detect_samples(detector, map(load, labels), shapes=shapes, batch_size=batch_size, progress=progress)
    return [dataset.result(label, one) for label, one in zip(labels, detections)]
