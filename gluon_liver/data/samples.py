"""What a network sees of a labelled image, of either task, and in which order.

Everything random is drawn from (seed, epoch, index), never from a global generator, so that the order in which images
are loaded changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional, Sequence, TypeVar

import numpy as np

from .coco import Label

L = TypeVar("L", bound=Label)
# what a random number is for; part of its seed, so that no two purposes share a stream
ORDER, AUGMENT, SHUFFLE, TARGETS, RANDOM_NUMBERS, SLICES, BALANCE = range(7)


def generator(seed: int, purpose: int, *place: int) -> np.random.Generator:
    """The generator of one purpose at one place (epoch, index)."""
    return np.random.default_rng([seed, purpose, *place])


@dataclass(frozen=True)
class Sample:
    """One network input.

    Attributes
    ----------
    image: uint8, CT (phase, 1, depth, size, size), the reference phase first; ultrasound (frame, 3, size, size), red,
        green, blue, the current frame last.
    present: bool (phase,), False where the study has no such phase at this slice. Its pixels are then those of the
        reference phase, so that BatchNorm sees nothing foreign; the network masks what it would say.
    boxes: float32 (n, 4) corners in pixels of the network input.
    labels: int32 (n,) indices into the dataset's classes.
    scale: network pixels per stored pixel.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    scale: float
    present: np.ndarray = field(default_factory=lambda: np.ones(1, bool))


def epoch_order(
    labels: Sequence[Label],
    *,
    background_ratio: float,
    seed: int,
    epoch: int,
    foreground: Optional[Sequence[int]] = None,
) -> List[int]:
    """Indices into ``labels`` for one epoch: every image with boxes, and background up to the ratio, shuffled.

    Without any image with boxes the whole background is used. Backgrounds rotate: each epoch draws its own.
    ``foreground`` are the images with boxes to take instead of every one, each as often as it is there.
    """
    rng = generator(seed, ORDER, epoch)
    foreground = with_boxes(labels) if foreground is None else [*foreground]
    background = [index for index, label in enumerate(labels) if not len(label.boxes)]
    if foreground:
        count = min(len(background), int(round(background_ratio * len(foreground))))
        background = [int(index) for index in rng.permutation(background)[:count]]
    return [int(index) for index in rng.permutation(foreground + background)]


def with_boxes(labels: Sequence[Label]) -> List[int]:
    """Indices of the images that are no background."""
    return [index for index, label in enumerate(labels) if len(label.boxes)]


def shuffle_labels(labels: Sequence[L], *, seed: int) -> List[L]:
    """The control experiment: boxes and classes dealt to other images at random.

    A network trained on these can learn where lesions tend to lie and nothing of what they look like.
    """
    order = generator(seed, SHUFFLE).permutation(len(labels))
    return [label.with_boxes(labels[other].boxes, labels[other].labels) for label, other in zip(labels, order)]
