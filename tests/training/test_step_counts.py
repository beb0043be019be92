"""Recall of proposals and positives a step: as by hand, the same however a step is parted, summed over steps."""

import json
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.training.distributed import Worker
from gluon_liver.training.loop import LossMeter
from gluon_liver.training.step_counts import StepCounts, count_step

from .conftest import load_batch, make_trainer, records

LOW, HIGH = slice(0, 2), slice(2, 4)  # of corners
FROZEN = {"network.batch_norm": "frozen", "train.batch_size": 4, "train.optimizer": "sgd"}


def test_counts_by_hand():
    labels = np.array([[0, 2, -1], [1, -1, -1], [-1, -1, -1]], np.float32)
    anchors = np.array([[1, 0, -1, 1], [1, 0, 0, 0], [0, -1, 0, 0]], np.float32)

    class Batch(SimpleNamespace):
        def __len__(self):
            return 3

    covered = np.array([[1, 0, 1], [1, 1, 1], [1, 0, 0]], np.float32)  # what is padded is no box
    classes = np.array([[1, 3, 0, -1], [2, 0, 0, 0], [0, 0, 0, -1]], np.float32)
    counts = count_step(Batch(gt_labels=labels, rpn_labels=anchors), covered, classes)
    assert counts == StepCounts(images=3, boxes=3, covered=2, positive_anchors=3, positive_rois=3)
    assert counts.rates() == {"rpn_recall": 0.6667, "positive_anchors": 1.0, "positive_rois": 1.0}


def test_rates_are_of_sums_and_not_means_of_means():
    meter = LossMeter()
    for counts in (StepCounts(2, 1, 1, 4, 2), StepCounts(2, 9, 0, 12, 8), StepCounts(1, 0, 0, 0, 0)):
        meter.add({"total": 1.0}, images=2, waited=0.0, worked=1.0, counts=counts)
    record = meter.flush()
    assert [record[name] for name in ("rpn_recall", "positive_anchors", "positive_rois")] == [0.1, 3.2, 2.0]
    meter.add({"total": 1.0}, images=2, waited=0.0, worked=1.0, counts=StepCounts(images=2))
    assert meter.flush()["rpn_recall"] is None  # of no box; and nothing is left of the steps before


def counts_of(config, dataset, **options):
    trainer = make_trainer(config, dataset, **options)
    batch = load_batch(trainer, dataset, trainer.share([0, 1, 2, 3]))
    trainer.step(batch, learning_rate=0.01)
    return trainer, batch, trainer.counts


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [{"devices": "cpu:2", "accumulate": 2}, {"accumulate": 2}], ids=str)
def test_a_step_counts_the_same_however_it_is_parted(tiny_dataset, make_config, parallel):
    trainer, batch, whole = counts_of(make_config(**FROZEN), tiny_dataset)
    labels = batch.rpn_labels
    assert (whole.images, whole.boxes) == (4, 3)  # one image is background
    assert whole.positive_anchors == (labels == 1).sum() > 0 and 0 < whole.positive_rois <= 16
    assert counts_of(make_config(parallel=parallel, **FROZEN), tiny_dataset)[2] == whole
    assert counts_of(make_config(**FROZEN, **{"train.mirror": True}), tiny_dataset)[2] == whole
    # as a hybridized net says it, which GPUs run
    net = trainer._net(4)
    fresh = make_trainer(make_config(**FROZEN), tiny_dataset)
    net = fresh._net(4)
    with mx.autograd.record():
        outputs = net(*(mx.nd.array(getattr(batch, name)) for name in fresh._inputs))
    assert count_step(batch, outputs.covered.asnumpy(), outputs.class_targets.asnumpy()) == whole


@pytest.mark.slow
def test_a_fresh_network_covers_what_its_anchors_cover(tiny_dataset, make_config):
    """Its offsets are nearly 0, so that its proposals, none of which is suppressed here, are the anchors."""
    base = make_config().to_dict()["network"]["rpn"]
    every = {"train_pre_nms": 96, "train_post_nms": 96, "nms_threshold": 0.999, "min_size": 1}
    config = make_config(**FROZEN, **{"network.rpn": {**base, **every, "anchor_sizes": [19.0, 24.0]}})
    trainer, batch, counts = counts_of(config, tiny_dataset)
    anchors, boxes = trainer.anchors.clip(0, 64), batch.gt_boxes[batch.gt_labels >= 0]
    assert len(anchors) == 96 and len(boxes) == counts.boxes == 3
    low, high = (pick(anchors[:, None, part], boxes[:, part]) for pick, part in ((np.maximum, LOW), (np.minimum, HIGH)))
    shared = (high - low).clip(0).prod(axis=-1)
    areas = [(corners[:, HIGH] - corners[:, LOW]).prod(axis=1) for corners in (anchors, boxes)]
    best = (shared / (areas[0][:, None] + areas[1] - shared)).max(axis=0)
    assert (np.abs(best - 0.5) > 0.02).all() and counts.covered == (best >= 0.5).sum()
    assert 0 < counts.covered < 3


@pytest.mark.slow
def test_workers_send_sums(tiny_dataset, make_config):
    """Two workers of two images each: what one of them sends and what both then know."""
    sent = []

    class Half(Worker):
        def total(self, values):
            sent.append(dict(values))
            return {name: 2 * value for name, value in values.items()}  # the other one has the same

    worker = Half()
    worker.count = 2
    _, batch, counts = counts_of(make_config(**FROZEN), tiny_dataset, worker=worker)
    assert len(batch) == 2 and sent[0]["images"] == 2.0 and counts.images == 4.0
    assert counts.boxes == 2 * (batch.gt_labels >= 0).sum() and len(sent) == 1  # with the losses, in one message


@pytest.mark.slow
def test_the_log_has_them(train_tiny):
    run = train_tiny({"train.log_every": 2})
    for record in records(run, "step"):
        assert 0 <= record["rpn_recall"] <= 1 and 0 < record["positive_anchors"] <= 16
        assert 0 < record["positive_rois"] <= 4
    assert json.dumps(records(run, "step")[0])
