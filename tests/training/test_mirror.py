"""Training with mirrored bottlenecks is training."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# three steps of the same trainer with and without mirroring: losses, parameters, running statistics
STEPS = """
import gluon_liver, numpy as np, mxnet as mx
from gluon_liver.config.load import build_config
from gluon_liver.training.trainer import DetectorTrainer
from tests.conftest import TINY
from tests.training.test_rows import batch_of
tree = dict(TINY, row=None, data=dict(TINY["data"], slices=9))
tree["network"] = dict(TINY["network"], depth=101, relation="full", texture_head=True, batch_norm={mode!r})
tree["network"]["head"] = dict(TINY["network"]["head"], dropout=0.0)
results = []
for mirror in (False, True):
    tree["train"] = dict(TINY["train"], optimizer="sgd", learning_rate=0.01, mirror=mirror)
    trainer = DetectorTrainer(build_config(tree), classes=("a", "b", "c"), phases=2, contexts=[mx.cpu()])
    batch = batch_of(trainer, 2)[1]
    mx.random.seed(3)
    losses = [trainer.step(batch, learning_rate=0.01)["total"] for _ in range(3)]
    mx.nd.waitall()
    results.append((losses, {{k: p.data().asnumpy() for k, p in trainer.detector.collect_learned().items()}}))
(plain, before), (mirrored, after) = results
np.testing.assert_allclose(mirrored, plain, rtol=1e-4)
assert abs(plain[2] - plain[0]) > 1e-3
for name, array in before.items():
    np.testing.assert_allclose(after[name], array, rtol=1e-3, atol=1e-4 * np.abs(array).max() + 1e-9, err_msg=name)
"""


@pytest.mark.parametrize("mode, onednn", [("live", "0"), ("frozen", "1"), ("group", "1")])
def test_mirrored_steps_are_the_plain_steps(mode, onednn):
    """With oneDNN and without, whose operators forgive less: a process each, for MXNet reads the variable once."""
    settings = dict(
        os.environ, PYTHONPATH=str(ROOT), MXNET_MKLDNN_ENABLED=onednn, MXNET_STORAGE_FALLBACK_LOG_VERBOSE="0"
    )
    command = [sys.executable, "-c", STEPS.format(mode=mode)]
    done = subprocess.run(command, env=settings, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
