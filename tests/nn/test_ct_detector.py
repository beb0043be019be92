"""The detector's graphs: shapes, proposals, ROI features, background images."""

import dataclasses

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.nets import DetectionNet
from gluon_liver.nn.rcnn import Features
from gluon_liver.nn.regions.roi_align import decode_boxes
from gluon_liver.structures.boxes import encode_boxes

from .conftest import SIZE, ct_detector, images, rows_of, training_net, training_outputs


def head_features(detector, maps, rois):
    return detector.head(mx.nd, Features(None, [maps], None), rois).abstract.asnumpy()


def test_training_outputs(detector):
    net = training_net(detector, 2)
    boxes, labels = -np.ones((2, 4, 4)), -np.ones((2, 4))
    boxes[0, 0], labels[0, 0] = [20, 24, 52, 60], 2
    with autograd.record():
        outputs = training_outputs(net, images(2), boxes, labels)
    anchors, deltas = 6 * 6 * 2 * 3, (2, 4, 3, 4)
    shapes = [(2, anchors, 1), (2, anchors, 4), (2, 16, 4), deltas, (2, 16), deltas, deltas, (2, 4)]
    assert [output.shape for output in outputs.arrays()] == shapes
    targets, masks = outputs.class_targets.asnumpy(), outputs.box_masks.asnumpy()
    assert (targets[0] == 3).sum() >= 1  # hcc is class 3 behind the background; its box is among the ROIs
    assert masks[0, :, :2].sum() == 0 and masks[0, :, 2].sum() == 4 * (targets[0] == 3).sum()
    # an image without boxes: background only, nothing to regress
    assert set(np.unique(targets[1])) <= {-1.0, 0.0} and masks[1].sum() == 0
    assert detector.anchors().shape == (anchors, 4)


def test_two_graphs_share_parameters_and_refuse_the_other_mode(detector):
    train, detect = training_net(detector, 1), DetectionNet(detector)
    x = mx.nd.zeros((1, 1, 1, 1, SIZE, SIZE))
    with pytest.raises(RuntimeError, match="DetectionNet"):
        train(x, -mx.nd.ones((1, 4, 4)), -mx.nd.ones((1, 4)))
    with autograd.record(), pytest.raises(RuntimeError, match="TrainingNet"):
        detect(x)
    before = rows_of(detect, x)
    detector.class_predictor.bias.data()[:] = mx.nd.array([0, 5, 0, 0])
    after = rows_of(detect, x)
    assert after[0, 0, 0] == 0 and after[0, 0, 1] > before[0, 0, 1]


def test_a_batch_is_its_images_one_by_one(detector):
    net = DetectionNet(detector)
    net.hybridize()
    x = images(3)
    together = rows_of(net, x)
    for index in range(3):
        assert np.allclose(together[index], rows_of(net, x[index : index + 1])[0], atol=1e-3)


def test_roi_features_follow_their_image(detector):
    """ROIs of image i are pooled from map i."""
    maps = mx.nd.concat(mx.nd.zeros((1, 128, 6, 6)), mx.nd.random.normal(shape=(1, 128, 6, 6)), dim=0)
    rois = mx.nd.tile(mx.nd.array([[8, 8, 72, 72]]), (2, 3, 1))
    features = head_features(detector, maps, rois).reshape(2, 3, -1)
    zero = head_features(detector, mx.nd.zeros((1, 128, 6, 6)), rois[:1])
    assert np.allclose(features[0], zero, atol=1e-6)
    assert not np.allclose(features[1], zero[:1], atol=1e-3)


