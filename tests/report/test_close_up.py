"""Close-ups: which part of an image is shown, how large, and where boxes lie in it."""

import numpy as np
import pytest
from PIL import Image

from gluon_liver.report.figures.close_up import SIDE, draw_close_up, region_around, save_webp
from gluon_liver.report.figures.drawing import Rect, draw_overlay
from gluon_liver.structures.detections import NOTHING, Detections

COLOURS = [(255, 0, 0)]


@pytest.mark.parametrize(
    "box, size, region",
    [
        ((250, 200, 290, 220), (512, 512), (190, 130, 350, 290)),  # four times 40
        ((250, 200, 255, 206), (512, 512), (204, 155, 300, 251)),  # 96 at least
        ((0, 500, 40, 512), (512, 512), (0, 352, 160, 512)),  # moved into the image
        ((10, 10, 50, 50), (64, 64), (0, 0, 64, 64)),
        ((10, 10, 50, 50), (64, 300), (0, 0, 160, 64)),
    ],
)
def test_the_part_around_a_box(box, size, region):
    assert region_around(np.array(box), *size) == Rect(*region)


def found(*boxes):
    return Detections(np.array(boxes, np.float32), np.full(len(boxes), 0.9), np.zeros(len(boxes), np.int32))


def drawn(picture, region, detections):
    return draw_close_up(picture, region, detections, truth=NOTHING, classes=["cyst"], colours=COLOURS)


def test_boxes_move_with_the_part_and_others_are_left_out():
    picture = np.random.default_rng(0).integers(0, 255, (200, 300), dtype=np.uint8)
    region = Rect(100, 50, 200, 150)
    boxes = found((110, 70, 130, 95), (190, 140, 260, 190), (0, 0, 90, 40), (200, 60, 220, 80))
    wanted = draw_overlay(
        picture[50:150, 100:200],
        found((10, 20, 30, 45), (90, 90, 100, 100)),
        truth=NOTHING,
        classes=["cyst"],
        colours=COLOURS,
        scale=5,
        legend=False,
    )
    assert (drawn(picture, region, boxes) == wanted).all() and wanted.shape == (500, 500, 3)


def test_a_large_part_is_made_smaller_with_its_boxes():
    picture = np.zeros((1024, 600, 3), np.uint8)
    shown = drawn(picture, Rect(0, 0, 600, 1024), found((200, 400, 400, 800)))
    assert shown.shape == (SIDE, 300, 3)
    red = np.argwhere((shown == COLOURS[0]).all(axis=2))
    # the lines lie just outside 100 to 200 and 200 to 400
    assert red[:, 0].max() in (400, 401) and red[:, 1].max() in range(200, 203)


def test_brackets_stand_around_the_box_that_it_is_about():
    picture, region = np.full((300, 300), 90, np.uint8), Rect(100, 100, 200, 200)
    looks = dict(truth=None, classes=["cyst"], colours=COLOURS)
    plain = draw_close_up(picture, region, NOTHING, **looks)
    marked = draw_close_up(picture, region, NOTHING, about=np.array([140, 150, 160, 180]), **looks)
    rows, columns = np.nonzero((plain != marked).any(axis=2))
    # enlarged five times the box is 200 to 300 by 250 to 400
    assert 185 <= columns.min() < 195 and 305 < columns.max() <= 315
    assert 235 <= rows.min() < 245 and 405 < rows.max() <= 415
    assert (plain == marked)[250:400, 200:300].all() and (marked[243:246, 193:196] == 255).any()


def test_webp_is_written_whole(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    save_webp(tmp_path / "one.webp", picture)
    with Image.open(tmp_path / "one.webp") as image:
        assert image.format == "WEBP" and image.size == (60, 40)
