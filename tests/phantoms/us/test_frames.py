"""Tumors that cannot be seen, contact, lost beams, fresh speckle and fast motion of ultrasound phantoms."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from gluon_liver.errors import ConfigError
from gluon_liver.phantoms.us.config import USPhantomConfig
from gluon_liver.phantoms.us.folder import _annotation
from gluon_liver.phantoms.us.frames import FrameEffects, random_effects
from gluon_liver.phantoms.us.liver import Liver, Tumor
from gluon_liver.phantoms.us.probe import Fan, Pose, random_sweep
from gluon_liver.phantoms.us.scatter import BEAMS, Scanner, Scatterers
from gluon_liver.phantoms.us.sweep import boxes_of, make_us_scene, render
from scripts.oracles import us as oracle

FAN = Fan(radius_mm=40.0, half_angle=np.deg2rad(30.0), depth_mm=56.0, size=96)
STATIC = USPhantomConfig(size=96, depth_mm=(60.0, 60.0), density=0.2, in_plane_mm=0.0, elevation_mm=0.0, turn_deg=0.0)
STATIC = dataclasses.replace(STATIC, background_fraction=0.0, tumors=(1, 1), min_box_pixels=8)
FRONT = Pose.of((0.0, 0.0, 0.0))


def test_without_the_new_options_identifiers_are_as_first_published():
    assert set(dataclasses.asdict(USPhantomConfig())) - set(USPhantomConfig().record()) == set(USPhantomConfig.later)
    assert USPhantomConfig(decorrelation=0.5).record()["decorrelation"] == 0.5
    scene = make_us_scene(USPhantomConfig(size=64, density=0.02), seed=0, index=0, frames=1)
    assert scene.uid() == "2.25.144074261860288003474380744503476418503"


def test_a_hidden_tumor_is_boxed_and_leaves_no_trace():
    config = dataclasses.replace(STATIC, hidden_fraction=0.5)
    shown = 0
    for index in range(4):
        scene = make_us_scene(config, seed=1, index=index, frames=3)
        effects = random_effects(config, 1, index, 3, 1)
        assert not effects[0].hidden
        tumors = {box.frame: box for box in scene.boxes if box.label == "tumor"}
        assert set(tumors) == {0, 1, 2}
        without = dataclasses.replace(scene.liver, tumors=())
        options = {"gain_db": 0.0, "contact_db": 0.0, "seed": 1, "index": index}
        ours, _ = render(scene.liver, scene.fan, scene.poses, config, effects=effects, **options)
        empty, _ = render(without, scene.fan, scene.poses, config, **options)
        for frame in range(3):
            gone = 0 in effects[frame].hidden
            assert tumors[frame].hidden is gone and tumors[frame].box == tumors[0].box
            assert np.array_equal(ours[frame], empty[frame]) is gone
            shown += gone
        assert not any(0 in one.hidden and 0 in two.hidden for one, two in zip(effects, effects[1:]))
    assert 2 <= shown <= 6
    assert _annotation(tumors[0]).keys() | {"hidden"} == _annotation(dataclasses.replace(tumors[0], hidden=True)).keys()


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_as_many_are_hidden_as_asked_for(share):
    config = dataclasses.replace(STATIC, hidden_fraction=share)
    seen = np.zeros(5)
    for index in range(300):
        seen += [len(one.hidden) for one in random_effects(config, 0, index, 5, 2)]
    assert seen[0] == 0 and np.abs(seen[1:] / 600 - share).max() < 4.0 * np.sqrt(share * (1 - share) / 600)
    # no frame depends on how many follow
    first, longer = (random_effects(config, 0, 7, frames, 2) for frames in (3, 5))
    assert [one.hidden for one in first] == [one.hidden for one in longer[:3]]


def test_only_the_asked_share_of_the_speckle_is_new():
    inside = cv2.erode(FAN.contains(*FAN.grid()).astype(np.uint8), np.ones((17, 17))) > 0
    inside[:40] = False

    def alike(share):
        config = dataclasses.replace(STATIC, decorrelation=share, density=0.5)
        pictures = render(Liver(), FAN, [FRONT, FRONT], config)[0].astype(float)
        # without what depth does to brightness
        first, second = (picture - cv2.blur(picture, (15, 15)) for picture in pictures)
        return np.corrcoef(first[inside], second[inside])[0, 1]

    same, half, none = alike(0.0), alike(0.5), alike(1.0)
    # the correlation of intensities is the square of that of amplitudes, 1 - share
    assert same > 0.97 and 0.1 < half < 0.45 and abs(none) < 0.1


def test_contact_and_lost_beams_are_of_their_frame_alone():
    config = dataclasses.replace(STATIC, frame_contact_db=6.0, frame_shadow_fraction=0.5)
    effects = random_effects(config, 0, 0, 200, 0)
    contact = np.array([one.contact_db for one in effects if not one.lost.any()])
    assert 0.35 < len(contact) / 200 < 0.65
    assert contact.min() == 0.0 and 4.0 < np.sqrt((contact**2).mean() * 2) < 8.0
    widths = [one.lost.mean() for one in effects if one.lost.any()]
    assert max(widths) < 0.33 and np.mean(widths) > 0.15
    middles = [np.flatnonzero(one.lost).mean() / BEAMS for one in effects if one.lost.any()]
    assert min(middles) < 0.15 and max(middles) > 0.85

    lost = np.zeros(BEAMS, bool)
    lost[:96] = True
    dark = FrameEffects(contact_db=np.where(lost, 60.0, 0.0), lost=lost)
    liver = Liver(tumors=tuple(Tumor(np.array((x, 30.0, 0.0)), np.full(3, 8.0), np.eye(3), "halo") for x in (-14, 14)))
    (first, second), sections = render(liver, FAN, [FRONT, FRONT], STATIC, effects=[FrameEffects(), dark])
    left, right = (FAN.to_pixels(x, 30.0) for x in (-14.0, 14.0))
    for (column, row), gone in ((left, True), (right, False)):
        spots = [
            image[int(row) - 5 : int(row) + 6, int(column) - 5 : int(column) + 6].mean() for image in (first, second)
        ]
        assert bool(spots[1] < 0.3 * spots[0]) is gone
    assert [box.hidden for box in boxes_of(sections[1], 1, STATIC)] == [True, False]
    assert [box.box for box in boxes_of(sections[0], 0, STATIC)] == [
        box.box for box in boxes_of(sections[1], 0, STATIC)
    ]


def test_fast_motion_stays_in_the_liver():
    config = USPhantomConfig(in_plane_mm=40.0, period_frames=(4.0, 6.0))
    moves, reach = [], []
    for seed in range(40):
        poses = random_sweep(np.random.default_rng(seed), config, 6, np.zeros(3), np.zeros(3))
        places = np.array([pose.position for pose in poses])
        reach.append(np.abs(places[:, 0]).max())
        moves += np.abs(np.diff(places[:, 0])).tolist()
    assert max(moves) <= 40.0 and np.mean(moves) > 12.0 and max(reach) < 40.0


@pytest.mark.parametrize(
    "option",
    [{"hidden_fraction": 0.6}, {"decorrelation": 1.1}, {"frame_shadow_fraction": -0.1}, {"period_frames": (1, 4)}],
)
def test_options_out_of_range_are_named(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        USPhantomConfig(**option)


def test_oracles_find_hidden_tumors_in_the_frame_before_alone():
    hiding = dataclasses.replace(STATIC, hidden_fraction=0.5)
    changed = oracle.traces(hiding, 4)
    assert changed[True] == 0.0 and changed[False] > 0.5
    found = oracle.places(dataclasses.replace(hiding, tumor_mm=(16.0, 20.0)), 6)
    assert {place.tumor for place in found} == {place.hidden for place in found} == {True, False}
    assert all(set(place.views) == set(oracle.VIEWS) for place in found)
    still, _, alike = oracle.motion(STATIC, 2)
    fast, _, moved = oracle.motion(dataclasses.replace(STATIC, in_plane_mm=40.0, period_frames=(4.0, 5.0)), 4)
    assert still < 1e-6 and alike > 0.99 and fast > 0.3 and moved < 0.8


def test_no_two_frames_share_the_scanners_noise():
    silent = Scatterers(np.zeros((3, 1), np.float32), np.zeros((2, 1), np.float32), 0.5)
    scanner, rng = (
        Scanner(FAN, dataclasses.replace(STATIC, dynamic_range_db=80.0), gain_db=30.0),
        np.random.default_rng(0),
    )
    inside = FAN.contains(*FAN.grid())
    inside[:40] = False
    pictures = [scanner.picture(silent, FRONT, np.zeros((96, 96)), rng)[inside].astype(float) for _ in range(3)]
    assert min(picture.std() for picture in pictures) > 2.0
    flat = [picture - np.mean(pictures, axis=0) for picture in pictures]
    # of three independent ones without their mean, two correlate with -1/2
    assert np.corrcoef(flat)[np.triu_indices(3, 1)] == pytest.approx(np.full(3, -0.5), abs=0.1)
