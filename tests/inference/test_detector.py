"""From the network's rows to boxes of the stored image, by hand; and a network that has learned finds its boxes."""

from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.inference.detector import SliceDetector, detect_labelled, detect_samples, stored_boxes
from gluon_liver.metrics.ct_summary import ct_summary
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
        network=SimpleNamespace(phases=phases),
        detect=lambda images, *_, scales, shapes: batches.append(len(images)) or images,
    )
    samples = [SimpleNamespace(image=np.zeros(1), present=np.ones(1), scale=1.0)] * 9
    assert len(list(detect_samples(detector, samples, shapes=[(4, 4)] * 9, progress=False))) == 9
    assert batches[0] == batch and sum(batches) == 9


@pytest.mark.slow
def test_a_trained_network_finds_what_it_was_trained_on(tiny_dataset, make_config, tmp_path):
    """Targets, sampling, losses, decoding and scaling agree: any one of them wrong, and the boxes do not come back."""
    recipe = {"train.epochs": 60, "train.batch_size": 3, "train.decay_epochs": [45], "train.learning_rate": 0.001}
    easy = {"data.size": 96, "data.augment": {"flip": True}, "network.head.dropout": 0.0}
    config = make_config(**recipe, **easy)
    run = train(config, tiny_dataset, tmp_path / "run", progress=False)
    detector, _ = SliceDetector.from_run(run, context=mx.cpu())
    labels = training_labels(config, tiny_dataset)
    results = detect_labelled(detector, tiny_dataset, labels, batch_size=2, progress=False)
    summary = ct_summary(results, classes=tiny_dataset.classes, replicates=2)
    assert summary["ap50"]["mean"]["value"] > 0.9
    assert summary["top1"]["cyst"]["value"] == summary["top1"]["hcc"]["value"] == 1.0
