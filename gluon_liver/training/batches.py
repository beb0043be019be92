"""Samples to the arrays that one training step takes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from gluon_liver.config.network import NetworkConfig
from gluon_liver.data.images import normalise
from gluon_liver.data.samples import Sample
from gluon_liver.nn.regions.rpn_targets import assign_anchors


@dataclass(frozen=True)
class Batch:
    """NumPy arrays of B images, all float32."""

    images: np.ndarray  # (B,) + the shape of the samples' images, as the network takes them
    present: np.ndarray  # (B, phase), 1 where the phase is there
    gt_boxes: np.ndarray  # (B, M, 4) corners in network pixels, padded with -1
    gt_labels: np.ndarray  # (B, M), padded with -1
    rpn_labels: np.ndarray  # (B, A), 1 positive, 0 negative, -1 ignored
    rpn_targets: np.ndarray  # (B, A, 4)
    random_numbers: np.ndarray  # (B, N), of the pass, uniform from 0 to below 1

    def __len__(self) -> int:
        return len(self.images)

    def part(self, first: int, end: int) -> Batch:
        """Some of its images."""
        return Batch(**{item.name: getattr(self, item.name)[first:end] for item in fields(self)})


class BatchArrays:
    """The arrays of a batch while its images come in, in any order and from several threads.

    to_input: from uint8 images to the float32 that the network takes, written to ``out``.
    """

    def __init__(
        self,
        images: int,
        *,
        anchors: np.ndarray,
        network: NetworkConfig,
        to_input: Callable[..., np.ndarray] = normalise,
    ):
        self._count, self._anchors, self._network, self._to_input = images, anchors, network, to_input
        boxes = network.head.max_boxes
        self._arrays: Dict[str, np.ndarray] = {
            "gt_boxes": np.full((images, boxes, 4), -1, np.float32),
            "gt_labels": np.full((images, boxes), -1, np.float32),
            "rpn_labels": np.empty((images, len(anchors)), np.float32),
            "rpn_targets": np.empty((images, len(anchors), 4), np.float32),
        }
        self._lock = threading.Lock()

    def put(self, row: int, sample: Sample, *, rng: np.random.Generator, random_numbers: np.ndarray) -> None:
        """The image of one row: its boxes, its proposal targets sampled with ``rng``, and its random numbers."""
        count, size = len(sample.boxes), sample.image.shape[-1]
        arrays = self._arrays
        arrays["gt_boxes"][row, :count] = sample.boxes
        arrays["gt_labels"][row, :count] = sample.labels
        labels, offsets, _ = assign_anchors(self._anchors, sample.boxes, self._network.rpn, size=(size, size), rng=rng)
        arrays["rpn_labels"][row], arrays["rpn_targets"][row] = labels, offsets
        self._rows("present", sample.present)[row] = sample.present
        self._rows("random_numbers", random_numbers)[row] = random_numbers
        self._to_input(sample.image, out=self._rows("images", sample.image)[row])

    def batch(self) -> Batch:
        """The batch, once all rows are there."""
        return Batch(**self._arrays)

    def _rows(self, name: str, first: np.ndarray) -> np.ndarray:
        """The array of this name, made when the first image says what an image has."""
        with self._lock:
            if name not in self._arrays:
                self._arrays[name] = np.empty((self._count, *first.shape), np.float32)
            return self._arrays[name]


def make_batch(
    samples: Sequence[Sample], *, rngs: List[np.random.Generator], random_numbers: np.ndarray, **options: Any
) -> Batch:
    """Stack samples, one generator and one row of random numbers each; ``options`` as for :class:`BatchArrays`."""
    arrays = BatchArrays(len(samples), **options)
    for row, (sample, rng) in enumerate(zip(samples, rngs)):
        arrays.put(row, sample, rng=rng, random_numbers=random_numbers[row])
    return arrays.batch()
