"""train.py in a real job: two workers and a server train what one process trains; a killed worker ends it all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from tests.conftest import TINY

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
JOB = ("--workers", "2", "--servers", "1")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    tree = json.loads(json.dumps(TINY))
    tree["network"].update(batch_norm="frozen")
    tree["train"].update(optimizer="sgd", batch_size=3, epochs=2, checkpoint_steps=2)
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(json.dumps(tree))  # JSON is YAML
    return path


def words_to_train(out, config, data, options):
    return ["--config", str(config), "--data", str(data), "--out", str(out), *options]


def train_here(out, config, data, *options):
    """In this process, to the end."""
    assert main(["train", *words_to_train(out, config, data, options)]) == 0


def start(out, config, data, *, job=(), options=()):
    settings = dict(cwd=str(ROOT), env=dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT)))
    settings["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # nohup lets its children ignore it
    streams = dict(stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, universal_newlines=True)
    train = ["train.py", *words_to_train(out, config, data, options)]
    launch = ["-m", "gluon_liver", "launch", *job, "--", *train, "--kvstore", "dist_sync"] if job else train
    return subprocess.Popen([sys.executable, *launch], **settings, **streams)


def events(out):
    log = out / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_two_workers_train_what_one_process_trains(tmp_path, config, tiny_data):
    """Two images and one image a worker; the run is rank 0's alone."""
    job, alone = tmp_path / "job", tmp_path / "alone"
    process = start(job, config, tiny_data, job=JOB)
    train_here(alone, config, tiny_data)
    assert process.wait() == 0, process.stderr.read()
    ours, expected = (mx.nd.load(str(out / "checkpoints/step-00000006/net.params")) for out in (job, alone))
    assert max(np.abs(ours[name].asnumpy() - expected[name].asnumpy()).max() for name in expected) <= 1e-6
    losses = [[event["losses"]["total"] for event in events(out) if event["event"] == "step"] for out in (job, alone)]
    assert len(losses[0]) == 6 and np.allclose(*losses, rtol=1e-5)
    names = ("rpn_recall", "positive_anchors", "positive_rois")  # of the images of both workers
    counts = [
        [[event[name] for name in names] for event in events(out) if event["event"] == "step"] for out in (job, alone)
    ]
    assert counts[0] == counts[1]


def test_two_workers_average_what_two_devices_average(tmp_path, config, tiny_data):
    """Running statistics of live BatchNorm, which see the images of one device."""
    live = ("--set", "network.batch_norm=live", "--set", "train.batch_size=4", "--steps", "2")
    live = (*live, "--set", "train.best_epoch=true")  # one worker scores while the other waits
    job, alone = tmp_path / "job", tmp_path / "alone"
    process = start(job, config, tiny_data, job=JOB, options=live)
    train_here(alone, config, tiny_data, *live, "--devices", "cpu:2")
    assert process.wait() == 0, process.stderr.read()
    ours, expected = (mx.nd.load(str(out / "checkpoints/step-00000002/net.params")) for out in (job, alone))
    names = [name for name in expected if ".running_" in name]
    assert names and max(np.abs(ours[name].asnumpy() - expected[name].asnumpy()).max() for name in names) <= 1e-5
    for out in (job, alone):
        assert [event["step"] for event in events(out) if event["event"] == "score"] == [2]
        assert json.loads((out / "best.json").read_text())["checkpoint"] == "step-00000002"


def test_a_killed_worker_ends_the_job_and_it_goes_on(tmp_path, config, tiny_data):
    out, options = tmp_path / "run", ("--resume", "auto", "--set", "train.epochs=100")
    process = start(out, config, tiny_data, job=JOB, options=options)
    while not any(record["event"] == "checkpoint" for record in events(out)):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    victims = [path.parent for path in Path("/proc").glob("[0-9]*/environ") if _is_worker(path, str(out))]
    os.kill(int(victims[-1].name), signal.SIGKILL)
    killed = time.monotonic()
    assert process.wait(30) == 75 and time.monotonic() - killed < 30
    said = process.stderr.read()
    assert "was killed by SIGKILL" in said and str(out / "checkpoints" / "step-") in said and "--resume auto" in said
    step = max(record["step"] for record in events(out) if record["event"] == "checkpoint")
    again = start(out, config, tiny_data, job=JOB, options=("--resume", "auto", "--steps", str(step + 3)))
    assert again.wait() == 0, again.stderr.read()
    assert events(out)[-1]["event"] == "end" and events(out)[-1]["step"] == step + 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("job", [JOB, ()], ids=["job", "alone"])
def test_a_training_that_is_stopped_says_so_with_its_code(tmp_path, config, tiny_data, job, number):
    out, options = tmp_path / "run", ("--resume", "auto", "--set", "train.epochs=100")
    process = start(out, config, tiny_data, job=job, options=options)
    while not any(record["event"] == "step" for record in events(out)):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) == 75
    said, last = process.stderr.read(), events(out)[-1]
    assert "--resume auto goes on" in said and "all processes of the job end" not in said and "Traceback" not in said
    assert last["event"] == "interrupted" and (out / f"checkpoints/step-{last['step']:08d}").is_dir()
    train_here(out, config, tiny_data, "--resume", "auto", "--steps", str(last["step"] + 1))


def _is_worker(environ, out):
    """Whether a process is train.py itself in the role of a worker of the run ``out``."""
    try:
        variables, command = environ.read_bytes(), (environ.parent / "cmdline").read_bytes()
    except OSError:  # it ended, or belongs to somebody else
        return False
    train = b"train.py" in command and out.encode() in command and b"supervisor" not in command
    return train and b"DMLC_ROLE=worker" in variables


def test_a_worker_that_fails_alone_ends_the_job(tmp_path, config, tiny_data):
    """Rank 0 finds its folder taken, and no other worker hears of that; MXNet's exit would wait for them."""
    out = tmp_path / "run"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    process = start(out, config, tiny_data, job=JOB)
    assert process.wait(30) == 2
    said = process.stderr.read()
    assert "is not an empty folder" in said and "worker of rank 0" in said
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
