"""Which frame is the previous one: by step and scene, and how many labelled frames have none."""

from __future__ import annotations

import pytest

from gluon_liver.data.us_pairs import Pairs, digest_pairs, frames_before, label_distances, seconds


def by_hand(scene_of, step):
    """Frame by frame: the wanted one lies in the scene where no border does between its ends."""
    result = {}
    for frame, scene in scene_of.items():
        own = [other for other, name in scene_of.items() if name == scene]
        wanted = frame - step
        between = [name for other, name in scene_of.items() if wanted <= other <= frame]
        before = [other for other in scene_of if other <= wanted]
        if wanted >= min(own) and set(between) == {scene} and scene_of[max(before)] == scene:
            result[frame] = wanted
    return result


@pytest.mark.parametrize(
    "frames, step, expected",
    [
        ((4, 5, 6, 9, 10), 1, {5: 4, 6: 5, 9: 8, 10: 9}),  # 8 has no label
        ((4, 5, 6, 9, 10), 3, {9: 6, 10: 7}),
        ((0, 6, 12, 18, 24), 6, {6: 0, 12: 6, 18: 12, 24: 18}),
        ((0, 6, 12, 18, 24), 1, {6: 5, 12: 11, 18: 17, 24: 23}),
        ((0, 6, 12, 18, 24), 7, {12: 5, 18: 11, 24: 17}),
        ((7,), 1, {}),
    ],
)
def test_the_previous_frame_lies_a_step_before_in_the_scene(frames, step, expected):
    assert frames_before(dict.fromkeys(frames, 1), step) == expected == by_hand(dict.fromkeys(frames, 1), step)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 6, 9, 40])
def test_no_pair_crosses_the_border_of_a_scene(step):
    # b follows a at once, c after a gap, and d lies between two parts of c
    scene_of = {**dict.fromkeys((0, 1, 4), "a"), **dict.fromkeys((5, 7, 8), "b")}
    scene_of.update({**dict.fromkeys((20, 22, 23, 30, 31), "c"), **dict.fromkeys((26, 27), "d")})
    assert frames_before(scene_of, step) == by_hand(scene_of, step)
    if step == 1:
        assert frames_before(scene_of, 1) == {1: 0, 4: 3, 7: 6, 8: 7, 22: 21, 23: 22, 27: 26, 31: 30}


def test_frames_without_a_previous_one_are_counted():
    scene_of = dict.fromkeys((0, 6, 12, 18), 1)
    before = frames_before(scene_of, 1)
    assert Pairs.of(scene_of, before, [*scene_of, 5, 17]) == (2, 1, 1)
    assert Pairs.of([12], before, scene_of) == (0, 0, 1)
    assert Pairs.of_all([Pairs(1, 2, 3), Pairs(10, 20, 30)]) == (11, 22, 33) and Pairs.of_all([]) == (0, 0, 0)
    assert Pairs(2, 1, 0).faults(1, "images") == [] and Pairs(1, 1, 0).faults(1, "images") == []
    (missing,) = Pairs(4, 1, 3).faults(6, "training images")
    assert "one frame alone of 3 of 8 training images: the frame 6 before" in missing and "--step 6" in missing
    (first,) = Pairs(1, 2, 0).faults(9, "images")
    assert "of 2 of 3 images: fewer than 9 frame(s) of their scene lie before them" in first
    assert "smaller --step" in first and "smaller --step" not in Pairs(0, 2, 0).faults(1, "images")[0]


def test_distances_and_times():
    assert label_distances({0: "a", 6: "a", 12: "a", 13: "b", 20: "b"}) == [6, 6, 7]
    told = "0.24 s at 25, 0.12 s at 50 frames a second; of some recordings the rate is not known"
    assert seconds(6, [25, None, 50.0]) == f" ({told})"
    assert seconds(6, [None]) == seconds(1, []) == ""


def test_the_digest_of_pairs_is_of_what_is_paired():
    pairs = [("a", 4, 3), ("a", 3, None), ("b", 4, 3)]
    assert digest_pairs(pairs) == digest_pairs(pairs[::-1])
    assert digest_pairs(pairs) != digest_pairs([("a", 4, 2), *pairs[1:]]) != digest_pairs([("a", 4, None), *pairs[1:]])
