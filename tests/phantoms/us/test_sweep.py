"""Ultrasound phantoms: the fan by hand, poses, exact flow, boxes by hand, speckle that moves with the tissue."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from gluon_liver.errors import ConfigError
from gluon_liver.phantoms.shapes import bend
from gluon_liver.phantoms.us.config import USPhantomConfig
from gluon_liver.phantoms.us.liver import KINDS, LUMEN_ECHO, Liver, Tumor, random_liver, scatterer_echo
from gluon_liver.phantoms.us.probe import Fan, Pose, random_sweep, tissue_motion
from gluon_liver.phantoms.us.scatter import Scanner, Scatterers
from gluon_liver.phantoms.us.sweep import boxes_of, cut, make_us_scene, render

# a flat-topped ruler: 100 pixels, and a fan that is easy to compute with
FAN = Fan(radius_mm=40.0, half_angle=np.deg2rad(30.0), depth_mm=56.0, size=100)
SMALL = USPhantomConfig(size=96, depth_mm=(60.0, 60.0), radius_mm=(40.0, 40.0), half_angle_deg=(30.0, 30.0))
FRONT = Pose.of((0.0, 0.0, 0.0))


def ball(centre, radius, kind="hypoechoic"):
    return Tumor(np.array(centre, float), np.full(3, float(radius)), np.eye(3), kind)


def warp(image, flow):
    """image at (pixel + flow), by OpenCV."""
    j, i = np.meshgrid(np.arange(image.shape[1], dtype=np.float32), np.arange(image.shape[0], dtype=np.float32))
    return cv2.remap(image.astype(np.float32), j + flow[0], i + flow[1], cv2.INTER_LINEAR)


def test_the_fan_by_hand():
    assert FAN.width_mm == pytest.approx(96.0) and FAN.pixel_mm == pytest.approx(1.0)
    assert FAN.top_mm == pytest.approx(40.0 * (np.sqrt(0.75) - 1.0))
    assert FAN.to_pixels(0.0, FAN.top_mm) == (50.0, 11.0)
    assert FAN.to_plane(*FAN.to_pixels(3.0, 7.0)) == pytest.approx((3.0, 7.0))
    x = np.array([0.0, 0.0, 0.0, 0.0, 48.0, -48.0, 49.0, 20.0])
    y = np.array([-0.1, 0.1, 55.9, 56.1, 96.0 * np.sqrt(0.75) - 40.01, 20.0, 43.0, -5.3])
    assert FAN.contains(x, y).tolist() == [False, True, True, False, False, False, False, True]
    distance, angle = FAN.polar(np.array([48.0]), np.array([96.0 * np.sqrt(0.75) - 40.0]))
    assert distance[0] == pytest.approx(56.0) and np.rad2deg(angle[0]) == pytest.approx(30.0)
    x1, y1, x2, y2 = FAN.region
    assert (x1, y1, x2) == (2, 11, 98) and y2 == 11 + int(np.ceil(56.0 - FAN.top_mm))
    inside = FAN.contains(*FAN.grid())
    assert inside[y1:y2, x1:x2].sum() == inside.sum()


def test_poses_turn_and_come_back():
    pose = Pose.of((1.0, 2.0, 3.0), (0.1, -0.2, 0.3))
    assert np.allclose(pose.axes @ pose.axes.T, np.eye(3))
    points = np.random.default_rng(0).normal(size=(3, 20))
    assert np.allclose(pose.to_probe(*pose.to_liver(*points)), points)
    rocked = Pose.of((0, 0, 0), (0, 0, np.pi / 2))
    # the picture's x axis points where the liver's y axis does
    assert np.allclose(rocked.to_liver(1.0, 0.0), (0, 1, 0))
    tilted = Pose.of((0, 0, 0), (np.pi / 2, 0, 0))
    assert np.allclose(tilted.to_liver(0.0, 1.0), (0, 0, 1))


def test_the_flow_of_a_shift_in_the_plane_is_its_opposite():
    motion = tissue_motion(FAN, FRONT, Pose.of((2.5, -1.0, 0.0)))
    assert np.allclose(motion.flow[:, motion.valid], [[-2.5], [1.0]], atol=1e-5)
    assert not motion.flow[:, ~motion.valid].any() and not motion.elevation_mm.any()
    x, y = FAN.grid()
    assert np.array_equal(motion.valid, FAN.contains(x, y) & FAN.contains(x - 2.5, y + 1.0))


def test_the_flow_of_a_rock_and_of_motion_across():
    angle = np.deg2rad(2.0)
    motion = tissue_motion(FAN, FRONT, Pose.of((0, 0, 0), (0, 0, angle)))
    row, column = 60, 70
    x, y = FAN.to_plane(column + 0.5, row + 0.5)
    new = np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y
    assert motion.flow[:, row, column] == pytest.approx((new[0] - x, new[1] - y), abs=1e-4)
    across = tissue_motion(FAN, FRONT, Pose.of((0, 0, 0.5)))
    assert np.abs(across.flow).max() < 1e-5 and np.allclose(across.elevation_mm[across.valid], -0.5)


def test_boxes_by_hand():
    # a ball of 10 mm about (4, 30, 0); the pose looks 6 mm beside its middle: a disc of 8 mm
    liver = Liver(tumors=(ball((4, 30, 6), 10),))
    section = cut(liver, FAN, FRONT)
    config = dataclasses.replace(SMALL, min_box_depth_mm=0.0)
    (box,) = boxes_of(section, 7, config)
    left, top = FAN.to_pixels(4 - 8, 30 - 8)
    right, bottom = FAN.to_pixels(4 + 8, 30 + 8)
    # a pixel counts if its centre lies inside
    assert box.label == "tumor" and box.frame == 7
    assert np.abs(np.array(box.box) - (left, top, right, bottom)).max() <= 0.5 + 1e-6
    assert box.pixels == pytest.approx(np.pi * 64, rel=0.03)
    assert section.tumors[0].max() == pytest.approx(4.0, abs=0.1)
    assert boxes_of(section, 0, dataclasses.replace(config, min_box_depth_mm=4.5)) == []
    assert boxes_of(section, 0, dataclasses.replace(config, min_box_pixels=300)) == []
    assert boxes_of(cut(liver, FAN, Pose.of((0, 0, -5))), 0, config) == []


def test_vessels_are_cut_where_the_plane_meets_them():
    across = bend(((-10, 20, -30), (-10, 20, 0), (-10, 20, 30)), (4.0, 4.0))
    along = bend(((0, 40, 0), (10, 40, 0), (20, 40, 0)), (3.0, 3.0))
    behind = bend(((0, 30, 9), (10, 30, 9), (20, 30, 9)), (3.0, 3.0))
    boxes = boxes_of(cut(Liver(portal=[across], hepatic=[along, behind]), FAN, FRONT), 0, SMALL)
    assert [one.label for one in boxes] == ["vessel", "vessel"]
    for one, (low, high) in zip(boxes, (((-14, 16), (-6, 24)), ((-3, 37), (23, 43)))):
        expected = FAN.to_pixels(*low) + FAN.to_pixels(*high)
        assert np.abs(np.array(one.box) - expected).max() <= 0.5 + 1e-6
    # a tumor in the way takes its part of the lumen, and what lies outside of the fan or the organ has no box
    cutting = Liver(tumors=(ball((10, 40, 0), 6),), hepatic=[along])
    assert len([one for one in boxes_of(cut(cutting, FAN, FRONT), 0, SMALL) if one.label == "vessel"]) == 2
    assert boxes_of(cut(Liver(hepatic=[along], surface=((0, 0, 0), (30.0, 30.0, 30.0))), FAN, FRONT), 0, SMALL) == []
    edge = boxes_of(cut(Liver(tumors=(ball((0, 56, 0), 8),)), FAN, FRONT), 0, SMALL)[0]
    assert edge.box[3] == pytest.approx(FAN.to_pixels(0.0, 56.0)[1], abs=0.6)


def test_echo_of_scatterers():
    points = np.array([[0, 0, 0, 20, 0], [10, 30, 41, 30, 60], [0, 0, 0, 0, 0]], np.float32)
    tube = bend(((20, 30, -9), (20, 30, 0), (20, 30, 9)), (3.0, 3.0))
    liver = Liver(tumors=(ball((0, 30, 0), 8), ball((0, 60, 0), 8, "hyperechoic")), portal=[tube])
    assert scatterer_echo(liver, points) == pytest.approx([1.0, 0.33, 1.0, LUMEN_ECHO, 2.8])


def brightness(liver, places):
    """Mean grey levels of 9x9 pixels about plane points."""
    (image,), _ = render(liver, FAN, [FRONT], SMALL)
    means = []
    for place in places:
        column, row = (int(edge) for edge in FAN.to_pixels(*place))
        means.append(float(image[row - 4 : row + 5, column - 4 : column + 5].mean()))
    return image, means


def test_a_picture_shows_dark_vessels_tumors_and_shadows():
    rib = [bend(((-15, 8, -20), (-15, 8, 0), (-15, 8, 20)), (3.0, 3.0))]
    vessel = [bend(((0, 15, -20), (0, 15, 0), (0, 15, 20)), (6.0, 6.0))]
    liver = Liver(tumors=(ball((0, 38, 0), 8), ball((20, 38, 0), 7, "hyperechoic")), hepatic=vessel, ribs=rib)
    places = [(-13, 46), (0, 15), (0, 38), (20, 38), (-22, 32)]
    image, (tissue, lumen, dark, bright, shadow) = brightness(liver, places)
    assert image.dtype == np.uint8 and not image[~FAN.contains(*FAN.grid())].any()
    assert lumen < 0.35 * tissue and dark < tissue - 15 and bright > tissue + 15 and shadow < 0.35 * tissue
    hidden = Liver(tumors=(ball((-22, 32, 0), 4),), ribs=rib)
    assert len(boxes_of(cut(hidden, FAN, FRONT), 0, SMALL)) == 1
    _, sections = render(hidden, FAN, [FRONT], SMALL)
    assert boxes_of(sections[0], 0, SMALL) == []


def test_a_single_scatterer_lands_on_its_pixel_and_widens_away_from_the_focus():
    widths = []
    for depth in (20.3, 50.3):
        scatterers = Scatterers(np.array([[5.2], [depth], [0.0]], np.float32), np.full((2, 1), 90.0, np.float32), 0.5)
        scanner = Scanner(FAN, SMALL)
        image = scanner.picture(scatterers, FRONT, np.zeros((100, 100), np.float32), np.random.default_rng(0))
        image[:20] = 0  # the ringing of the probe
        row, column = np.unravel_index(image.argmax(), image.shape)
        expected = FAN.to_pixels(5.2, depth)
        assert abs(column + 0.5 - expected[0]) <= 1.0 and abs(row + 0.5 - expected[1]) <= 1.0
        widths.append(int((image[row] > 0.5 * image.max()).sum()))
    assert widths[0] > widths[1]


def test_speckle_moves_with_the_tissue_and_changes_across_the_picture():
    poses = [FRONT, Pose.of((1.3, 0, 0)), Pose.of((0, 0, 0.3)), Pose.of((0, 0, 4.0))]
    images, _ = render(Liver(), FAN, poses, SMALL)
    first, shifted, near, far = images.astype(np.float32)
    motion = tissue_motion(FAN, poses[0], poses[1])
    seen = cv2.erode(motion.valid.astype(np.uint8), np.ones((9, 9))) > 0
    seen[:18] = False

    def alike(a, b):
        return np.corrcoef(a[seen], b[seen])[0, 1]

    assert alike(first, warp(shifted, motion.flow)) > 0.9 > 0.75 > alike(first, shifted)
    assert alike(first, near) > 0.9 and alike(first, far) < 0.6


def test_the_exact_flow_explains_most_of_the_difference():
    scene = make_us_scene(SMALL, seed=5, index=0, frames=3)
    for k, motion in enumerate(scene.motions):
        before, after = (scene.frames[k + i].astype(np.float32) for i in (0, 1))
        seen = cv2.erode(motion.valid.astype(np.uint8), np.ones((5, 5))) > 0
        plain = np.abs(before - after)[seen].mean()
        assert plain > 1.6 * np.abs(before - warp(after, motion.flow))[seen].mean()


def test_a_scene_depends_on_its_seed_and_index_alone():
    scene = make_us_scene(SMALL, seed=1, index=2, frames=2)
    again = make_us_scene(SMALL, seed=1, index=2, frames=2)
    assert np.array_equal(scene.frames, again.frames) and scene.boxes == again.boxes and scene.uid() == again.uid()
    other = make_us_scene(SMALL, seed=1, index=3, frames=2)
    assert not np.array_equal(scene.frames, other.frames) and scene.uid() != other.uid()
    longer = make_us_scene(SMALL, seed=1, index=2, frames=3)
    assert longer.boxes[: len(scene.boxes)] == scene.boxes
    pair = dataclasses.replace(SMALL, scenes_per_patient=2)
    first, second, third = (make_us_scene(pair, seed=1, index=index, frames=1) for index in (2, 3, 4))
    assert [one.patient for one in (first, second, third)] == [1, 1, 2]
    assert [t.kind for t in first.liver.tumors] == [t.kind for t in second.liver.tumors]
    assert not np.array_equal(first.poses[0].position, second.poses[0].position)


def test_the_sweep_keeps_its_bounds():
    poses = random_sweep(np.random.default_rng(0), SMALL, 60, np.zeros(3), np.array([0.1, 0.2, 0.0]))
    for before, after in zip(poses, poses[1:]):
        step = np.array(before.to_probe(*after.position))
        assert np.linalg.norm(step[:2]) <= 1.05 * SMALL.in_plane_mm and abs(step[2]) <= SMALL.elevation_mm + 0.05
        turn = np.rad2deg(np.arccos(np.clip((np.trace(before.axes @ after.axes.T) - 1) / 2, -1, 1)))
        assert turn <= 2.0 * SMALL.turn_deg


@pytest.mark.slow
def test_how_a_tumor_looks_tells_nothing_of_its_size_and_place():
    config = USPhantomConfig(background_fraction=0.0)
    tumors = [tumor for patient in range(300) for tumor in random_liver(7, patient, config).tumors]
    kinds = np.array([KINDS.index(tumor.kind) for tumor in tumors])
    assert np.bincount(kinds).min() > 0.27 * len(kinds)
    size, depth = np.array([(tumor.half.mean(), tumor.centre[1]) for tumor in tumors]).T
    for values in (size, depth):
        means = [values[kinds == kind].mean() for kind in range(3)]
        assert np.ptp(means) < 4.0 * values.std() / np.sqrt(len(kinds) / 3)
    wide = random_liver(7, 3, dataclasses.replace(config, tumor_mm=(30.0, 31.0), tumors=(1, 1))).tumors
    assert wide[0].kind == random_liver(7, 3, config).tumors[0].kind


@pytest.mark.parametrize(
    "option", [{"size": 100}, {"depth_mm": (90.0, 60.0)}, {"tumors": (0, 1)}, {"density": 0.0}, {"rib_fraction": 2.0}]
)
def test_options_out_of_range_are_named(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        USPhantomConfig(**option)
