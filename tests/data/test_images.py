from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.config.windows import WINDOWS
from gluon_liver.data.images import resize_square, stack_places, stack_positions, to_grey
from gluon_liver.errors import ConfigError
from gluon_liver.structures.boxes import scale_boxes


def test_the_printed_window_maps_110_to_190_hu():
    assert WINDOWS["paper"] == (80.0, 150.0)
    hu = np.array([-1024, 109, 110, 150, 190, 191, 3000], np.int16)
    assert to_grey(hu, "paper").tolist() == [0, 0, 0, 128, 255, 255, 255]
    # 55 HU, unenhanced liver, is black in one preset and grey in the other.
    assert to_grey(np.array([55], np.int16), "paper")[0] == 0
    assert to_grey(np.array([55], np.int16), "liver")[0] == round(255 * 50 / 150)


def test_integers_and_floats_give_the_same_grey():
    hu = np.arange(-200, 400, dtype=np.int16)
    expected = np.rint(255 * np.clip((hu - (80 - 75)) / 150.0, 0, 1)).astype(np.uint8)
    for window in ("liver", (150, 80)):
        assert np.array_equal(to_grey(hu, window), expected)
        assert np.array_equal(to_grey(hu.astype(np.float32), window), expected)


@pytest.mark.parametrize("window", ["bone", (0, 10), (float("nan"), 1), 5, ("a", "b")])
def test_wrong_windows(window):
    with pytest.raises(ConfigError, match="window"):
        to_grey(np.zeros(1), window)


def test_resize_keeps_the_aspect_and_pads_below_and_right():
    image = np.full((2, 10, 20), 200, np.uint8)
    out, scale = resize_square(image, 40)
    assert out.shape == (2, 40, 40) and scale == 2.0
    assert (out[:, :20] == 200).all() and (out[:, 20:] == 0).all()
    shrunk, scale = resize_square(np.tile(np.array([[0, 100]], np.uint8), (4, 2)), 2)
    assert scale == 0.5 and shrunk.tolist() == [[50, 50], [50, 50]]


def test_boxes_scale_with_the_image():
    image = np.zeros((16, 16), np.uint8)
    image[4:8, 2:6] = 255
    out, scale = resize_square(image, 64)
    (box,) = scale_boxes(np.array([[2, 4, 6, 8]]), scale)
    rows, columns = np.where(out > 127)
    assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert scale_boxes(np.zeros((0, 4)), 2.0).shape == (0, 4)


def test_a_slice_stack_repeats_edges():
    assert stack_places(5, 0, 5) == [0, 0, 0, 1, 2]
    assert stack_places(5, 3, 3) == [2, 3, 4]
    assert stack_places(5, 4, 1) == [4]
    for depth in (0, 2, -1):
        with pytest.raises(ConfigError, match="odd depth"):
            stack_places(5, 0, depth)
    with pytest.raises(ConfigError, match="slice 5 is outside"):
        stack_places(5, 5, 1)


def cubic(size):
    """(2 size, size): Keys' interpolation (1981) with a of -3/4, OpenCV's; the ends repeat."""
    matrix, a = np.zeros((2 * size, size)), -0.75
    for row in range(2 * size):
        place = (row + 0.5) / 2 - 0.5
        for cell in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            x = abs(place - cell)
            near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
            matrix[row, np.clip(cell, 0, size - 1)] += near if x <= 1 else far
    return matrix


def test_enlarging_is_bicubic():
    image = np.random.default_rng(0).integers(0, 256, (1, 12, 12)).astype(np.uint8)
    out, _ = resize_square(image, 24)
    expected = np.clip(cubic(12) @ image[0].astype(float) @ cubic(12).T, 0, 255)
    assert np.abs(out[0] - expected).max() <= 1.0


def test_positions_between_slices_end_where_the_volume_ends():
    # slices 5 mm apart, neighbours 2 mm apart
    assert np.allclose(stack_positions(9, 4, 5, 2 / 5), [3.2, 3.6, 4, 4.4, 4.8])
    assert np.allclose(stack_positions(9, 0, 5, 2 / 5), [0, 0, 0, 0.4, 0.8])
    assert np.allclose(stack_positions(9, 8, 7, 2 / 5), [6.8, 7.2, 7.6, 8, 8, 8, 8])
    assert stack_positions(9, 4, 5, 2 / 1) == [0, 2, 4, 6, 8]  # 1 mm: every second slice
    assert stack_positions(4, 2, 5, 2 / 1) == [0, 0, 2, 3, 3]
    assert stack_positions(9, 4, 3, 2 / 1.995) == [3, 4, 5]  # spacings are rounded
    assert stack_positions(9, 4, 3, 2 / 1.9) == [4 - 2 / 1.9, 4, 4 + 2 / 1.9]
    with pytest.raises(ConfigError, match="odd depth"):
        stack_positions(9, 4, 4, 0.5)
