"""Pairs of pictures with exact optical flow: textured shapes that move over a moving textured background.

After FlyingChairs (Dosovitskiy et al., "FlowNet", ICCV 2015), whose photographs and chairs are replaced by drawn
textures, polygons and ellipses. Every layer moves affinely, and both pictures are drawn from the layers themselves,
neither from the other, so the flow is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from gluon_liver.files.typed import Rules, at_least, limited, within
from gluon_liver.phantoms.options import PhantomOptions, rising

CELLS = (3.0, 6.0, 12.0, 24.0)  # pixels between the knots of a texture's octaves
FINER = 4  # the outlines are drawn this much larger and averaged, so that edges move by parts of a pixel
BITS = 4  # of the fraction of a pixel that cv2.fillPoly takes
_PURPOSE = 3  # of these random numbers; the ultrasound phantoms use 2


class FlowPair(NamedTuple):
    """Two pictures and the motion from the first to the second.

    first, second: uint8 (H, W, 3) RGB.
    flow: float32 (2, H, W), (dx, dy) in pixels for each pixel of the FIRST picture, right and down: ``first[y, x]``
    shows what ``second[y + dy, x + dx]`` shows.
    valid: bool (H, W), where the flow is known and what moves is seen in both pictures.
    """

    first: np.ndarray
    second: np.ndarray
    flow: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class FlyingConfig(PhantomOptions):
    """Options of :func:`flying_pair`.

    size: side of the pictures in pixels.
    shapes: how many move over the background, from and to.
    shift: largest translation of the background, and of each shape against it, in pixels; short ones come more often
    (the square of a uniform number).
    turn_deg, zoom: largest turn and change of scale of each layer, about its middle.
    """

    size: int = limited(128, within(16, 2048))
    shapes: Tuple[int, int] = limited((2, 5), rising(0, 100))
    shift: float = limited(8.0, at_least(0))
    turn_deg: float = limited(4.0, within(0, 90))
    zoom: float = limited(0.04, within(0, 0.5))

    def rules(self) -> Rules:
        yield "shift", self.shift <= self.size, "at most the size"


class Layer(NamedTuple):
    """What moves as one: the background or a shape.

    texture: float32 (side, side, 3), mirrored beyond its border.
    origin: (x, y) pixels of the first picture at which the texture's middle lies.
    outline: float64 (n, 2), (x, y) in the first picture, or None for the background.
    motion: float64 (2, 3): q = motion @ (x, y, 1) is where the second picture shows what the first one shows at (x, y).
    """

    texture: np.ndarray
    origin: np.ndarray
    outline: Optional[np.ndarray]
    motion: np.ndarray


def flying_pair(config: FlyingConfig, *, seed: int, index: int) -> FlowPair:
    """Pair ``index``, from (config, seed, index) alone."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, _PURPOSE, index]))
    return draw_pair(random_layers(rng, config), config.size)


def random_layers(rng: np.random.Generator, config: FlyingConfig) -> List[Layer]:
    """The background and shapes, the later ones in front."""
    middle = np.full(2, 0.5 * (config.size - 1))
    grey = rng.random() < 0.5  # ultrasound has no colour
    carried = _translation(rng, config.shift)
    texture = random_texture(rng, 2 * config.size, grey=grey)
    origin = middle + rng.uniform(-0.5, 0.5, 2)
    layers = [Layer(texture, origin, None, _motion(rng, config, middle, carried))]
    for _ in range(rng.integers(config.shapes[0], config.shapes[1] + 1)):
        centre = rng.uniform(0.0, config.size, 2)
        radius = config.size * rng.uniform(0.08, 0.3)
        texture = random_texture(rng, int(2 * radius) + 8, grey=grey)
        outline = centre + radius * random_outline(rng)
        motion = _motion(rng, config, centre, carried + _translation(rng, config.shift))
        layers.append(Layer(texture, centre, outline, motion))
    return layers


