"""That the parts of a detector are joined rightly: levels, phases, ROIs."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.config.network import NetworkConfig, RPNConfig
from gluon_liver.nn.nets import DetectionNet, detect_regions
from gluon_liver.nn.random_numbers import RandomNumbers
from gluon_liver.nn.rcnn import Features, HeadOutput
from gluon_liver.nn.texture import CHANNELS, TextureHead
from gluon_liver.structures.boxes import box_iou

from .conftest import SIZE, ct_detector, images


def build(**changes):
    """A tiny detector with anchors enough for a pyramid."""
    return ct_detector(rpn__anchor_sizes=[8, 16, 32, 48, 64], rpn__train_post_nms=60, **changes)


@pytest.mark.parametrize(
    "stride, sizes, levels",
    [
        (16, (64, 8, 16, 32), ((4, (8,)), (8, (16,)), (16, (32,)), (32, (64,)))),
        (16, (16, 32, 64, 128, 256), ((4, (16, 32)), (8, (32, 64)), (16, (64, 128)), (32, (128, 256)))),
        (8, (8, 16, 32, 64), ((4, (8, 16)), (8, (16, 32)), (16, (32, 64)))),
    ],
)
def test_levels_by_hand(stride, sizes, levels):
    assert NetworkConfig(stride=stride, fusion=True, rpn=RPNConfig(anchor_sizes=sizes)).levels() == levels
    assert NetworkConfig(stride=stride, rpn=RPNConfig(anchor_sizes=sizes)).levels() == ((stride, tuple(sorted(sizes))),)


@pytest.mark.parametrize("fusion", [False, True])
def test_scores_are_of_the_anchors_in_their_order(fusion):
    """Without offsets the best proposal is the anchor with the best raw score, clipped to the image."""
    built = build(fusion=fusion, rpn__min_size=4)
    loc = built.rpn.rpn_head.loc if fusion else built.rpn.loc
    loc.weight.set_data(mx.nd.zeros(loc.weight.shape))
    anchors = np.clip(built.anchors(), 0, SIZE - 1)  # GluonCV clips to the last pixel
    for seed in range(3):
        x = mx.nd.array(np.random.default_rng(seed).normal(size=(1, 1, 1, 1, SIZE, SIZE)))
        found = built.features(mx.nd, x)
        with autograd.record():
            _, proposals, raw, _, _ = built.rpn(found.image, *found.maps)
        assert len(anchors) == raw.shape[1]
        kept = ((anchors[:, 2:] - anchors[:, :2]) >= 5).all(axis=1)  # what the border cuts small is dropped
        best = np.where(kept, raw.asnumpy()[0, :, 0], -np.inf).argmax()
        assert np.allclose(np.clip(proposals.asnumpy()[0, 0], 0, SIZE - 1), anchors[best], atol=1e-3)


@pytest.mark.parametrize("fusion", [False, True])
def test_proposals_know_their_anchors(fusion):
    """Without offsets each is its anchor, clipped to the image."""
    built = build(fusion=fusion, rpn__min_size=4)
    loc = built.rpn.rpn_head.loc if fusion else built.rpn.loc
    loc.weight.set_data(mx.nd.zeros(loc.weight.shape))
    found = built.features(mx.nd, images(2))
    with autograd.record():
        scores, proposals, _, _, index = (array.asnumpy() for array in built.rpn(found.image, *found.maps))
    kept, index = scores[..., 0] >= 0, index[..., 0].astype(int)
    anchors = np.clip(built.anchors(), 0, SIZE - 1)
    assert kept.sum() > 40 and np.allclose(np.clip(proposals, 0, SIZE - 1)[kept], anchors[index[kept]], atol=1e-3)
    assert all(len(set(row[there])) == there.sum() for row, there in zip(index, kept))


@pytest.mark.parametrize("slices", [1, 9])
def test_shallow_maps_are_of_the_reference_phase(slices):
    """While the relations are zero nothing that is read depends on the other phases."""
    built = build(fusion=True, texture_head=True, slices=slices, phases=3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 1, slices, SIZE, SIZE))
    other = x.copy()
    other[:, 1:] = rng.normal(size=other[:, 1:].shape)
    present = mx.nd.ones((2, 3))
    first, second = (built.features(mx.nd, mx.nd.array(part), present) for part in (x, other))
    for one, two in zip([*first.maps, first.shallow], [*second.maps, second.shallow]):
        assert np.allclose(one.asnumpy(), two.asnumpy(), atol=1e-5) and one.asnumpy().std() > 1e-4
    other[:, 0] = x[:, 1]
    third = built.features(mx.nd, mx.nd.array(other), present)
    assert np.abs(third.maps[0].asnumpy() - first.maps[0].asnumpy()).max() > 1e-3


class Seen(TextureHead):
    """A texture stage that keeps what it is given."""

    def forward(self, pooled, kept=None):
        self.pooled = pooled.asnumpy()
        return super().forward(pooled)


def test_the_texture_stage_reads_the_roi_from_the_shallow_map():
    built = build(texture_head=True)
    built.texture = Seen(in_channels=32)
    built.texture.initialize()
    ramp = np.broadcast_to(np.arange(SIZE // 4) * 4 + 0.5, (1, CHANNELS, SIZE // 4, SIZE // 4))  # cells hold their x
    rois = mx.nd.array([[[20.5, 30.5, 52.5, 46.5]]])
    built.head(mx.nd, Features(None, [mx.nd.ones((1, 128, 6, 6))], mx.nd.array(ramp)), rois)
    assert np.allclose(built.texture.pooled[0, 0], 20.5 + 32 * (np.arange(4) + 0.5) / 4, atol=1e-3)


def test_each_roi_keeps_its_own_score_of_stage_one(monkeypatch):
    built = build(texture_head=True, head__nms_threshold=0.999, head__score_threshold=0.0, head__max_detections=60)
    for part in (built.class_predictor, built.box_predictor):
        part.weight.set_data(mx.nd.zeros(part.weight.shape))
    seen = {}

    def head(F, features, rois):
        seen["rois"] = rois.asnumpy()[0]
        abnormal = mx.nd.arange(rois.shape[1]).reshape((-1, 1)) / 10
        return HeadOutput(mx.nd.zeros((rois.shape[1], 256)), abnormal)

    monkeypatch.setattr(built, "head", head)
    x = mx.nd.array(np.random.default_rng(0).normal(size=(1, 1, 1, 1, SIZE, SIZE)))
    rows, _ = detect_regions(mx.nd, built, built.features(mx.nd, x))
    rows = rows.asnumpy()[0]
    kept, checked = rows[(rows[:, 0] >= 0) & (rows[:, 1] > 0)], 0
    for row in kept:
        (roi,) = np.flatnonzero(np.abs(seen["rois"] - row[2:]).max(axis=1) < 1e-3)[:1]
        assert np.isclose(row[1], 0.25 / (1 + np.exp(-roi / 10)), atol=1e-5)
        checked += 1
    assert checked >= 10


def test_block3_learns_through_block4_under_fusion():
    built = build(fusion=True)
    for lateral in list(built.fusion.laterals)[:3]:
        lateral.weight.set_data(mx.nd.zeros(lateral.weight.shape))
    with autograd.record():
        maps = built.features(mx.nd, images(2)).maps
        sum((one**2).sum() for one in maps).backward()
    assert np.abs(built.backbone.block3[0].bn3.gamma.grad().asnumpy()).max() > 0


@pytest.mark.parametrize("part", ["", "texture.score.bias", "box_predictor.bias", "class_predictor.bias"])
def test_numbers_that_are_none_are_told(part):
    """Of one part, and of a network of NaN, which does not crash."""
    built = build(texture_head=True)
    for name, parameter in built.collect_learned().items():
        if name.startswith(part):
            parameter.set_data(parameter.data() * float("nan"))
    _, check = DetectionNet(built)(mx.nd.ones((1, 1, 1, 1, SIZE, SIZE)))
    assert not np.isfinite(check.asnumpy()).any()


@pytest.mark.parametrize("batch_norm", ["live", "frozen"])
def test_block4_begins_on_the_map_or_on_rois_with_the_same_numbers(batch_norm, monkeypatch):
    """1x1 convolutions and pooling are linear: their order changes rounding alone, in gradients and statistics too."""

    def step(on_map):
        detector = ct_detector(batch_norm=batch_norm)
        monkeypatch.setattr(type(detector), "_map_is_smaller", lambda self, rois: on_map)
        numbers = np.random.default_rng(0)
        for name, parameter in detector.collect_learned().items():
            if not name.startswith("rpn") and parameter.grad_req != "null":
                parameter.set_data(mx.nd.array(numbers.normal(scale=0.2, size=parameter.shape)))
        maps = mx.nd.array(numbers.uniform(size=(2, 128, 6, 6)))
        corners = numbers.uniform(0, 60, (2, 16, 2))
        rois = mx.nd.array(np.concatenate([corners, corners + numbers.uniform(4, 30, (2, 16, 2))], axis=2))
        maps.attach_grad()
        with autograd.record():
            found = detector.describe(mx.nd, [maps], RandomNumbers(mx.nd, None))(rois)
        found.backward(mx.nd.array(numbers.normal(size=found.shape)))
        mx.nd.waitall()
        learned = {n: p for n, p in detector.collect_learned().items() if n.startswith("block4")}
        arrays = {n: p.data() if p.grad_req == "null" else p.grad() for n, p in learned.items()}
        return {name: array.asnumpy() for name, array in dict(arrays, found=found, maps=maps.grad).items()}

    on_map, on_rois = step(True), step(False)
    assert np.abs(on_rois["found"]).max() > 0.1
    for name, value in on_rois.items():
        assert np.allclose(on_map[name], value, rtol=1e-3, atol=2e-5 * max(1, np.abs(value).max())), name


def test_the_map_is_taken_where_it_has_less_work():
    detector = ct_detector()  # 6x6 cells, 4x4 bins: on the map 5 * 36, on ROIs 2 * 16 each
    assert not detector._map_is_smaller(5) and detector._map_is_smaller(6)


def test_predictors_start_as_fast_rcnns():
    """Normal with deviations 0.01 and 0.001, biases zero (Girshick 2015, section 3.1); others as He et al. 2015."""
    detector = ct_detector(width=0.5)
    for name, deviation in (("class_predictor", 0.01), ("box_predictor", 0.001)):
        layer = getattr(detector, name)
        values = layer.weight.data().asnumpy()
        assert abs(values.std() / deviation - 1) < 0.1 and abs(values.mean()) < deviation / 5, name
        assert (layer.bias.data().asnumpy() == 0).all()
    conv = detector.block4[0].conv2.weight.data().asnumpy()
    assert abs(conv.std() / np.sqrt(2 / (9 * conv.shape[1])) - 1) < 0.05


def test_boxes_of_different_classes_do_not_suppress_each_other():
    """A head that says the same of all classes finds each of them in the same boxes."""
    built = build(head__score_threshold=0.0, head__max_detections=60)
    for part in (built.class_predictor, built.box_predictor):
        part.weight.set_data(mx.nd.zeros(part.weight.shape))
    rows, _ = detect_regions(mx.nd, built, built.features(mx.nd, images(1)))
    rows = rows.asnumpy()[0]
    kept = [rows[rows[:, 0] == kind][:, 2:] for kind in range(3)]
    assert len(kept[0]) >= 5 and all(np.array_equal(np.sort(kept[0], 0), np.sort(one, 0)) for one in kept[1:])
    for boxes in kept:  # within a class they do
        overlap = box_iou(boxes, boxes) - np.eye(len(boxes))
        assert overlap.max() <= built.config.head.nms_threshold + 1e-4


@pytest.mark.parametrize("threshold", [0.31, 0.53, 0.69])
def test_proposals_are_those_that_greedy_suppression_leaves(threshold):
    """Against loops: from the best score down, what overlaps a kept one by no more than the threshold is kept."""
    sizes = [8, 16, 32, 48, 64]
    built = ct_detector(
        rpn__anchor_sizes=sizes, rpn__nms_threshold=threshold, rpn__train_post_nms=1000, rpn__min_size=4
    )
    built.rpn.loc.weight.set_data(mx.nd.zeros(built.rpn.loc.weight.shape))
    found = built.features(mx.nd, images(1))
    with autograd.record():
        scores, _, raw, _, index = (array.asnumpy()[0] for array in built.rpn(found.image, *found.maps))
    kept = set(index[scores[:, 0] >= 0, 0].astype(int).tolist())
    anchors = np.clip(built.anchors(), 0, SIZE)
    big = ((anchors[:, 2:] - anchors[:, :2]) >= 4).all(axis=1)
    overlap, expected = box_iou(anchors, anchors), []
    for one in np.argsort(-raw[:, 0], kind="stable"):
        if big[one] and overlap[one, expected].max(initial=0) <= threshold:
            expected.append(int(one))
    assert len(expected) > 20 and kept == set(expected)
