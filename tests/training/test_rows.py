"""The six rows of Table 4: what differs between their configurations, and that all of each network learns."""

import dataclasses

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.load import load_config
from gluon_liver.config.schema import ROWS
from gluon_liver.data.samples import Sample
from gluon_liver.inference.detector import SliceDetector
from gluon_liver.training.batches import make_batch
from gluon_liver.training.trainer import DetectorTrainer

pytestmark = pytest.mark.slow

CLASSES = ("cyst", "hemangioma", "hcc")
ROW_CONFIGS = dict(zip(ROWS, "r50 r101 r50-2.5d r101-fusion r50-multimodal r101-multimodal".split()))
DEMO_CONFIGS = {row: "demo-ct" if name == "r50" else "demo-" + name for row, name in ROW_CONFIGS.items()}


@pytest.mark.parametrize("names", [ROW_CONFIGS, DEMO_CONFIGS])
def test_rows_differ_in_the_four_knobs_alone(names):
    assert list(names) == list(ROWS)
    plain = set()
    for row, name in names.items():
        config = load_config(name)
        assert config.row == row
        knobs = (config.network.depth, config.data.slices, config.network.fusion, config.network.multi_modal)
        assert knobs == ROWS[row]
        network = dataclasses.replace(config.network, depth=50, fusion=False, relation="off")
        data = dataclasses.replace(config.data, slices=1)
        plain.add(dataclasses.replace(config, row=None, network=network, data=data))
    assert len(plain) == 1


def trainer_of(name):
    """A demo's trainer, at 64x64 with fewer proposals."""
    rpn = "channels=16 train_post_nms=60 test_post_nms=30 min_size=2".split()
    head = "samples=16 dropout=0.0 score_threshold=0.0".split()
    overrides = [f"network.rpn.{one}" for one in rpn] + [f"network.head.{one}" for one in head]
    config = load_config(name, overrides=["data.size=64", "train.batch_size=2", *overrides])
    phases = 3 if config.network.multi_modal else 1
    return DetectorTrainer(config, classes=CLASSES, phases=phases, contexts=[mx.cpu()]), phases


def batch_of(trainer, phases):
    rng = np.random.default_rng(0)
    config = trainer.config
    boxes = np.array([[10, 12, 30, 34], [36, 30, 60, 48], [5, 40, 20, 60]], np.float32)
    images = [rng.integers(0, 256, (phases, 1, config.data.slices, 64, 64)).astype(np.uint8) for _ in range(2)]
    samples = [Sample(image, boxes, np.array([0, 1, 2], np.int32), 1.0, np.ones(phases, bool)) for image in images]
    return samples, make_batch(
        samples,
        anchors=trainer.anchors,
        network=config.network,
        rngs=[np.random.default_rng(seed) for seed in range(2)],
        random_numbers=rng.random((2, trainer.detector.random_number_count), np.float32),
    )


@pytest.mark.parametrize("row", list(ROWS))
def test_every_parameter_of_a_row_gets_a_gradient(row):
    trainer, phases = trainer_of(DEMO_CONFIGS[row])
    samples, batch = batch_of(trainer, phases)
    losses = [trainer.step(batch, learning_rate=1e-3)["total"] for _ in range(8)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    learned = trainer.detector.collect_learned()
    fixed = {name for name, parameter in learned.items() if parameter.grad_req == "null"}
    assert {name.rpartition(".")[2] for name in fixed} == {"running_mean", "running_var"}
    # after the first steps: what lies behind a weight that starts at zero has no gradient in the first
    without = [name for name in set(learned) - fixed if not np.abs(learned[name].grad().asnumpy()).max() > 0]
    assert without == []
    parts = {name.split(".")[0] for name in learned}
    assert parts == {"backbone", "block4", "rpn", "texture", "class_predictor", "box_predictor"} | (
        {"fusion", "dense"} if trainer.config.network.fusion else set()
    ) | ({"relation"} if phases > 1 else set())
    detector = SliceDetector(trainer.detector, config=trainer.config, context=mx.cpu())
    (result,) = detector.detect(samples[0].image[None], samples[0].present[None], scales=[1.0], shapes=[(64, 64)])
    assert np.isfinite(result.scores).all() and result.scores.max() <= 1 and len(result.scores) > 0