def draw_pair(layers: List[Layer], size: int) -> FlowPair:
    """Both pictures, (size, size), of layers from back to front, and their motion."""
    x, y = np.meshgrid(np.arange(size, dtype=np.float64), np.arange(size, dtype=np.float64))
    first, second = np.zeros((2, size, size, 3), np.float32)
    moved = np.zeros((2, size, size))  # where each pixel of the first picture goes
    owner = np.zeros((size, size), int)
    covers = []
    for index, layer in enumerate(layers):
        back = cv2.invertAffineTransform(layer.motion)
        outline_moved = None if layer.outline is None else _affine(layer.motion, *layer.outline.T).T
        cover, cover_moved = (_cover(outline, size) for outline in (layer.outline, outline_moved))
        _paint(first, layer, cover, x, y)
        _paint(second, layer, cover_moved, *_affine(back, x, y))
        mine = cover >= 0.5
        owner[mine] = index
        moved[:, mine] = _affine(layer.motion, x[mine], y[mine])
        covers.append(cover_moved)
    inside = ((moved >= 0) & (moved <= size - 1)).all(axis=0)
    hidden = np.zeros((size, size), bool)
    target = moved.astype(np.float32)
    for index, cover in enumerate(covers):
        hidden |= (index > owner) & (cv2.remap(cover, target[0], target[1], cv2.INTER_LINEAR) >= 0.5)
    first, second = (np.rint(np.clip(picture, 0.0, 255.0)).astype(np.uint8) for picture in (first, second))
    return FlowPair(first, second, (moved - np.stack([x, y])).astype(np.float32), inside & ~hidden)


def random_texture(rng: np.random.Generator, side: int, *, grey: bool) -> np.ndarray:
    """float32 (side, side, 3), about 0 to 255: smooth noise of several sizes, some of it with sharp edges."""
    picture = np.zeros((side, side, 3), np.float32)
    for cell in CELLS:
        knots = int(side / cell) + 4
        noise = rng.standard_normal((knots, knots) if grey else (knots, knots, 3)).astype(np.float32)
        if rng.random() < 0.3:
            noise = np.tanh(4.0 * noise)
        large = cv2.resize(noise, (int(knots * cell),) * 2, interpolation=cv2.INTER_CUBIC)[:side, :side]
        picture += np.float32(rng.uniform(0.3, 1.0)) * (large[..., None] if grey else large)
    picture *= rng.uniform(30.0, 55.0) / max(float(picture.std()), 1e-3)
    return picture + rng.uniform(60.0, 195.0, 1 if grey else 3).astype(np.float32)


def random_outline(rng: np.random.Generator) -> np.ndarray:
    """float64 (n, 2) within the unit circle: an ellipse, or a polygon of which every corner is seen from 0."""
    turn = rng.uniform(0.0, 2.0 * np.pi)
    if rng.random() < 0.5:
        angles = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
        points = np.stack([np.cos(angles), rng.uniform(0.4, 1.0) * np.sin(angles)])
        return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).dot(points).T
    corners = int(rng.integers(3, 9))
    angles = turn + 2.0 * np.pi * (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) / corners
    return rng.uniform(0.5, 1.0, corners)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _translation(rng: np.random.Generator, largest: float) -> np.ndarray:
    angle, length = rng.uniform(0.0, 2.0 * np.pi), largest * rng.random() ** 2
    return length * np.array([np.cos(angle), np.sin(angle)])


def _motion(rng: np.random.Generator, config: FlyingConfig, centre: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(2, 3): turned and scaled about ``centre``, then shifted."""
    angle = np.deg2rad(config.turn_deg) * rng.uniform(-1.0, 1.0)
    scale = (1.0 + config.zoom) ** rng.uniform(-1.0, 1.0)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, centre + shift - linear.dot(centre)])


def _affine(motion: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([row[0] * x + row[1] * y + row[2] for row in motion])


def _paint(picture: np.ndarray, layer: Layer, cover: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Lay the texture over the picture where ``cover`` says; (x, y) is where a pixel lies in the first picture."""
    rows, columns = (np.flatnonzero(cover.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    middle = 0.5 * (layer.texture.shape[0] - 1)
    column, row = ((axis[part] - origin + middle).astype(np.float32) for axis, origin in zip((x, y), layer.origin))
    shown = cv2.remap(layer.texture, column, row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    picture[part] += cover[part][..., None] * (shown - picture[part])


def _cover(outline: Optional[np.ndarray], size: int) -> np.ndarray:
    """Share of each pixel inside the outline, float32 (size, size); all of it without an outline."""
    if outline is None:
        return np.ones((size, size), np.float32)
    canvas = np.zeros((FINER * size, FINER * size), np.uint8)
    points = np.rint(((outline + 0.5) * FINER - 0.5) * 2**BITS).astype(np.int32)
    cv2.fillPoly(canvas, [points], (255,), shift=BITS)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