@pytest.mark.parametrize("stride", [8, 16])
def test_anchors_by_hand(stride):
    built = ct_detector(stride=stride, rpn__anchor_sizes=[16], rpn__anchor_ratios=[1, 4])
    anchors = built.anchors().reshape(SIZE // stride, SIZE // stride, 2, 4)
    # square of 16, and height = 4 * width of the same area: 8 x 32, around (0.5, 0.5) of cell 0
    assert np.allclose(anchors[0, 0], [[-7.5, -7.5, 8.5, 8.5], [-3.5, -15.5, 4.5, 16.5]])
    assert np.allclose(anchors[2, 1] - anchors[0, 0], [stride, 2 * stride, stride, 2 * stride])


def test_proposals_decode_the_encoding_of_the_targets(detector):
    """Scores and offsets set by hand come out as the boxes that the offsets were encoded from, best first."""
    anchors, chosen = detector.anchors(), [200, 88]
    boxes = np.array([[20, 30, 44, 50], [50, 20, 70, 60]], float)
    scores, offsets = np.full((1, len(anchors), 1), 0.01), np.zeros((1, len(anchors), 4))
    scores[0, chosen, 0] = [0.9, 0.8]
    offsets[0, chosen] = encode_boxes(anchors[chosen], boxes)
    arrays = anchors[None], scores, offsets, np.zeros((1, 1, SIZE, SIZE))
    rows = detector.rpn.region_proposer(*map(mx.nd.array, arrays)).asnumpy()[0]
    assert np.allclose(rows[chosen], np.column_stack([[0.9, 0.8], boxes]), atol=1e-3)


@pytest.mark.parametrize("side, kept", [(3.9, False), (4.1, True)])
def test_proposals_below_the_smallest_size_are_dropped(side, kept):
    built = ct_detector(rpn__min_size=4)
    arrays = [[[20, 20, 20 + side, 40]]], np.ones((1, 1, 1)), np.zeros((1, 1, 4)), np.zeros((1, 1, SIZE, SIZE))
    row = built.rpn.region_proposer(*map(mx.nd.array, arrays))
    assert (row.asnumpy()[0, 0, 0] > 0) == kept


def test_each_graph_has_its_own_number_of_proposals(detector):
    image, maps = mx.nd.zeros((1, 1, SIZE, SIZE)), mx.nd.random.normal(shape=(1, 128, 6, 6))
    with autograd.record():
        assert detector.rpn(image, maps)[1].shape == (1, 40, 4)
    assert detector.rpn(image, maps)[1].shape == (1, 20, 4)


def test_head_targets_decode_to_the_ground_truth(detector):
    """What the head is trained to say of an ROI, decoded at inference, is the box."""
    net = training_net(detector, 1)
    boxes, labels = -np.ones((1, 4, 4)), -np.ones((1, 4))
    boxes[0, 0], labels[0, 0] = [20, 24, 52, 60], 2
    rois = np.array([[[18, 20, 50, 64], [22, 26, 48, 58]] + [[60, 60, 90, 90]] * 4], float)
    samples, matches = mx.nd.array([[1, 1, -1, -1, -1, -1]]), mx.nd.zeros((1, 6))
    arrays = [mx.nd.array(array) for array in (rois, labels, boxes)]
    targets, deltas, masks, positives = net.targets.encoder(arrays[0], samples, matches, arrays[1], arrays[2])
    assert targets.asnumpy().tolist() == [[3, 3, 0, 0, 0, 0]]
    for row, roi in enumerate(positives.asnumpy()[0].astype(int)):
        if roi < 2:
            decoded = decode_boxes(mx.nd, arrays[0][:, roi : roi + 1], deltas[:, row : row + 1]).asnumpy()[0, 0]
            assert np.allclose(decoded[2], boxes[0, 0], atol=1e-3)
            assert masks.asnumpy()[0, row].sum(axis=1).tolist() == [0, 0, 4]


def test_a_class_moves_its_own_boxes_alone(detector):
    """Class 1's dx raised: its boxes move right, the others stay."""
    x, config = images(1), detector.config
    head = dataclasses.replace(config.head, nms_threshold=0.999, max_detections=60)
    detector.config = dataclasses.replace(config, head=head)
    before = rows_of(DetectionNet(detector), x)[0]
    detector.box_predictor.bias.data()[4] = 5.0  # class 1, dx
    after = rows_of(DetectionNet(detector), x)[0]
    for label in range(3):
        first, second = (rows[rows[:, 0] == label][:, 1:] for rows in (before, after))
        assert len(first) == len(second) > 0
        moved = second[:, 1] - first[:, 1]
        assert (moved > 1).all() if label == 1 else np.abs(moved).max() < 1e-3
        assert np.allclose(second[:, [2, 4]], first[:, [2, 4]], atol=1e-3)


def test_thresholds_and_counts_of_the_detections():
    x = images(1)

    def count(overlap, **head):
        built = ct_detector(head__nms_threshold=overlap, **head)
        return (rows_of(DetectionNet(built), x)[0][:, 0] >= 0).sum()

    assert count(0.999, head__score_threshold=0.9) == 0 and count(0.999, head__max_detections=3) == 3
    assert 0 < count(0.05) < count(0.999)


def test_dropout_follows_the_images_numbers_and_works_in_training_alone():
    """Features of the head with all numbers high, and with every second one below the rate."""
    arguments = mx.nd.ones((1, 1, 1, 1, SIZE, SIZE)), mx.nd.array([[[20, 24, 52, 60]] * 4]), mx.nd.zeros((1, 4))
    scores = {}
    for rate in (0.0, 0.5):
        net = training_net(ct_detector(head__dropout=rate), 1)
        net.detector.class_predictor.weight.set_data(mx.nd.ones_like(net.detector.class_predictor.weight.data()))
        numbers = np.full((1, net.detector.random_number_count), 0.75, np.float32)
        with autograd.record():
            scores[rate, "all"] = net(*arguments, mx.nd.array(numbers)).class_scores.asnumpy()
        if rate:
            numbers[:, -16 * 256 :] = 0.25  # 16 sampled ROIs of 256 features
            with autograd.record():
                scores[rate, "none"] = net(*arguments, mx.nd.array(numbers)).class_scores.asnumpy()
    assert np.abs(scores[0.0, "all"]).max() > 0.1
    assert np.allclose(scores[0.5, "all"], 2 * scores[0.0, "all"], rtol=1e-4)
    assert not scores[0.5, "none"].any()


@pytest.mark.parametrize("mode, moves", [("live", True), ("frozen", False)])
def test_batch_norm_mode_reaches_backbone_and_head(mode, moves):
    built = ct_detector(batch_norm=mode)
    net = training_net(built, 1)
    with autograd.record():
        outputs = training_outputs(net, images(1), [[[20, 24, 52, 60]] * 4], np.zeros((1, 4)))
        (outputs.class_scores.sum() + outputs.rpn_scores.sum()).backward()
    mx.nd.waitall()
    for part in (built.backbone.stem.bn1, built.backbone.block3[0].bn1, built.block4[0].bn1):
        assert bool(np.abs(part.running_mean.data().asnumpy()).max() > 0) == moves


def test_nine_slices_are_averaged_within_their_own_image():
    built = ct_detector(slices=9)
    x = images(2, slices=9)
    (together,) = built.features(mx.nd, x).maps
    for index in range(2):
        (alone,) = built.features(mx.nd, x[index : index + 1]).maps
        assert np.allclose(together.asnumpy()[index], alone.asnumpy()[0], atol=1e-4)
    folded = built.backbone(x[0])[2].asnumpy()
    assert folded.shape[0] == 2 and np.allclose(together.asnumpy()[0], folded.mean(axis=0), atol=1e-4)


def test_initialisation(detector):
    first = detector.backbone.block1[0]
    assert (first.bn3.gamma.data().asnumpy() == 0).all() and (first.bn1.gamma.data().asnumpy() == 1).all()
    weight = detector.backbone.block3[1].conv2.weight.data().asnumpy()
    assert np.isclose(weight.std(), np.sqrt(2 / (weight.shape[1] * 9)), rtol=0.1)
    assert first.bn1._kwargs["eps"] == 1e-5


def test_rois_without_area_are_harmless(detector):
    """MXNet's aligned ROIAlign ends the process on them, and suppressed proposals are (-1, -1, -1, -1)."""
    rois = mx.nd.array([[[-1, -1, -1, -1], [5, 5, 5, 9], [SIZE, SIZE, SIZE, SIZE]]])
    assert np.isfinite(head_features(detector, mx.nd.ones((1, 128, 6, 6)), rois)).all()


def test_suppressed_proposals_detect_nothing(detector):
    """With the head sure of class 0 everywhere, no box may lie on the (-1, -1, -1, -1) of an empty proposal."""
    detector.class_predictor.bias.data()[:] = mx.nd.array([0, 50, 0, 0])
    detector.rpn.score.bias.data()[:] = 1.0
    rows = rows_of(DetectionNet(detector), mx.nd.zeros((1, 1, 1, 1, SIZE, SIZE)))[0]
    kept = rows[rows[:, 0] >= 0]
    assert len(kept) > 0
    assert (kept[:, 4:] - kept[:, 2:4]).min() > 1


def test_a_class_scores_what_both_stages_give_it():
    """Stage one sure of normal: nothing is left; undecided: half of stage two's scores."""
    x = images(1)
    built = ct_detector(texture_head=True, head__nms_threshold=0.999, head__score_threshold=0.0)
    rows = {}
    for name, bias in {"abnormal": 50.0, "undecided": 0.0, "normal": -50.0}.items():
        built.texture.score.weight.set_data(mx.nd.zeros((1, 64)))
        built.texture.score.bias.set_data(mx.nd.array([bias]))
        rows[name] = rows_of(DetectionNet(built), x)[0]
    assert rows["abnormal"][:, 1].max() > 0.1
    assert np.allclose(rows["undecided"][:, 1], rows["abnormal"][:, 1] / 2, atol=1e-5)
    assert rows["normal"][:, 1].max() < 1e-6


def test_the_control_of_fusion_reads_block3_alone_and_all_of_it_learns():
    fused, control = (
        ct_detector(fusion=True, rpn__anchor_sizes=[8, 16, 32, 64], fusion_blocks=blocks)
        for blocks in ("all", "block3")
    )
    assert not [name for name in control.collect_learned() if name.startswith("block4")]
    blocks = [mx.nd.random.uniform(shape=(1, count, side, side)) for count, side in ((32, 24), (64, 12), (128, 6))]
    changed = [blocks[0] + 1, blocks[1] * 2, blocks[2]]
    one, other = (control.relate(mx.nd, None, *maps, None).maps for maps in (blocks, changed))
    assert all(np.array_equal(a.asnumpy(), b.asnumpy()) for a, b in zip(one, other))
    whole = fused.relate(mx.nd, None, *blocks, None).maps
    assert [a.shape for a in whole] == [b.shape for b in one]
    another = control.relate(mx.nd, None, *changed[:2], blocks[2] * 2, None).maps
    assert not np.allclose(another[0].asnumpy(), one[0].asnumpy())
