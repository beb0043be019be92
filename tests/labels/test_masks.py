"""Masks become numbered 3D lesions and boxes on the slices of the stored grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gluon_liver.errors import AnnotationError
from gluon_liver.labels.masks import mask_boxes
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.label_volume import LabelVolume

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
GRID = Geometry((-100.0, 50.0, -400.0), (2.5, 0.8, 0.8), AXES, (6, 20, 30))


def volume(*blocks, grid=GRID, **options):
    """A mask with blocks of (value, z, y, x), the last three as slices (first, after the last)."""
    labels = np.zeros(grid.size, np.uint8)
    for value, *place in blocks:
        labels[tuple(slice(*ends) for ends in place)] = value
    return LabelVolume(grid, labels, **options)


def rows(found):
    return {
        z: sorted(zip(one.lesions.tolist(), one.labels.tolist(), one.boxes.tolist())) for z, one in found.slices.items()
    }


def turned(mask, order, flips):
    """The same mask, its axes in another order and some of them running the other way."""
    grid = mask.geometry
    columns = np.array(grid.direction)[:, ::-1]  # of the axes z, y, x
    labels = mask.labels.transpose(order)
    columns, spacing = columns[:, order], [grid.spacing[axis] for axis in order]
    corner = np.zeros(3)
    for place, axis in enumerate(order):
        if flips[place]:
            corner[axis] = grid.size[axis] - 1
            columns[:, place] *= -1
    labels = labels[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    origin = tuple(grid.index_to_world(corner).tolist())
    direction = tuple(map(tuple, columns[:, ::-1].tolist()))
    return LabelVolume(Geometry(origin, tuple(spacing), direction, labels.shape), labels)


def test_boxes_numbers_and_sizes_of_the_same_grid():
    # the second begins lower; voxels that touch at a corner alone are one lesion
    mask = volume((1, (2, 4), (3, 7), (5, 8)), (1, (4, 5), (7, 9), (8, 10)), (2, (1, 2), (0, 2), (28, 30)))
    found = mask_boxes([mask], {1: 0, 2: 3}, GRID)
    assert rows(found) == {
        1: [(1, 3, [28, 0, 30, 2])],
        2: [(2, 0, [5, 3, 8, 7])],
        3: [(2, 0, [5, 3, 8, 7])],
        4: [(2, 0, [8, 7, 10, 9])],
    }
    first, second = found.lesions
    assert (first.number, first.value, first.label, first.slices) == (1, 2, 3, (1, 1))
    assert (second.number, second.label, second.slices) == (2, 0, (2, 4))
    assert second.size_mm == pytest.approx((4 * 0.8, 3 * 2.5))
    assert found.covered.all() and found.too_small == ()
    one = found.slices[2]
    assert (one.boxes.dtype, one.labels.dtype, one.lesions.dtype) == (np.float32, np.int32, np.int32)


def test_the_numbers_of_a_slice_are_those_of_its_lesions_and_not_of_its_classes():
    found = mask_boxes([volume((1, (0, 1), (0, 2), (0, 2)), (1, (0, 1), (0, 2), (9, 12)))], {1: 5}, GRID)
    assert rows(found) == {0: [(1, 5, [0, 0, 2, 2]), (2, 5, [9, 0, 12, 2])]}


def test_values_and_masks_that_touch_do_not_join():
    side_by_side = (0, 3), (2, 5)
    touching = volume((1, *side_by_side, (2, 5)), (2, *side_by_side, (5, 9)))
    assert len(mask_boxes([touching], {1: 0, 2: 0}, GRID).lesions) == 2
    assert len(mask_boxes([volume((1, *side_by_side, (2, 9)))], {1: 0}, GRID).lesions) == 1
    over_each_other = [volume((1, *side_by_side, (2, 7))), volume((1, *side_by_side, (5, 9)))]
    found = mask_boxes(over_each_other, {1: 0}, GRID)
    assert rows(found)[0] == [(1, 0, [2, 2, 7, 5]), (2, 0, [5, 2, 9, 5])]


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (False, True, True)])
def test_axes_in_any_order_and_direction_give_the_same(order, flips):
    mask = volume((1, (2, 4), (3, 7), (5, 8)), (1, (0, 1), (12, 14), (1, 2)), (2, (2, 3), (3, 7), (8, 9)))
    expected = mask_boxes([mask], {1: 0, 2: 1}, GRID)
    found = mask_boxes([turned(mask, order, flips)], {1: 0, 2: 1}, GRID)
    assert (rows(found), found.lesions) == (rows(expected), expected.lesions)
    assert found.covered.all()


def test_headers_that_were_rounded_are_the_same_grid():
    moved = Geometry((-100.01, 50.02, -400.0), (2.5, 0.80003, 0.8), AXES, GRID.size)
    assert rows(mask_boxes([volume((1, (2, 3), (3, 7), (5, 8)), grid=moved)], {1: 0}, GRID)) == {
        2: [(1, 0, [5, 3, 8, 7])]
    }


def test_another_grid_goes_by_world_coordinates():
    # voxels twice as wide, 1.25 slices high, starting half a stored voxel further out
    other = Geometry((-99.6, 50.4, -400.0), (3.125, 1.6, 1.6), AXES, (5, 10, 15))
    found = mask_boxes([volume((1, (1, 3), (2, 4), (3, 4)), grid=other)], {1: 0}, GRID)
    # middles of the mask's planes lie at the stored slices 1.25 and 2.5, each 1.25 high: from 0.625 to 3.125
    box = [6, 4, 8, 8]
    assert {z: [row[2] for row in boxes] for z, boxes in rows(found).items()} == {
        z: [pytest.approx(box, abs=1e-5)] for z in (1, 2, 3)
    }
    # five planes of 1.25 slices from -0.625 on
    assert found.covered.tolist() == [True] * 6
    short = Geometry((-99.6, 50.4, -397.5), (2.5, 1.6, 1.6), AXES, (3, 10, 15))
    assert mask_boxes([volume(grid=short)], {1: 0}, GRID).covered.tolist() == [False, True, True, True, False, False]
    sparse = volume(grid=short, sparse=True)
    assert mask_boxes([sparse], {1: 0}, GRID).covered.all()
    later = Geometry((-99.6, 50.4, -390.0), (2.5, 1.6, 1.6), AXES, (2, 10, 15))
    both = [volume(grid=short), volume(grid=later)]
    assert mask_boxes(both, {1: 0}, GRID).covered.tolist() == [False, True, True, True, True, True]


def test_a_lesion_between_two_slices_is_shown_on_the_nearest():
    thin = Geometry((-100.0, 50.0, -400.0), (0.5, 0.8, 0.8), AXES, (26, 20, 30))
    found = mask_boxes([volume((1, (6, 7), (3, 7), (5, 8)), (1, (13, 14), (9, 10), (5, 8)), grid=thin)], {1: 0}, GRID)
    assert {z: [row[2] for row in boxes] for z, boxes in rows(found).items()} == {
        1: [pytest.approx([5, 3, 8, 7])],
        3: [pytest.approx([5, 9, 8, 10])],
    }
    # one that crosses a slice is shown there alone, not on slices beside it
    crossing = mask_boxes([volume((1, (4, 8), (3, 7), (5, 8)), grid=thin)], {1: 0}, GRID)
    assert list(crossing.slices) == [1]


def test_an_oblique_mask_counts_with_the_bounds_of_its_voxels():
    angle = np.deg2rad(10)
    c, s = float(np.cos(angle)), float(np.sin(angle))
    oblique = Geometry((-92.0, 54.0, -400.0), (2.5, 0.8, 0.8), ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)), (6, 4, 4))
    found = mask_boxes([volume((1, (3, 4), (0, 1), (0, 1)), grid=oblique)], {1: 0}, GRID)
    wide = (c + s) / 2
    assert rows(found)[3][0][2] == pytest.approx([10.5 - wide, 5.5 - wide, 10.5 + wide, 5.5 + wide], abs=1e-5)


def test_lesions_below_the_smallest_size_are_dropped_and_told():
    mask = volume((1, (2, 4), (3, 4), (5, 8)), (1, (0, 1), (12, 14), (1, 2)))
    found = mask_boxes([mask], {1: 0}, GRID, min_mm=2.0)
    assert rows(found) == {2: [(1, 0, [5, 3, 8, 4])], 3: [(1, 0, [5, 3, 8, 4])]}
    (small,) = found.too_small
    assert (small.number, small.slices, small.size_mm) == (0, (0, 0), pytest.approx((1.6, 2.5)))
    assert len(mask_boxes([mask], {1: 0}, GRID, min_mm=1.6 - 1e-9).lesions) == 2


def test_ignored_values_have_no_boxes_and_others_are_refused():
    mask = volume(
        (1, (0, 6), (0, 20), (0, 30)), (2, (2, 3), (3, 7), (5, 8)), (7, (4, 5), (3, 7), (5, 8)), names={7: "bile"}
    )
    with pytest.raises(AnnotationError, match=r"values 7 \('bile'\), of which nothing is said \(known: 1, 2\)"):
        mask_boxes([mask], {2: 0}, GRID, ignored=(1,))
    assert rows(mask_boxes([mask], {2: 0}, GRID, ignored=(1, 7))) == {2: [(1, 0, [5, 3, 8, 7])]}


@pytest.mark.parametrize("origin", [(-102.4, 50.0, -400.0), (-100.0, 50.0, -405.0), (-76.0, 50.0, -400.0)])
def test_a_lesion_outside_the_images_is_an_error(origin):
    moved = Geometry(origin, GRID.spacing, AXES, GRID.size)
    with pytest.raises(AnnotationError, match="a lesion of value 1 lies outside the images: it reaches from"):
        mask_boxes([volume((1, (0, 2), (3, 7), (1, 8)), grid=moved)], {1: 0}, GRID)
    # what is ignored may
    mask_boxes([volume((1, (0, 2), (3, 7), (1, 8)), grid=moved)], {}, GRID, ignored=(1,))


def test_the_voxel_at_the_edge_may_stand_out_by_half():
    moved = Geometry((-100.3, 50.0, -401.0), GRID.spacing, AXES, GRID.size)
    found = mask_boxes([volume((1, (0, 1), (3, 7), (0, 8)), grid=moved)], {1: 0}, GRID)
    (box,) = found.slices[0].boxes.tolist()
    assert box == pytest.approx([0, 3, 8 - 0.3 / 0.8, 7], abs=1e-5)


def test_a_lesion_that_two_masks_show_counts_once():
    block, other = ((2, 4), (3, 7), (5, 8)), ((2, 4), (3, 7), (5, 9))
    one, again = volume((1, *block)), volume((1, *block), (2, (5, 6), (0, 2), (0, 2)))
    found = mask_boxes([one, again], {1: 0, 2: 0}, GRID)
    assert [lesion.number for lesion in found.lesions] == [1, 2] and found.repeated == 2
    assert sorted(found.slices) == [2, 3, 5] and all(len(one.boxes) == 1 for one in found.slices.values())
    # another class, or another box, is another lesion
    for masks in ([one, volume((2, *block))], [one, volume((1, *other))]):
        found = mask_boxes(masks, {1: 0, 2: 1}, GRID)
        assert len(found.lesions) == 2 and found.repeated == 0
