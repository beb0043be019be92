"""From scatterers to a B-mode picture: speckle, attenuation, shadows, noise, log compression, scan conversion.

Scatterers are fixed in the liver with a complex amplitude each. A frame is the sum of those near the picture's plane,
weighted by the slice profile and convolved in polar coordinates with a Gaussian point-spread function that is constant
along the beam and as wide across as the focus says (Meunier and Bertrand, IEEE Trans Biomed Eng 1995, use this form
for tissue motion). The amplitudes' phases stay with the tissue: speckle moves with it and decorrelates only by motion
across the picture and by the change of the point-spread function, not by the carrier's phase under rotation. The
scatterers are dealt to a few looks of which the powers are averaged, as compounding scanners do.
"""

from __future__ import annotations

import itertools
from typing import Optional, Sequence, Union

import cv2
import numpy as np

from gluon_liver.structures.arrays import Array

from .config import USPhantomConfig
from .probe import Fan, Pose

RANGE_MM, BEAMS, PAD = 0.25, 192, 10
AXIAL_MM = 0.45  # SD of the point-spread function along the beam
LATERAL_MM, FOCUS_MM, SPREAD = 0.75, 55.0, 0.018  # SD across at the focus; its growth for each mm away from it
LOOKS = 3
FADE_DB_PER_MM = 0.07  # what the time-gain compensation leaves of the attenuation
NOISE_DB, NOISE_DB_PER_MM = -58.0, 0.2  # at the face, and its rise by the time-gain compensation
PARENCHYMA = 0.42  # of white, at gain 0
REACH = 2.5  # slice profile: SDs that count


class Scatterers:
    """Points that echo.

    points: float32 (3, n) mm in the liver frame, rising in z. amplitude: float32 (2, n), real and imaginary part.
    density: of them in a cubic mm. look: int (n,), of the looks that are averaged.
    """

    def __init__(self, points: Array, amplitude: Array, density: float, look: Optional[Array] = None):
        order = np.argsort(points[2], kind="stable")
        self.look = np.arange(len(order)) % LOOKS if look is None else look[order]
        self.points = np.ascontiguousarray(points[:, order])
        self.amplitude = np.ascontiguousarray(amplitude[:, order])
        self.density = density

    @classmethod
    def fill(
        cls, rng: np.random.Generator, fan: Fan, poses: Sequence[Pose], config: USPhantomConfig, share: float = 1.0
    ) -> Scatterers:
        """Uniformly in the box around everything that the poses can see; ``share``: of them, the density is of all."""
        corners = np.concatenate([_outline(fan, pose) for pose in poses], axis=1)
        reach = REACH * config.slice_mm
        low, high = corners.min(axis=1) - reach - 3.0, corners.max(axis=1) + reach + 3.0
        count = int(share * config.density * np.prod(high - low))
        points = rng.random((3, count), np.float32) * (high - low)[:, None].astype(np.float32)
        points += low[:, None].astype(np.float32)
        return cls(points, rng.standard_normal((2, count), np.float32), config.density)

    def echoing(self, echo: Array) -> Scatterers:
        """The same points, each with so much of its amplitude, (n,)."""
        return Scatterers(self.points, self.amplitude * echo, self.density, self.look)

    def joined(self, others: Scatterers) -> Scatterers:
        """These and others, which together have the density of each."""
        pairs = (self.points, others.points), (self.amplitude, others.amplitude), (self.look, others.look)
        points, amplitude, look = (np.concatenate(pair, axis=-1) for pair in pairs)
        return Scatterers(points, amplitude, self.density, look)


