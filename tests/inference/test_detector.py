"""From the network's rows to boxes of the stored image, by hand; and a network that has learned finds its boxes."""

from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.inference.detector import SliceDetector, detect_labelled, detect_samples, stored_boxes
from gluon_liver.metrics.ct_summary import ct_summary
from gluon_liver.nn.build import make_detector
from gluon_liver.training.inputs import training_labels
from gluon_liver.training.train import train


def test_rows_become_stored_boxes():
    outside = [1, 0.5, 500, 4, 600, 8]  # of the stored image
    rows = [[-1] * 6, [2, 0.4, 10, 20, 30, 40], [0, 0.9, -8, 4, 1000, 60], outside]
    stored = stored_boxes(np.array(rows, np.float32), scale=2.0, shape=(20, 100))
    assert stored.boxes.tolist() == [[0, 2, 100, 20], [5, 10, 15, 20]]
    assert np.allclose(stored.scores, [0.9, 0.4]) and stored.labels.tolist() == [0, 2]


@pytest.mark.parametrize("side, phases, batch", [(256, 1, 8), (257, 1, 7), (512, 1, 2), (256, 3, 2), (800, 4, 1)])
def test_larger_images_and_more_phases_go_in_smaller_batches(side, phases, batch):
    batches = []
    detector = SimpleNamespace(
        config=SimpleNamespace(data=SimpleNamespace(size=side)),
        phases=phases,
        detect=lambda images, *_, scales, shapes: batches.append(len(images)) or images,
    )
    samples = [SimpleNamespace(image=np.zeros(1), present=np.ones(1), scale=1.0)] * 9
    assert len(list(detect_samples(detector, samples, shapes=[(4, 4)] * 9, progress=False))) == 9
    assert batches[0] == batch and sum(batches) == 9


@pytest.mark.parametrize("phases, fusion", [(1, False), (3, False), (3, True)])
def test_the_texture_stage_goes_first_and_changes_no_box(make_config, phases, fusion):
    """The boxes of the whole graph, in which Block4 reads all proposals."""
    changes = {
        "row": None,
        "network.texture_head": True,
        "network.relation": "full" if phases > 1 else "off",
        "network.fusion": fusion,
    }
    changes["network.rpn.anchor_sizes"] = [8, 16, 24, 32]
    config = make_config(**changes)
    mx.random.seed(1)
    built = make_detector(config, classes=("cyst", "hcc"), phases=phases, context=mx.cpu())
    built.class_predictor.bias.data()[:] = mx.nd.array([-5, 5, 0])
    detector = SliceDetector(built, config=config, context=mx.cpu())
    size = config.data.size
    images = np.random.default_rng(0).integers(0, 255, (2, phases, 1, 1, size, size), np.uint8)
    present = np.ones((2, phases), bool)
    inputs = detector.inputs(images, present)
    net, cascade = detector.mxnet.stages
    scores = cascade._proposals(inputs[0].reshape((2, -1, size, size)), *net(*inputs))[2].asnumpy()
    detector.network.texture.score.bias.data()[:] = np.log(0.01 / 0.99) - np.median(scores)  # half can be detected
    found = detector.detect(images, present, scales=[1.0, 1.0], shapes=[(size, size)] * 2)
    assert 0 < cascade.left < cascade.seen
    rows, _ = detector.mxnet.net(*inputs)
    expected = [stored_boxes(one, 1.0, (size, size)) for one in rows.asnumpy()]
    assert sum(map(len, found)) > 0
    for one, other in zip(found, expected):
        assert one.labels.tolist() == other.labels.tolist()
        assert np.allclose(one.boxes, other.boxes, atol=1e-3) and np.allclose(one.scores, other.scores, atol=1e-5)


@pytest.mark.slow
def test_a_trained_network_finds_what_it_was_trained_on(tiny_dataset, make_config, tmp_path):
    """Targets, sampling, losses, decoding and scaling agree: any one of them wrong, and the boxes do not come back."""
    recipe = {"train.epochs": 60, "train.batch_size": 3, "train.schedule": "cosine", "train.learning_rate": 0.001}
    easy = {"data.size": 96, "data.augment": {"flip": True}, "network.head.dropout": 0.0}
    config = make_config(**recipe, **easy)
    run = train(config, tiny_dataset, tmp_path / "run", progress=False)
    detector, _ = SliceDetector.from_run(run, context=mx.cpu())
    labels = training_labels(config, tiny_dataset)
    results = detect_labelled(detector, tiny_dataset, labels, batch_size=2, progress=False)
    summary = ct_summary(results, classes=tiny_dataset.classes, replicates=2)
    assert summary["ap50"]["mean"]["value"] > 0.9
    assert summary["top1"]["cyst"]["value"] == summary["top1"]["hcc"]["value"] == 1.0
