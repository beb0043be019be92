"""Shapes that are known but for the batch axis, found by asking MXNet for two batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple, Union


@dataclass(frozen=True)
class PerImage:
    """A length that is ``count`` times the number of images of a batch."""

    count: int


Shape = Tuple[Union[int, PerImage], ...]
BATCHES = (2, 3)  # whose shapes are compared; an axis of length 1 is then never the batch


def told_apart(first: Sequence[int], second: Sequence[int]) -> Shape:
    """The shape of an array of which MXNet says these two for :data:`BATCHES` images.

    Raises :class:`ValueError` for a length that is no multiple of the batch.
    """
    shape: List[Union[int, PerImage]] = []
    for one, other in zip(first, second):
        count = one if one == other else other - one
        if one != other and (one, other) != tuple(count * batch for batch in BATCHES):
            raise ValueError(f"lengths {one} and {other} of batches of {BATCHES[0]} and {BATCHES[1]} images")
        shape.append(one if one == other else PerImage(count))
    return tuple(shape)


def is_fixed(shape: Shape) -> bool:
    """Whether the shape is the same for every batch."""
    return all(isinstance(length, int) for length in shape)


def lengths(shape: Shape) -> List[int]:
    """The shape as Reshape takes it: -1 for the batch axis. Raises :class:`ValueError` for several of them."""
    found = [length if isinstance(length, int) else -1 for length in shape]
    if found.count(-1) > 1:
        raise ValueError(f"several axes of {shape} have the length of the batch")
    return found