class Scanner:
    """Turns scatterers into pictures of one fan, with the slice profile and the dynamic range of ``config``.

    gain_db: brightness. contact_db: what each beam loses at the skin, float (BEAMS,) or a number.
    """

    def __init__(self, fan: Fan, config: USPhantomConfig, gain_db: float = 0.0, contact_db: Union[float, Array] = 0.0):
        self.fan, self._slice_mm = fan, config.slice_mm
        self._range_db, self._gain_db = config.dynamic_range_db, gain_db
        self._contact = _passed_by(contact_db)
        rows = int(np.ceil(fan.depth_mm / RANGE_MM)) + 1
        self.shape = (rows, BEAMS)
        ranges = np.arange(rows) * RANGE_MM
        self._ranges, self._step = ranges, 2.0 * fan.half_angle / (BEAMS - 1)
        distance, angle = fan.polar(*fan.grid())
        beam, row = (angle + fan.half_angle) / self._step, distance / RANGE_MM
        self._to_pixels = beam.astype(np.float32), row.astype(np.float32)
        self.inside = fan.contains(*fan.grid())
        angles = (np.arange(BEAMS) * self._step - fan.half_angle)[None]
        reach = ranges[:, None] + fan.radius_mm
        column, row = fan.to_pixels(reach * np.sin(angles), reach * np.cos(angles) - fan.radius_mm)
        self._to_polar = (column - 0.5).astype(np.float32), (row - 0.5).astype(np.float32)
        spread = np.hypot(LATERAL_MM, SPREAD * (ranges - FOCUS_MM))
        self._lateral = _kernels(spread / ((ranges + fan.radius_mm) * self._step), PAD)
        self._axial = _kernels(np.array([AXIAL_MM / RANGE_MM]), 6)[0]

    def picture(
        self,
        scatterers: Scatterers,
        pose: Pose,
        loss: Array,
        rng: np.random.Generator,
        contact_db: Union[float, Array] = 0.0,
    ) -> Array:
        """uint8 (size, size), black outside the fan. loss: float32 (size, size), 1/mm, on the same pixels.

        contact_db: what the beams of this picture lose beside those of all.
        """
        lateral = (self._ranges + self.fan.radius_mm) * self._step
        power = 2.0 * scatterers.density * lateral * RANGE_MM * self._slice_mm * np.sqrt(np.pi)
        fade = 10.0 ** (-FADE_DB_PER_MM * self._ranges / 20.0) / np.sqrt(power / LOOKS)
        passed = fade[:, None].astype(np.float32) * self._contact * self._transmission(loss)
        passed *= _passed_by(contact_db)
        noise = 10.0 ** ((NOISE_DB + NOISE_DB_PER_MM * self._ranges) / 20.0) / np.sqrt(2.0)
        noise = noise[:, None].astype(np.float32)
        total = np.zeros(self.shape, np.float32)
        for grid in self._splat(scatterers, pose):
            for part in grid:
                echo = self._blurred(part) * passed + noise * rng.standard_normal(self.shape, np.float32)
                total += echo * echo
        envelope = np.sqrt(total / LOOKS) + self._ringing()
        level = 20.0 * np.log10(np.maximum(envelope, 1e-5)) + self._gain_db
        grey = np.clip(level / self._range_db + PARENCHYMA, 0.0, 1.0).astype(np.float32) * 255.0
        image = cv2.remap(grey, *self._to_pixels, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.rint(image * self.inside).astype(np.uint8)

    def left_over(self, loss: Array) -> Array:
        """Share of the amplitude that nearer tissue leaves, on the frame's pixels: float32 (size, size)."""
        return cv2.remap(self._transmission(loss), *self._to_pixels, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def on_pixels(self, beams: Array) -> Array:
        """bool (size, size): the pixels of some beams, bool (BEAMS,)."""
        nearest = np.clip(np.rint(self._to_pixels[0]), 0, BEAMS - 1).astype(int)
        return np.asarray(beams[nearest]) & self.inside

    def _splat(self, scatterers: Scatterers, pose: Pose) -> Array:
        """Slice-weighted amplitudes on the padded polar grid: float32 (LOOKS, 2, rows + 2 PAD, BEAMS + 2 PAD)."""
        edge = REACH * self._slice_mm
        heights = _outline(self.fan, pose)[2]
        first, last = np.searchsorted(scatterers.points[2], (heights.min() - edge, heights.max() + edge))
        points, amplitude = scatterers.points[:, first:last], scatterers.amplitude[:, first:last]
        axes, origin = pose.axes.astype(np.float32), pose.position.astype(np.float32)
        x, y, z = (points[i] - origin[i] for i in range(3))
        near = np.flatnonzero(np.abs(x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2]) < edge)
        x, y, z, amplitude = x[near], y[near], z[near], amplitude[:, near]
        look = scatterers.look[first:last][near]
        across = x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2]
        x, y = (x * axis[0] + y * axis[1] + z * axis[2] for axis in axes[:2])
        distance, angle = self.fan.polar(x, y)
        row = distance / np.float32(RANGE_MM) + PAD
        beam = (angle + np.float32(self.fan.half_angle)) / np.float32(self._step) + PAD
        rows, beams = self.shape[0] + 2 * PAD, self.shape[1] + 2 * PAD
        inside = (row >= 0) & (row < rows - 1) & (beam >= 0) & (beam < beams - 1)
        row, beam = row[inside], beam[inside]
        weight = amplitude[:, inside] * np.exp(-0.5 * (across[inside] / np.float32(self._slice_mm)) ** 2)
        row0, beam0 = row.astype(np.int32), beam.astype(np.int32)
        down, right = row - row0, beam - beam0
        cell = (look[inside] * rows + row0) * beams + beam0
        grid = np.zeros((2, LOOKS * rows * beams))
        for below, beside, part in itertools.product((0, 1), (0, 1), (0, 1)):
            share = (down if below else 1 - down) * (right if beside else 1 - right)
            grid[part] += np.bincount(cell + beams * below + beside, weight[part] * share, grid.shape[1])
        return grid.reshape(2, LOOKS, rows, beams).transpose(1, 0, 2, 3).astype(np.float32)

    def _blurred(self, part: Array) -> Array:
        """Convolved with the point-spread function and without its padding: float32 (rows, BEAMS)."""
        part = cv2.sepFilter2D(part, -1, np.ones(1, np.float32), self._axial)[PAD:-PAD]
        total = np.zeros(self.shape, np.float32)
        for tap in range(2 * PAD + 1):
            total += self._lateral[:, tap, None] * part[:, tap : tap + BEAMS]
        return total

    def _transmission(self, loss: Array) -> Array:
        """Share of the amplitude that is left behind everything nearer to the face, float32 (rows, BEAMS)."""
        polar = cv2.remap(loss.astype(np.float32), *self._to_polar, cv2.INTER_LINEAR)
        # the aperture sees round small things
        polar = cv2.blur(polar, (5, 1))
        return np.exp(-(np.cumsum(polar, axis=0) - polar) * np.float32(RANGE_MM))

    def _ringing(self) -> Array:
        """Echoes between probe and skin: bright bands that stay with the probe."""
        bands = 1.0 + np.cos(2.0 * np.pi * self._ranges / 1.6)
        return (1.2 * bands * np.exp(-self._ranges / 1.8))[:, None].astype(np.float32)


def _kernels(spread: Array, reach: int) -> Array:
    """Gaussians of unit energy for SDs (n,) in taps: float32 (n, 2 reach + 1)."""
    kernels = np.exp(-0.5 * (np.arange(-reach, reach + 1)[None] / spread[:, None]) ** 2)
    return (kernels / np.sqrt((kernels**2).sum(axis=1, keepdims=True))).astype(np.float32)


def _passed_by(loss_db: Union[float, Array]) -> Array:
    """Share of the amplitude that each beam keeps, float32 (1, BEAMS)."""
    return (10.0 ** (-np.broadcast_to(loss_db, BEAMS) / 20.0))[None].astype(np.float32)


def _outline(fan: Fan, pose: Pose) -> Array:
    """Liver mm (3, n) of points of which the convex hull holds the fan."""
    width, top = 0.5 * fan.width_mm + 3.0, fan.top_mm - 3.0
    x = np.array([-width, width, -width, width])
    y = np.array([top, top, fan.depth_mm + 3.0, fan.depth_mm + 3.0])
    return np.stack(pose.to_liver(x, y))
