"""Training-time changes of a sample: geometry identical in all of its slices and phases, noise of each its own.

The phases beside the reference may move against it, as they do where a patient breathes between them; the slices of one
stay together. Boxes are of the reference phase and follow the geometry alone. All random numbers come from (seed,
epoch, index), so that the order in which images are loaded changes nothing.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from statistics import NormalDist
from typing import Tuple

import cv2
import numpy as np

from gluon_liver.config.inputs import AugmentConfig
from gluon_liver.structures.arrays import Array, BoolArray, FloatArray

from .samples import Sample

WARPED_AT_ONCE = 4  # planes as channels of one picture: as many as OpenCV takes, where each pixel's place is found once
NOISE_STEPS = 2**16  # equally likely values of noise; the outermost lie 4.2 standard deviations out
SMALLEST_PART = 0.25  # of a box's area that must stay inside the image for the box to stay
ERASED_SHARE, ERASED_ASPECT = (0.02, 0.2), (0.3, 1 / 0.3)  # of the image's area; height / width (Zhong et al. 2017)


def augment(sample: Sample, config: AugmentConfig, *, grey_per_noise: float, rng: np.random.Generator) -> Sample:
    """Flip, then scale, rotate and shift about the centre, then move phases, erase, add noise and change the window.

    Each as far as ``config`` says; what it leaves at its default draws nothing, so that the numbers of older
    configurations stay what they were (but for scale, angle and shift, which are always drawn).

    ``grey_per_noise``: grey values for one unit of ``config.noise`` (``Dataset.grey_per_noise``).
    """
    if config.flip and rng.random() < 0.5:
        sample = flip(sample)
    scale = np.exp(rng.uniform(-1, 1) * np.log1p(config.scale))
    angle = rng.uniform(-1, 1) * config.rotate
    shift = rng.uniform(-1, 1, 2) * config.shift * sample.image.shape[-1]
    if config.scale or config.rotate or config.shift:
        sample = transform(sample, scale=scale, angle=angle, shift=(float(shift[0]), float(shift[1])))
    if config.phase_shift:
        others = len(sample.image) - 1
        sample = shift_phases(sample, rng.uniform(-1, 1, (others, 2)) * config.phase_shift * sample.image.shape[-1])
    if config.erase and rng.random() < config.erase:
        sample = erase(sample, rng=rng, frames=config.erase_frames)
    if config.noise:
        sample = add_noise(sample, sd=config.noise * grey_per_noise, rng=rng)
    if config.window:
        width = float(np.exp(rng.uniform(-1, 1) * np.log1p(config.window)))
        sample = rewindow(sample, width=width, level=rng.uniform(-1, 1) * config.window / 2)
    return sample


def flip(sample: Sample) -> Sample:
    """Mirror left-right: pixel column j becomes size - 1 - j, so edge x becomes size - x."""
    size = sample.image.shape[-1]
    boxes = sample.boxes.copy()
    boxes[:, 0], boxes[:, 2] = size - sample.boxes[:, 2], size - sample.boxes[:, 0]
    image = np.empty_like(sample.image)
    for plane, target in zip(_planes(sample.image), _planes(image)):
        cv2.flip(plane, 1, dst=target)
    return dataclasses.replace(sample, image=image, boxes=boxes)


def transform(sample: Sample, *, scale: float, angle: float, shift: Tuple[float, float]) -> Sample:
    """Scale, rotate (degrees, clockwise as seen) and shift (x, y in pixels) about the image's centre.

    Boxes are those of the ellipse that fills the old box, which is the tight box of a round or oval lesion; the
    corners' hull would grow with the angle. Boxes of which less than a quarter stays inside are dropped, others
    clipped. Pixels from outside are black.
    """
    size = sample.image.shape[-1]
    cosine, sine = scale * np.cos(np.deg2rad(angle)), scale * np.sin(np.deg2rad(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.full(2, size / 2.0)  # as an edge coordinate; pixel centres lie half a pixel before
    offset = middle + np.asarray(shift, float) - turn @ middle
    matrix = np.column_stack([turn, offset + turn @ np.full(2, 0.5) - 0.5])
    image = _warped(sample.image, matrix)
    boxes, inside = _move_boxes(sample.boxes, turn, offset, size)
    return dataclasses.replace(sample, image=image, boxes=boxes[inside], labels=sample.labels[inside])


def shift_phases(sample: Sample, shifts: np.ndarray) -> Sample:
    """Move each phase but the reference, which is the first, by its row (x, y) of ``shifts`` (phase - 1, 2) in pixels.

    All slices of a phase move alike; pixels from outside are black. Boxes stay, for they are of the reference phase.
    """
    image = sample.image.copy()
    for phase, shift in enumerate(shifts, start=1):
        image[phase] = _warped(sample.image[phase], np.column_stack([np.eye(2), shift]))
    return dataclasses.replace(sample, image=image)


def rewindow(sample: Sample, *, width: float, level: float) -> Sample:
    """The picture under a window ``width`` times as wide, whose level lies ``level`` widths of the old one higher.

    The same in all slices and phases. What the old window cut off is gone: it keeps the grey of that window's edge.
    """
    position = np.arange(256) / 255.0 - 0.5  # in the old window, in widths from its level
    table = np.rint(255 * np.clip((position - level) / width + 0.5, 0, 1)).astype(np.uint8)
    rows = sample.image.reshape((-1, sample.image.shape[-1]))  # OpenCV takes no more than two dimensions
    return dataclasses.replace(sample, image=cv2.LUT(rows, table).reshape(sample.image.shape))


def erase(sample: Sample, *, rng: np.random.Generator, frames: str = "all") -> Sample:
    """One rectangle covered with random grey, at the same place in all planes; boxes stay (Zhong et al. 2017).

    ``frames``: of ultrasound, "all", or "current" for the last one alone.
    """
    size = sample.image.shape[-1]
    area = rng.uniform(*ERASED_SHARE) * size**2
    aspect = np.exp(rng.uniform(*np.log(ERASED_ASPECT)))
    height, width = (int(np.clip(round(side), 1, size)) for side in (np.sqrt(area * aspect), np.sqrt(area / aspect)))
    top, left = (int(rng.integers(0, size - side + 1)) for side in (height, width))
    image = sample.image.copy()
    place = image[-1 if frames == "current" else slice(None), ..., top : top + height, left : left + width]
    place[:] = rng.integers(0, 256, place.shape, dtype=np.uint8)
    return dataclasses.replace(sample, image=image)


def add_noise(sample: Sample, *, sd: float, rng: np.random.Generator) -> Sample:
    """Independent Gaussian noise of ``sd`` grey values, rounded and clipped to 0..255."""
    image, table = np.empty_like(sample.image), _noise_of(sd)
    for plane, target in zip(_planes(sample.image), _planes(image)):
        words = rng.integers(0, 2**64 - 1, -(-plane.size // 4), dtype=np.uint64, endpoint=True)
        noise = table[words.view(np.uint16)[: plane.size].reshape(plane.shape)]
        cv2.add(plane, noise, dst=target, dtype=cv2.CV_8U)  # it clips
    return dataclasses.replace(sample, image=image)


@lru_cache(maxsize=4)
def _noise_of(sd: float) -> np.ndarray:
    """int16: the whole grey values that noise takes with equal chances; beyond 255 all are clipped alike.

    Pixels are whole, so that noise may be rounded before it is added; a table is then four times as fast as drawing
    from a normal distribution.
    """
    normal = NormalDist()
    values = np.array([normal.inv_cdf((step + 0.5) / NOISE_STEPS) for step in range(NOISE_STEPS)])
    return np.clip(np.rint(sd * values), -255, 255).astype(np.int16)


def _warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """All planes under one affine map (2, 3) of pixel centres, linear; from outside black."""
    size, result = image.shape[-1], np.empty_like(image)
    planes, targets = _planes(image), _planes(result)
    for first in range(0, len(planes), WARPED_AT_ONCE):
        together = cv2.merge(list(planes[first : first + WARPED_AT_ONCE]))
        moved = cv2.warpAffine(together, matrix, (size, size), flags=cv2.INTER_LINEAR)
        for channel, target in enumerate(targets[first : first + WARPED_AT_ONCE]):
            cv2.extractChannel(moved, channel, dst=target)
    return result


def _planes(image: np.ndarray) -> np.ndarray:
    """A view (n, size, size)."""
    return image.reshape((-1, *image.shape[-2:]))


def _move_boxes(boxes: Array, turn: Array, offset: Array, size: int) -> Tuple[FloatArray, BoolArray]:
    """Boxes (n, 4) moved and clipped, and (n,) whether enough of each lies inside."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2.0 @ turn.T + offset
    halves = np.sqrt(((boxes[:, None, 2:] - boxes[:, None, :2]) / 2.0 * turn[None]) ** 2 @ np.ones(2))
    moved = np.concatenate([centres - halves, centres + halves], axis=1)
    clipped = np.clip(moved, 0, size)
    area, left = (np.prod(np.clip(b[:, 2:] - b[:, :2], 0, None), axis=1) for b in (moved, clipped))
    return clipped.astype(np.float32).reshape(-1, 4), left > SMALLEST_PART * area
