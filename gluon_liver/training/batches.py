"""Samples to the arrays that one training step takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Callable, List, Sequence

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


def make_batch(
    samples: Sequence[Sample],
    *,
    anchors: np.ndarray,
    network: NetworkConfig,
    rngs: List[np.random.Generator],
    random_numbers: np.ndarray,
    to_input: Callable[[np.ndarray], np.ndarray] = normalise,
) -> Batch:
    """Stack samples, pad their boxes with -1, and sample the proposal targets with one generator a sample."""
    size = samples[0].image.shape[-1]
    gt_boxes = np.full((len(samples), network.head.max_boxes, 4), -1, np.float32)
    gt_labels = np.full((len(samples), network.head.max_boxes), -1, np.float32)
    targets = []
    for row, (sample, rng) in enumerate(zip(samples, rngs)):
        count = len(sample.boxes)
        gt_boxes[row, :count] = sample.boxes
        gt_labels[row, :count] = sample.labels
        targets.append(assign_anchors(anchors, sample.boxes, network.rpn, size=(size, size), rng=rng))
    return Batch(
        images=to_input(np.stack([sample.image for sample in samples])),
        present=np.stack([sample.present for sample in samples]).astype(np.float32),
        gt_boxes=gt_boxes,
        gt_labels=gt_labels,
        rpn_labels=np.stack([labels for labels, _, _ in targets]),
        rpn_targets=np.stack([offsets for _, offsets, _ in targets]),
        random_numbers=random_numbers,
    )
