"""The backbone along a study: against its formula map by map, and against windows where both must be equal."""

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.nn.dense import REACH, STEP, DenseBackbone

from .backbones.test_resnet3d import randomise
from .conftest import SIZE, ct_detector

KINDS = [{}, {"texture_head": True}, {"fusion": True, "texture_head": True}]
FUSION_SIZES = {"rpn__anchor_sizes": [8, 16, 32, 64]}


def detector_of(phases=1, **changes):
    if changes.get("fusion"):
        changes.update(FUSION_SIZES)
    built = ct_detector(slices=9, phases=phases, **changes)
    randomise(built.backbone, 3)
    if phases > 1:
        randomise(built.relation, 4)
    return built


def volume(slices, phases=1, seed=0):
    return np.random.default_rng(seed).normal(size=(slices, phases, SIZE, SIZE)).astype(np.float32)


def along(detector, planes, present=None):
    """Features of every slice of (Z, P, H, W), those of two slices at a time put together."""
    backbone, count, found = DenseBackbone(detector), len(planes), []
    present = np.ones(planes.shape[:2]) if present is None else present
    for first in range(-REACH, count + REACH, STEP):
        places = np.clip([first, first + 1], 0, count - 1)
        done = np.clip(places - REACH - 1, 0, count - 1)
        features = backbone.read(mx.nd.array(planes[places]), mx.nd.array(present[done]))
        if features is not None:
            found.append([one.asnumpy() for one in features])
    return [np.concatenate(level)[:count] for level in zip(*found)]


def maps_by_formula(backbone, planes):
    """Block1's and Block3's means of each slice of one phase, as the module's first lines have them."""
    count = len(planes)

    def at(array, z):
        return array[min(max(z, 0), count - 1)]

    def f(z):
        stack = mx.nd.array(np.stack([at(planes, z + tap) for tap in range(-3, 4)])[None])
        weight = backbone.stem.conv1.weight.data().squeeze(axis=1)
        x = mx.nd.Convolution(
            stack, weight, kernel=(7, 7), stride=(2, 2), pad=(3, 3), num_filter=len(weight), no_bias=True
        )
        x = backbone.stem.bn1(x).relu()
        return mx.nd.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")

    stems = {z: f(z) for z in range(-4, count + 4)}
    pairs = {y: backbone.block1(mx.nd.maximum(stems[y - 1], stems[y + 1])) for y in range(-3, count + 3)}
    q2 = {q: backbone.block2(mx.nd.maximum(pairs[q - 2], pairs[q + 2])) for q in range(-1, count + 1)}
    block1 = [sum(pairs[c + k] for k in (-3, -1, 1, 3)) / 4 for c in range(count)]
    block3 = [(backbone.block3(q2[c - 1]) + backbone.block3(q2[c + 1])) / 2 for c in range(count)]
    return [mx.nd.concat(*maps, dim=0).asnumpy() for maps in (block1, block3)]


@pytest.mark.parametrize("count", [1, 5, 12])
def test_maps_are_those_of_the_formula(count):
    detector, planes = detector_of(texture_head=True), volume(count)
    block3, shallow = along(detector, planes)
    expected1, expected3 = maps_by_formula(detector.backbone, planes[:, 0])
    assert block3.shape == expected3.shape and expected3.std() > 1e-2
    assert np.allclose(block3, expected3, atol=1e-5 * np.abs(expected3).max())
    assert np.allclose(shallow, detector.texture.reduce(mx.nd.array(expected1)).asnumpy(), atol=1e-4)


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("phases", [1, 3])
def test_slices_that_are_alike_have_the_features_of_their_windows(changes, phases):
    """A missing phase too: what stands in for it changes nothing."""
    detector = detector_of(phases, **changes)
    present = np.ones((3, phases))
    present[:, 1:2] = 0
    planes = np.repeat(volume(1, phases), 3, axis=0)
    window = mx.nd.array(np.repeat(planes[:1, :, None, None], 9, axis=3))
    features = detector.features(mx.nd, window, *([mx.nd.array(present[:1])] if phases > 1 else []))
    expected = [*features.maps, *([] if features.shallow is None else [features.shallow])]
    found = along(detector, planes, present)
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        other = other.asnumpy()
        assert other.std() > 1e-3
        assert np.allclose(one, np.repeat(other, 3, axis=0), atol=2e-5 * max(1, np.abs(other).max()))


def test_a_study_is_forgotten_when_another_begins():
    detector = detector_of()
    backbone, first, second = DenseBackbone(detector), volume(4, seed=1), volume(4, seed=2)
    for planes in (first, second):
        backbone.restart()
        for at in range(-REACH, 2, STEP):
            features = backbone.read(mx.nd.array(planes[np.clip([at, at + 1], 0, 3)]), mx.nd.ones((2, 1)))
            assert features is None
    assert np.abs(along(detector, first)[0] - along(detector, second)[0]).max() > 1e-3
