"""Noise statistics, texture and tubes."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.phantoms.ct.anatomy import Abdomen
from gluon_liver.phantoms.ct.noise import correlated_noise, noise_filter
from gluon_liver.phantoms.ct.vessels import random_vessels
from gluon_liver.phantoms.shapes import Ellipsoid, Plane, Texture, Tubes


@pytest.mark.parametrize("pixel_mm", [0.7, 1.4])
def test_noise_has_the_stated_sd_and_is_correlated_in_plane_only(pixel_mm):
    noise = correlated_noise(np.random.default_rng(0), (12, 128, 96), (pixel_mm, pixel_mm), 10.0)
    assert noise.shape == (12, 128, 96) and noise.dtype == np.float32
    assert abs(noise.std() - 10.0) < 0.3 and abs(noise.mean()) < 0.3
    lag_x = np.mean(noise[:, :, 1:] * noise[:, :, :-1]) / noise.var()
    lag_y = np.mean(noise[:, 1:] * noise[:, :-1]) / noise.var()
    lag_z = np.mean(noise[1:] * noise[:-1]) / noise.var()
    assert lag_x > 0.1 and lag_y > 0.1 and abs(lag_z) < 0.02


def test_noise_spectrum_is_a_band():
    power = noise_filter((256, 256), (0.7, 0.7))[0] ** 2
    frequency = np.arange(129) / (256 * 0.7)
    assert 0.08 < frequency[power.argmax()] < 0.14
    assert power[0] < 0.2 * power.max() and power[-1] < 0.01 * power.max()


def test_texture_on_a_plane_equals_the_sum_of_waves():
    texture = Texture(np.random.default_rng(1), 10.0, waves=8)
    x, y, z = np.arange(5.0), np.arange(7.0) * 1.5, 3.0
    points = np.array([[a, b, z] for b in y for a in x])
    expected = np.cos(points @ texture.wave.T.astype(float) + texture.offset).sum(axis=1) / np.sqrt(8 / 2)
    plane = texture.on_plane(x.astype(np.float32)[None, :], y.astype(np.float32)[:, None], z)
    np.testing.assert_allclose(plane.ravel(), expected, atol=1e-4)
    np.testing.assert_allclose(texture.at(points), expected, atol=1e-4)


def test_ellipsoid_covers_its_analytic_area():
    plane = Plane(200, 0.5)
    shape = Ellipsoid((5.0, -8.0, 2.0), (20.0, 12.0, 10.0), 0.6)
    area = plane.coverage(shape.distance(plane.x, plane.y, 7.0)).sum() * 0.25
    assert area == pytest.approx(np.pi * 20.0 * 12.0 * (1 - 0.25), rel=0.02)
    window = shape.window(plane, 7.0)
    outside = plane.coverage(shape.distance(plane.x, plane.y, 7.0)).copy()
    outside[window] = 0.0
    assert outside.max() == 0.0
    assert shape.window(plane, 12.5) is None


def test_capsule_distance_against_a_point_by_point_search():
    rng = np.random.default_rng(3)
    points, radii = np.array([[0.0, 0, 0], [8.0, 3, 12], [2.0, 9, 25]]), np.array([4.0, 3.0, 2.0])
    tubes = Tubes([(points, radii)])
    for x, y, z in rng.uniform(-5, 20, (40, 3)):
        for index in range(2):
            t = np.linspace(0, 1, 4001)[:, None]
            axis = points[index] + t * (points[index + 1] - points[index])
            nearest = np.linalg.norm(axis - (x, y, z), axis=1).argmin()
            radius = radii[index] + t[nearest, 0] * (radii[index + 1] - radii[index])
            expected = np.linalg.norm(axis[nearest] - (x, y, z)) - radius
            got = tubes.distance(index, np.float32([[x]]), np.float32([[y]]), z)[0, 0]
            assert got == pytest.approx(expected, abs=0.02)


def test_steep_tubes_run_through_neighbouring_slices():
    rng = np.random.default_rng(7)
    abdomen = Abdomen(rng)
    state = rng.bit_generator.state
    without = random_vessels(rng, abdomen, 0)
    rng.bit_generator.state = state
    vessels = random_vessels(rng, abdomen, 6)
    plane, spots = Plane(256, 1.4), 0
    for kind in ("portal", "hepatic"):
        # the steep ones come last in their list: five capsules each
        for first in range(len(without[kind].first), len(vessels[kind].first), 5):
            spots += 1
            tube, centres = vessels[kind], {}
            low, high = tube.lows[first : first + 5, 2].min(), tube.highs[first : first + 5, 2].max()
            for z in np.arange(low + 5.0, high - 5.0, 4.0):
                pieces = [index for index in tube.cut_by(z) if first <= index < first + 5]
                cover = np.max([plane.coverage(tube.distance(i, plane.x, plane.y, z)) for i in pieces], axis=0)
                rows, columns = np.nonzero(cover > 0.5)
                assert 2 <= len(rows) <= 80
                # cut across it is round, so that one slice cannot tell it from a small lesion
                assert np.ptp(rows) <= 1.7 * np.ptp(columns) + 2 and np.ptp(columns) <= 1.7 * np.ptp(rows) + 2
                centres[z] = (columns.mean(), rows.mean())
            steps = np.abs(np.diff(list(centres.values()), axis=0)) * 1.4
            assert len(centres) >= 8 and steps.max() < 4.0
    assert spots == 6
