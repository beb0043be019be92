"""Where maps come to lie on an image, and the two figures."""

import numpy as np
import pytest

from gluon_liver.report.figures.paper_figures import Cells, Related, Tile, draw_examples, draw_relation


def peak(row, column, shape=(8, 8)):
    cells = np.zeros(shape)
    cells[row, column] = 1
    return cells


@pytest.mark.parametrize("scale, pixel", [(1.0, (16, 24)), (2.0, (8, 12)), (0.8, (20, 30)), (1.5625, (10, 15))])
def test_a_cell_lies_on_the_pixel_that_it_is_centred_on(scale, pixel):
    """Cell (2, 3) of stride 8 is centred on network pixel (16, 24), wherever the stored image has that."""
    side = int(64 / scale)
    heat = Cells(8, scale).on_image(peak(2, 3), (side, side))
    assert heat.shape == (side, side) and np.unravel_index(heat.argmax(), heat.shape) == pixel
    assert Cells(8, scale).pixel(2, 3) == pytest.approx((24.5 / scale, 16.5 / scale))


def test_heat_is_linear_between_cells_and_level_beyond_them():
    heat = Cells(8, 1.0).on_image(np.arange(12.0).reshape(3, 4), (20, 32))
    rows, columns = np.clip(np.arange(20) / 8, 0, 2), np.clip(np.arange(32) / 8, 0, 3)
    assert np.allclose(heat, 4 * rows[:, None] + columns)  # a plane, so linear interpolation is exact
    assert np.allclose(Cells(16, 0.7).on_image(np.full((5, 5), 0.3), (97, 61)), 0.3)


def relation(*, row, grey=None, others=None, norm=None, lesion="hcc 0.90", phase="arterial"):
    blank = np.zeros((64, 64), np.uint8)
    related = Related(blank if grey is None else grey, row, np.ones((8, 8)))
    return draw_relation(
        title="lesion 1 of 1",
        lesion=lesion,
        phase=phase,
        grey=blank,
        box=np.array([2.0, 2, 10, 10]),
        inside=peak(0, 0) > 0,
        norm=np.ones((8, 8)) if norm is None else norm,
        cells=Cells(8, 1.0),
        others={"delayed": related} if others is None else others,
    ).astype(int)


def test_heat_is_drawn_over_the_pixel_of_its_cell():
    far = relation(row=peak(1, 7))
    grey = np.zeros((64, 64), np.uint8)
    grey[37:44, 29:36] = 255  # around pixel (40, 32), where cell (5, 4) is centred
    marked = np.argwhere(np.abs(relation(row=peak(1, 7), grey=grey) - far).sum(axis=2) > 100)
    centre = marked.mean(axis=0)
    hot = np.argwhere(np.abs(relation(row=peak(5, 4)) - far).sum(axis=2) > 100)
    hot = hot[np.abs(hot - centre).max(axis=1) < 80]
    assert len(hot) > 200 and np.abs(hot.mean(axis=0) - centre).max() < 3  # half a cell would be 20 pixels


def test_names_with_signs_that_matplotlib_takes_for_its_own():
    assert relation(row=peak(1, 7), lesion="_x $y^{$ 0.9", phase="100 $ late").shape == relation(row=peak(1, 7)).shape


def coloured(picture):
    """Pixels of the heat's reds and yellows."""
    return int((picture[..., 0] > picture[..., 2] + 60).sum())


def test_an_absent_phase_has_no_heat_and_zeros_are_said():
    nothing = relation(row=None, others={"delayed": None}, norm=np.zeros((8, 8)))
    assert coloured(nothing) == 0
    assert coloured(relation(row=None, others={"delayed": None})) > 1000
    even = np.full((8, 8), 1 / 64)
    three = relation(row=None, others={"delayed": None, "portal": Related(np.zeros((64, 64), np.uint8), even, even)})
    assert three.shape[1] > nothing.shape[1] and coloured(three) > 1000


def test_examples_are_tiled_pixel_for_pixel():
    rng = np.random.default_rng(0)
    tiles = [Tile(f"slice {number}", rng.integers(0, 255, (300, 400, 3)).astype(np.uint8)) for number in range(4)]
    picture = draw_examples([("above", tiles[:3]), ("below", tiles[3:])])
    for tile, (row, column) in zip(tiles, [(0, 0), (0, 1), (0, 2), (1, 0)]):
        top, left = 10 + 34 + 24 + row * (34 + 24 + 300 + 10), 10 + column * 410
        assert np.array_equal(picture[top : top + 300, left : left + 400], tile.picture)
    assert picture.shape == (2 * 368 + 10, 3 * 410 + 10, 3)
    assert draw_examples([("empty", []), ("below", tiles[:1])]).shape[0] == 68 + 368 + 10
    assert draw_examples([("alone", [])]).shape[1] >= 1000
