"""The parity suite of MXNet 1.0.0 on Python 2.7: skipped where LEGACY_PYTHON does not name such a Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symbols
from gluon_liver.legacy.record_file import write_records

from .gluon_side import CONFIGS, VARIANTS, write_folder, write_weights
from .test_module import parameters

LEGACY_PYTHON = os.environ.get("LEGACY_PYTHON")
pytestmark = pytest.mark.skipif(not LEGACY_PYTHON, reason="LEGACY_PYTHON names no Python 2.7 with mxnet 1.0.0")
GOAL = 1e-4
# Of all gradients together. Statistics of a tiny batch spread a difference of the last digit, which decides on which
# side of a ReLU an activation near zero is.
GRADIENT_GOALS = {"frozen": 1e-4, "live": 5e-2}


# What was computed, not what is printed: rounding to five digits can part what is 1e-5 apart by two of them.
DETECT = """
from symbols import module_test
module_test.rounded = lambda number, digits: float(number)
module_test.detect(module_test.parse_arguments())
"""


def detect(python, out, *arguments):
    """Detections of symbols.module_test, not rounded, which it writes to the new file ``out``."""
    run(python, "-c", DETECT, "--out", out, *arguments)
    return json.loads(out.read_text())


def run(python, *arguments):
    """Standard output. MXNet 1.9.1 runs without oneDNN, whose convolutions add up in another order: a proposal whose
    rank changes for that gets another random number."""
    variables = {"OMP_NUM_THREADS": "1", "MXNET_MKLDNN_ENABLED": "0", "PATH": os.environ["PATH"]}
    options = dict(cwd=str(Path(symbols.__file__).parents[1]), stdout=subprocess.PIPE, text=True, check=True)
    return subprocess.run([python, *map(str, arguments)], env=variables, **options).stdout


@pytest.mark.parametrize("mode, batch_norm", [("pool", "live"), ("align", "frozen")])
def test_mxnet_1_0_computes_the_same(mode, batch_norm, tmp_path):
    overrides = ["network.roi_mode=" + mode, "network.batch_norm=" + batch_norm, "network.head.dropout=0.5"]
    networks = dict({name: (name,) for name in CONFIGS}, **VARIANTS)
    folders = [
        write_folder(config, tmp_path / name, [*overrides, *changes]) for name, (config, *changes) in networks.items()
    ]
    lines = [json.loads(line) for line in run(LEGACY_PYTHON, "-m", "symbols.parity", *folders).splitlines()]
    assert [line["folder"] for line in lines] == list(networks)
    for line in lines:
        assert line["mxnet"] == "1.0.0"
        for kind in ("outputs", "loaded"):
            assert max(relative for _, relative in line[kind].values()) < GOAL, (line["folder"], line[kind])
        assert line["gradients_apart"] < GRADIENT_GOALS[batch_norm], line["folder"]


def test_ten_steps_of_a_module_and_its_detections_are_the_same(tiny_run, tiny_dataset, tmp_path):
    weights = write_weights(tiny_run, tmp_path / "run.params")
    for split in ("train", "test"):
        write_records(tiny_run.config, tiny_dataset, split, tmp_path / (split + ".rec"))
    steps = f"--records {tmp_path}/train.rec --weights {weights} --epochs 1 --epoch-steps 10 --lr 0.002 --cpus 2"
    test = f"--records {tmp_path}/test.rec --load-epoch 1"
    trained, detections = [], []
    for number, python in enumerate((LEGACY_PYTHON, sys.executable)):
        prefix = tmp_path / str(number)
        run(python, "-m", "symbols.module_train", "--prefix", prefix, *steps.split())
        detections.append(detect(python, tmp_path / f"{number}.json", "--prefix", prefix, *test.split()))
        trained.append(parameters(f"{prefix}-0001.params"))
    assert length(*trained) < GOAL * length(trained[1], parameters(weights))
    assert len(detections[0]) == len(detections[1]) > 10
    for one, other in zip(*detections):
        assert (one["image_id"], one["category_id"]) == (other["image_id"], other["category_id"])
        assert np.allclose(one["bbox"], other["bbox"], atol=0.02) and abs(one["score"] - other["score"]) < 2e-5


def length(first, second):
    """Of the difference of all parameters."""
    return sum(float(np.square(first[name].astype(np.float64) - second[name]).sum()) for name in second) ** 0.5
