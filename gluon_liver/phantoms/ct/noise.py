"""CT noise: white noise shaped by the noise power spectrum of filtered back projection."""

from __future__ import annotations

from typing import Tuple

import numpy as np
from scipy import fft

from gluon_liver.structures.arrays import Array

# Spectrum f * exp(-(f / CUTOFF)^2): a ramp (Riederer, Pelc and Chesler, Phys Med Biol 1978) apodised as by a
# smooth body kernel; it peaks at CUTOFF / sqrt(2) = 0.11 per mm. A small floor at zero frequency stands for
# aliasing (Kijewski and Judy, Phys Med Biol 1987).
CUTOFF_PER_MM = 0.16
FLOOR_PER_MM = 0.01


def noise_filter(shape: Tuple[int, int], pixel_mm: Tuple[float, float]) -> Array:
    """Amplitude filter for ``scipy.fft.rfft2``, normalised so that white noise of SD 1 keeps SD 1.

    shape: (rows, columns); pixel_mm: (row spacing, column spacing). Returns float32 (rows, columns // 2 + 1).
    """
    rows, columns = shape
    frequency = np.hypot(fft.fftfreq(columns, pixel_mm[1])[None, :], fft.fftfreq(rows, pixel_mm[0])[:, None])
    power = (frequency + FLOOR_PER_MM) * np.exp(-((frequency / CUTOFF_PER_MM) ** 2))
    amplitude = np.sqrt(power / power.mean())
    return amplitude[:, : columns // 2 + 1].astype(np.float32)


def correlated_noise(
    rng: np.random.Generator, shape: Tuple[int, ...], pixel_mm: Tuple[float, float], sd_hu: float
) -> Array:
    """Noise in HU, float32 ``shape`` (slices, rows, columns): SD ``sd_hu``, correlated in-plane, not between slices."""
    _, rows, columns = shape
    amplitude = noise_filter((rows, columns), pixel_mm) * np.float32(sd_hu)
    noise = rng.standard_normal(shape, dtype=np.float32)
    for plane in noise:
        plane[...] = fft.irfft2(fft.rfft2(plane) * amplitude, s=plane.shape)
    return noise
