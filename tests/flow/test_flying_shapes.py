"""Flying shapes: the flow is that of the pictures, and what is hidden is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gluon_liver.errors import ConfigError
from gluon_liver.flow.flying_shapes import FlyingConfig, Layer, draw_pair, flying_pair, random_texture

CONFIG = FlyingConfig(size=96)
STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def moved_by(dx, dy):
    return STILL + [[0, 0, dx], [0, 0, dy]]


def layer(motion, outline=None, seed=0):
    texture = random_texture(np.random.default_rng(seed), 128, grey=False)
    return Layer(texture, np.array([32.0, 32.0]), None if outline is None else np.array(outline, float), motion)


def warped(pair):
    y, x = np.mgrid[: pair.valid.shape[0], : pair.valid.shape[1]].astype(np.float32)
    return cv2.remap(pair.second, x + pair.flow[0], y + pair.flow[1], cv2.INTER_CUBIC).astype(int)


def test_same_seed_same_pair_and_others_differ():
    one, again, other, seed = (flying_pair(CONFIG, seed=s, index=i) for s, i in ((1, 2), (1, 2), (1, 3), (2, 2)))
    assert all(np.array_equal(a, b) for a, b in zip(one, again))
    assert not np.array_equal(one.first, other.first) and not np.array_equal(one.first, seed.first)
    assert one.first.dtype == np.uint8 and one.flow.dtype == np.float32 and one.flow.shape == (2, 96, 96)


@pytest.mark.parametrize("index", range(4))
def test_the_second_picture_moved_back_is_the_first(index):
    pair = flying_pair(CONFIG, seed=3, index=index)
    difference = np.abs(warped(pair) - pair.first).mean(axis=2)
    still = np.abs(pair.second.astype(int) - pair.first).mean(axis=2)
    # edges of shapes mix two layers, so a few pixels differ much
    assert np.median(difference[pair.valid]) <= 1.5 and difference[pair.valid].mean() < 3.0
    assert difference[pair.valid].mean() < 0.3 * still[pair.valid].mean()
    assert pair.valid.mean() > 0.6


def test_a_shift_by_whole_pixels_by_hand():
    pair = draw_pair([layer(moved_by(5, -3))], 64)
    assert np.allclose(pair.flow[0], 5, atol=1e-5) and np.allclose(pair.flow[1], -3, atol=1e-5)
    expected = np.zeros((64, 64), bool)
    expected[3:, :59] = True
    assert np.array_equal(pair.valid, expected)
    assert np.array_equal(pair.first[3:, :59], pair.second[:61, 5:])


def test_a_turn_by_hand():
    """A quarter turn about the middle: (x, y) goes to (-y, x)."""
    motion = np.array([[0.0, -1.0, 63.0], [1.0, 0.0, 0.0]])
    pair = draw_pair([layer(motion)], 64)
    assert pair.flow[:, 0, 0].tolist() == [63, 0] and pair.flow[:, 0, 63].tolist() == [0, 63]
    assert pair.valid.all()


def test_a_square_hides_what_it_moves_over():
    square = [(19.5, 19.5), (39.5, 19.5), (39.5, 39.5), (19.5, 39.5)]  # pixels 20 to 39
    pair = draw_pair([layer(STILL), layer(moved_by(8, 0), square, seed=1)], 64)
    inside = np.zeros((64, 64), bool)
    inside[20:40, 20:40] = True
    assert np.array_equal(pair.flow[0] > 4, inside) and not pair.flow[1].any()
    hidden = np.zeros((64, 64), bool)
    hidden[20:40, 40:48] = True  # the square's new place, without the old one
    assert np.array_equal(~pair.valid, hidden)
    assert np.array_equal(pair.first[22:38, 22:38], pair.second[22:38, 30:46])


def test_options_out_of_range():
    with pytest.raises(ConfigError, match="size is 4; it must be 16 to 2048"):
        FlyingConfig(size=4)
    with pytest.raises(ConfigError, match="shapes"):
        FlyingConfig(shapes=(3, 1))
