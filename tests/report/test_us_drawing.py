from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.report.figures.chart import US_CURVE_COLOURS
from gluon_liver.report.figures.drawing import CLASS_COLOURS, GT_COLOUR
from gluon_liver.report.figures.us_drawing import BESIDE, US_COLOURS, draw_us, us_colours, us_curve_colours
from gluon_liver.structures.detections import NOTHING
from tests.report.conftest import detections

CLASSES = ("tumor", "vessel")
TUMOR, VESSEL = (US_COLOURS[name] for name in CLASSES)
FRAME = np.full((400, 500, 3), (60, 61, 62), np.uint8)


def has(image, colour):
    return (image == np.array(colour)).all(axis=-1)


def test_colours_are_those_of_the_paper():
    assert TUMOR[2] > TUMOR[1] > TUMOR[0] and min(TUMOR) > 90  # light blue
    assert VESSEL[0] > 3 * max(VESSEL[1:])  # red


def test_outlines_lie_around_boxes_of_half_the_probability_and_more():
    boxes = [(100, 120, 180, 200), (300, 120, 380, 200), (100, 300, 180, 380)]
    found = detections(boxes, [0, 1, 1], [0.5, 0.9, 0.499])
    image = draw_us(FRAME, found, CLASSES, scale=2)
    assert image.shape[1] == 1000 and image.shape[0] > 800  # the legend
    assert has(image[240:400, 197:200], TUMOR).any() and has(image[240:400, 597:600], VESSEL).any()
    assert (image[250:390, 210:350] == FRAME[0, 0]).all()  # nothing inside the box, and RGB stays RGB
    assert (image[590:770, 190:370] == FRAME[0, 0]).all()  # below the probability
    lower = draw_us(FRAME, found, CLASSES, scale=2, score_threshold=0.4)
    assert has(lower[590:770, 190:370], VESSEL).any()


def test_ground_truth_is_dashed_and_only_where_somebody_annotated():
    truth = detections([(100, 100, 200, 200)], [1], [1.0])
    drawn = draw_us(FRAME, NOTHING, CLASSES, truth=truth, scale=1)
    edge = has(drawn[99, 100:200], GT_COLOUR)
    assert 0.4 < edge.mean() < 0.6
    nobody = draw_us(FRAME, NOTHING, CLASSES, scale=1)
    nothing = draw_us(FRAME, NOTHING, CLASSES, truth=NOTHING, scale=1)
    assert (nobody[:400] == FRAME).all() and (nothing[:400] == FRAME).all()
    assert not has(nobody, GT_COLOUR).any() and has(nothing[400:], GT_COLOUR).any()  # the legend's sample


@pytest.mark.parametrize("height, width, scale", [(178, 246, 3), (256, 256, 3), (512, 512, 2), (600, 800, 1)])
def test_a_video_keeps_its_size(height, width, scale):
    frame = np.zeros((height, width, 3), np.uint8)
    whole = [(0, 0, width, height)] * 3 + [(width - 3, height - 3, width, height)]
    for count in range(5):
        image = draw_us(frame, detections(whole[:count], [0] * count, [0.9] * count), CLASSES, legend=False)
        assert image.shape == (scale * height, scale * width, 3) and image.flags.writeable
    assert has(image, TUMOR)[10:-10, 10:60].any()  # no place beside the box: the text lies in it


def test_the_frame_is_not_changed():
    frame = FRAME.copy()
    draw_us(frame, detections([(10, 10, 50, 50)], [0], [0.9]), CLASSES, scale=1)
    assert (frame == FRAME).all()


def test_other_classes_have_colours_of_their_own():
    three = us_colours(("vessel", "gallbladder", "tumor"))
    assert (three[0], three[2]) == (VESSEL, TUMOR) and three[1] == CLASS_COLOURS[BESIDE[0]]
    assert us_colours(("cyst",)) == [CLASS_COLOURS[0]]
    assert us_curve_colours(("vessel", "tumor")) == [*reversed(US_CURVE_COLOURS)]
    image = draw_us(FRAME, detections([(100, 120, 180, 200)], [1], [0.9]), ("tumor", "gallbladder"), scale=1)
    assert has(image[:400], CLASS_COLOURS[BESIDE[0]]).any()
    assert len(us_colours([f"class {number}" for number in range(30)])) == 30
