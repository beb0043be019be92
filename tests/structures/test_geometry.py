from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.errors import GeometryError
from gluon_liver.structures.geometry import Geometry

# x runs to the patient's right, y to the back, z to the head: the columns of direction are those axes.
FLIPPED = Geometry((10.0, 20.0, 30.0), (3.0, 2.0, 0.5), ((-1, 0, 0), (0, 1, 0), (0, 0, 1)), (4, 6, 8))


def test_index_to_world_by_hand_and_back():
    points = np.array([[0, 0, 0], [1, 2, 4], [0.5, 0, 0]])
    world = FLIPPED.index_to_world(points)
    assert world.tolist() == [[10, 20, 30], [8, 24, 33], [10, 20, 31.5]]
    assert FLIPPED.world_to_index(world) == pytest.approx(points)


def test_columns_of_direction_are_axes_as_in_simpleitk():
    # A rotation by 90 degrees about z: the index axis x runs along world y.
    turned = Geometry((1.0, 2.0, 3.0), (4.0, 3.0, 2.0), ((0, -1, 0), (1, 0, 0), (0, 0, 1)), (2, 3, 4))
    assert turned.index_to_world([0, 0, 1]).tolist() == [1, 4, 3]
    image = turned.to_sitk(np.zeros((2, 3, 4), np.int16))
    for zyx in [(0, 0, 0), (1, 2, 3), (0, 1, 2)]:
        expected = image.TransformIndexToPhysicalPoint([int(i) for i in zyx[::-1]])
        assert turned.index_to_world(zyx) == pytest.approx(expected)


def test_slice_centres_and_same_grid():
    assert FLIPPED.slice_centres()[2] == pytest.approx([10 - 3.5 * 0.5, 20 + 2.5 * 2, 36])
    moved = Geometry((10.0, 20.0, 30.1), FLIPPED.spacing, FLIPPED.direction, FLIPPED.size)
    assert FLIPPED.same_grid(Geometry.from_json(FLIPPED.to_json())) and not FLIPPED.same_grid(moved)


@pytest.mark.parametrize(
    "key, value",
    [("spacing", [1, 0, 1]), ("size", [1, 2]), ("origin", [0, 0]), ("direction", None), ("origin", [0, 0, np.nan])],
)
def test_a_damaged_record_is_refused(key, value):
    with pytest.raises(GeometryError, match="a geometry needs"):
        Geometry.from_json({**FLIPPED.to_json(), key: value})


def test_to_sitk_checks_the_shape():
    with pytest.raises(GeometryError, match=r"shape \(2, 2, 2\)"):
        FLIPPED.to_sitk(np.zeros((2, 2, 2)))
