from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.report.figures.drawing import CLASS_COLOURS, GT_COLOUR, Rect, draw_overlay, place_labels
from gluon_liver.structures.detections import NOTHING
from tests.report.conftest import CLASSES, detections


def draw(picture, found=NOTHING, truth=NOTHING, **options):
    return draw_overlay(picture, found, truth=truth, classes=CLASSES, **options)


def has_colour(image, colour):
    return (image == np.array(colour)).all(axis=-1)


@pytest.mark.parametrize(
    "size, scale, expected", [(256, None, 768), (512, None, 1024), (800, None, 800), (256, 1, 256)]
)
def test_small_images_are_enlarged(size, scale, expected):
    image = draw(np.zeros((size, size), np.uint8), scale=scale)
    assert image.dtype == np.uint8 and image.shape[1:] == (expected, 3)
    assert expected < image.shape[0] < expected + 100  # the legend strip


def test_the_outline_lies_around_the_box_in_the_colour_of_its_class():
    grey = np.full((400, 400), 60, np.uint8)
    image = draw(grey, detections([(100, 120, 180, 200)], [1], [0.87]), scale=2)
    solid = has_colour(image[:800], CLASS_COLOURS[1])
    line = 2  # 800 / 320, rounded
    assert solid[240 - line : 400 + line, 200 - line : 200].all()  # left edge
    assert solid[240 - line : 400 + line, 360 : 360 + line].all()
    assert solid[240 - line : 240, 200:360].all() and solid[400 : 400 + line, 200:360].all()
    assert (image[240:400, 200:360] == 60).all()  # nothing is drawn inside the box


def test_ground_truth_is_dashed_and_white_and_stays_visible_on_an_exact_hit():
    grey = np.zeros((400, 400), np.uint8)
    exact = detections([(100, 100, 200, 200)], [0], [1.0])
    image = draw(grey, exact, exact, scale=2)
    edge = image[199, 200:400]
    white, blue = has_colour(edge, GT_COLOUR), has_colour(edge, CLASS_COLOURS[0])
    assert (white | blue).all()
    assert 0.4 < white.mean() < 0.6


def test_labels_are_placed_beside_the_box():
    above = place_labels([Rect(100, 100, 150, 150)], [(60, 20)], 400, 400)
    assert above == [Rect(100, 80, 160, 100)]
    at_the_top = place_labels([Rect(100, 5, 150, 50)], [(60, 20)], 400, 400)
    assert at_the_top == [Rect(100, 50, 160, 70)]
    in_the_right_corner = place_labels([Rect(380, 0, 400, 400)], [(60, 20)], 400, 400)
    assert in_the_right_corner == [Rect(320, 0, 380, 20)]
    assert place_labels([Rect(0, 0, 400, 400)], [(60, 20)], 400, 400) == [None]


@pytest.mark.parametrize("seed", range(5))
def test_labels_cover_no_box_no_label_and_stay_inside(seed):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 500, (20, 2))
    outlines = [Rect(x, y, x + rng.integers(4, 140), y + rng.integers(4, 140)) for x, y in corner.tolist()]
    sizes = [(int(rng.integers(40, 130)), 20) for _ in outlines]
    places = place_labels(outlines, sizes, 640, 640)
    placed = [place for place in places if place is not None]
    assert len(placed) >= 10
    for number, place in enumerate(placed):
        assert 0 <= place.left < place.right <= 640 and 0 <= place.top < place.bottom <= 640
        assert not any(place.meets(other) for other in [*outlines, *placed[:number]])


def test_a_label_without_room_moves_to_the_legend():
    grey = np.zeros((256, 256), np.uint8)
    whole = draw(grey, detections([(0, 0, 256, 256)] * 3, [2, 1, 2], [0.5, 0.6, 0.7]))
    small = draw(grey, detections([(99, 99, 120, 120)], [2], [0.5]))
    assert whole.shape[0] > small.shape[0]
    assert (whole[10:758, 10:758] == 0).all()  # no text in the box


def test_boxes_beyond_the_image_are_cut_at_its_edge():
    grey = np.zeros((100, 100), np.uint8)
    boxes = [(-30, 10, 20, 40), (90, 90, 140, 150), (200, 200, 230, 230), (-9, -9, -5, -5)]
    image = draw(grey, detections(boxes, [0, 1, 2, 0], [0.9] * 4))
    for colour in CLASS_COLOURS[:3]:
        assert has_colour(image[: image.shape[1]], colour).any()


def test_only_eight_bit_grey_or_rgb():
    for wrong in (np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            draw(wrong)
