"""Configurations beside the rows of Table 4: what each changes, and that all of its network learns."""

import dataclasses

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.config.catalogue import config_names
from gluon_liver.config.load import load_config
from gluon_liver.inference.detector import SliceDetector
from gluon_liver.training.memory_plan import memory_plan

from .test_rows import batch_of, trainer_of

pytestmark = pytest.mark.slow

# configuration -> the one that it is, with these keys of ``network`` changed
READINGS = {
    "r50-2.5d-1x7x7": ("r50-2.5d", {"stem": "1x7x7"}),
    "r101-2.5d": ("r50-2.5d", {"depth": 101}),
    **{
        f"{row}-{fusion}": (row, {"slice_fusion": fusion})
        for row in ("r50-2.5d", "r101-fusion", "r50-multimodal", "r101-multimodal")
        for fusion in ("centre", "channels")
    },
}
TRAINED = ["r50-2.5d-1x7x7", "r101-2.5d", "r50-2.5d-centre", "r101-fusion-centre", "r50-multimodal-channels"]


def test_every_configuration_of_ct_is_a_row_a_reading_or_a_base():
    rest = [name for name in config_names() if not name.startswith(("base-", "on-", "recipe-", "us-", "demo-us-"))]
    names = [name[len("demo-") :] if name.startswith("demo-") else name for name in rest]
    rows = "r50 r101 r50-2.5d r101-fusion r50-multimodal r101-multimodal ct".split()
    assert sorted({*names}) == sorted({*READINGS, *rows})


@pytest.mark.parametrize("demo", ["", "demo-"])
@pytest.mark.parametrize("name", READINGS)
def test_a_reading_changes_one_knob_and_is_no_row(name, demo):
    row, changed = READINGS[name]
    base, config = load_config(demo + row), load_config(demo + name)
    assert config == dataclasses.replace(base, row=None, network=dataclasses.replace(base.network, **changed))


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_of_a_reading_gets_a_gradient(name):
    trainer, phases = trainer_of("demo-" + name)
    samples, batch = batch_of(trainer, phases)
    losses = [trainer.step(batch, learning_rate=1e-3)["total"] for _ in range(3)]
    assert np.isfinite(losses).all()
    learned = trainer.detector.collect_learned()
    moved = {name for name, one in learned.items() if one.grad_req != "null" and np.abs(one.grad().asnumpy()).max() > 0}
    assert moved == {name for name, one in learned.items() if one.grad_req != "null"}
    conv1 = trainer.detector.backbone.stem.conv1.weight.grad().asnumpy()
    assert (np.abs(conv1).max(axis=(0, 1, 3, 4)) > 0).all()  # every tap over depth
    detector = SliceDetector(trainer.detector, config=trainer.config, context=mx.cpu())
    (result,) = detector.detect(samples[0].image[None], samples[0].present[None], scales=[1.0], shapes=[(64, 64)])
    assert np.isfinite(result.scores).all() and len(result.scores) > 0


def test_channels_cost_what_one_slice_costs_and_centre_less_than_pools():
    """By MXNet's plan of a training step, mirrored too."""
    tiny = ["data.size=64", "network.rpn.train_post_nms=60", "network.head.samples=16"]
    names = ("demo-ct", "demo-r50-2.5d-channels", "demo-r50-2.5d-centre", "demo-r50-2.5d")
    for mirror in (False, True):
        one, channels, centre, pools = (
            memory_plan(load_config(name, overrides=tiny), classes=3, mirror=mirror).maps for name in names
        )
        assert one <= channels < 1.1 * one and 1.3 * channels < centre < pools
