"""Every part of the way from a file's slices and pixels to the stored ones, by hand and back."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.structures.slice_mapping import SliceMapping

UPRIGHT, PRONE = [1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, -1, 0]
# columns of the file run to the back, rows to the patient's right
QUARTER = [0, 1, 0, -1, 0, 0]
BOX = np.array([[1, 2, 4, 3]], np.float32)


def mapping(orientation, *, size=(10, 20), spacing=(1.0, 1.0), slices=(0, 1, 2), shifts=None):
    return SliceMapping.to_patient_axes(orientation, size, spacing).with_slices(slices, shifts)


@pytest.mark.parametrize(
    "orientation, stored, size",
    [
        (UPRIGHT, [1, 2, 4, 3], (10, 20)),
        (PRONE, [16, 7, 19, 8], (10, 20)),
        ([-1, 0, 0, 0, 1, 0], [16, 2, 19, 3], (10, 20)),  # a mirror: feet first
        ([1, 0, 0, 0, -1, 0], [1, 7, 4, 8], (10, 20)),
        (QUARTER, [7, 1, 8, 4], (20, 10)),
        ([0, -1, 0, 1, 0, 0], [2, 16, 3, 19], (20, 10)),
        ([0, 1, 0, 1, 0, 0], [2, 1, 3, 4], (20, 10)),  # a turn and a mirror
        ([0, -1, 0, -1, 0, 0], [7, 16, 8, 19], (20, 10)),
        # a few degrees off the axes, or a tilted gantry: the nearest turn
        ([0.95, 0.312, 0, -0.312, 0.95, 0], [1, 2, 4, 3], (10, 20)),
        ([-1, 0, 0, 0, -0.94, 0.342], [16, 7, 19, 8], (10, 20)),
    ],
)
def test_turns_and_flips(orientation, stored, size):
    way = mapping(orientation)
    assert way.stored_size == size and way.scale == (1.0, 1.0)
    assert way.to_stored(BOX, 1).tolist() == [stored]
    index, back = way.to_source(np.array([stored]), 1)
    assert index == 1 and back.tolist() == BOX.tolist()


def test_every_pixel_goes_where_its_box_goes():
    from gluon_liver.readers.dicom.planes import stored_plane

    plane = np.arange(10 * 20, dtype=np.int16).reshape(10, 20)
    for orientation in (UPRIGHT, PRONE, QUARTER, [0, -1, 0, -1, 0, 0], [1, 0, 0, 0, -1, 0]):
        way = mapping(orientation)
        stored = stored_plane(plane, way, 0)
        for y, x in ((0, 0), (3, 17), (9, 2)):
            x1, y1, x2, y2 = way.to_stored(np.array([[x, y, x + 1, y + 1]]), 0)[0].astype(int)
            assert (x2 - x1, y2 - y1) == (1, 1) and stored[y1, x1] == plane[y, x]


@pytest.mark.parametrize(
    "spacing, scale, size, stored",
    [
        ((0.6, 1.2), (1.0, 2.0), (10, 40), [2, 2, 8, 3]),
        ((1.5, 0.5), (3.0, 1.0), (30, 20), [1, 6, 4, 9]),
        ((0.7, 0.7), (1.0, 1.0), (10, 20), [1, 2, 4, 3]),
        ((0.7, 0.706), (1.0, 1.0), (10, 20), [1, 2, 4, 3]),  # within 1 %
    ],
)
def test_pixels_become_squares_of_the_finer_spacing(spacing, scale, size, stored):
    way = mapping(UPRIGHT, spacing=spacing)
    assert way.scale == pytest.approx(scale) and way.stored_size == size
    assert way.stored_spacing == pytest.approx((min(spacing),) * 2, rel=0.01)
    assert way.to_stored(BOX, 0)[0] == pytest.approx(stored)
    assert way.to_source(np.array([stored]), 0)[1][0] == pytest.approx(BOX[0])


def test_turned_pixels_that_are_not_square():
    way = mapping(QUARTER, spacing=(0.6, 1.2))  # rows of 20 pixels of 1.2 mm run to the back
    assert way.stored_size == (40, 10) and way.stored_spacing == pytest.approx((0.6, 0.6))
    assert way.to_stored(BOX, 0)[0] == pytest.approx([7, 2, 8, 8])
    assert way.to_source(np.array([[7, 2, 8, 8]]), 0)[1][0] == pytest.approx(BOX[0])


def test_shifts_are_in_pixels_of_the_source_and_turn_with_it():
    shifts = np.array([[0.0, 0.0], [2.0, -1.0], [4.0, -2.0]])
    assert mapping(UPRIGHT, shifts=shifts).to_stored(BOX, 1).tolist() == [[3, 1, 6, 2]]
    way = mapping(PRONE, shifts=shifts)
    assert way.to_stored(BOX, 1).tolist() == [[14, 8, 17, 9]]
    assert way.to_source(np.array([[14, 8, 17, 9]]), 1)[1].tolist() == BOX.tolist()
    wide = mapping(UPRIGHT, spacing=(0.5, 1.0), shifts=shifts)
    assert wide.to_stored(BOX, 2)[0] == pytest.approx([2 + 8, 2 - 2, 8 + 8, 3 - 2])
    assert not mapping(UPRIGHT, shifts=shifts * 0).shifts


def test_slices_by_a_grid_with_an_interpolated_one_and_one_without_a_place():
    way = mapping(UPRIGHT, slices=(0, 1, -1, 4))
    assert way.to_source(BOX, 4)[0] == 3
    assert way.to_source(BOX, 1)[0] == 1
    index, boxes = way.to_source(BOX, 2)
    assert index is None and boxes.tolist() == BOX.tolist()
