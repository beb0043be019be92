"""What is measured in which way, and that measurements of tiny networks come out whole."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.load import load_config
from gluon_liver.errors import InputError
from gluon_liver.nn.build import make_detector
from gluon_liver.speed import benchmark as module
from gluon_liver.speed.benchmark import Way, benchmark, usual_engine, usual_threads, ways
from gluon_liver.speed.limits import Steps
from gluon_liver.speed.measure import measure_loading, measure_step, measure_training, random_samples, step_arithmetic

SMALL = ["data.size=64", "train.batch_size=2", "network.rpn.train_post_nms=30", "network.head.samples=8"]
SMALL += ["network.rpn.test_post_nms=10", "network.rpn.channels=8", "network.rpn.samples=16"]
STEP = {"images": 4, "seconds": [0.1], "first": 0.2, "memory": 10**9, "multiplications": 1e9, "map_bytes": 1e6}
STEP.update(product_rate=1e11, sum_rate=1e10)


@pytest.fixture
def usual(monkeypatch):
    """Four threads are usual, and the user has set no engine."""
    monkeypatch.delenv("MXNET_ENGINE_TYPE", raising=False)
    monkeypatch.setattr(module, "usual_threads", lambda: 4)


def ways_of(devices, *, cores=4, batch_size=4):
    return ways(
        load_config("r50", overrides=[f"parallel.devices={devices}", f"train.batch_size={batch_size}"]), cores=cores
    )


def test_one_cpu_is_measured_over_threads_engines_and_images(usual):
    engine = Way(engine="ThreadedEnginePerDevice")
    assert ways_of("cpu") == [Way(threads=1), Way(threads=2), engine, Way(images=8)]
    assert ways_of("cpu", cores=6) == [Way(threads=1), Way(threads=2), Way(threads=6), engine, Way(images=8)]


def test_several_devices_are_measured_beside_fewer_with_as_many_images_each(usual):
    assert ways_of("cpu:3", batch_size=6) == [Way(devices="cpu:1", images=2), Way(devices="cpu:2", images=4)]
    fewer = [Way(devices="gpu:4", images=2), Way(devices="gpu:4,5", images=4)]
    assert ways_of("gpu:4,5,6,7", batch_size=8) == fewer
    assert ways_of("gpu:0") == [Way(images=8)]


def test_the_usual_engine_is_the_one_that_training_takes(monkeypatch):
    monkeypatch.delenv("MXNET_ENGINE_TYPE", raising=False)
    assert usual_engine(load_config("r50")) == "NaiveEngine"
    several = load_config("r50", overrides=["parallel.devices=cpu:2"])
    assert usual_engine(several) == "ThreadedEnginePerDevice"
    monkeypatch.setenv("MXNET_ENGINE_TYPE", "ThreadedEngine")
    assert usual_engine(load_config("r50")) == "ThreadedEngine"
    assert ways_of("cpu", cores=usual_threads())[-2] == Way(engine="NaiveEngine")


@pytest.fixture
def children(monkeypatch, usual):
    """Requests and settings of the processes that were started; ``answer`` is what they say."""
    started = []

    def start(command, *, env, **options):
        request = json.loads(command[-1])
        started.append((request, env["OMP_NUM_THREADS"], env["MXNET_ENGINE_TYPE"]))
        return start.answer(request)

    figures = {"step": STEP, "loading": {"images": 4, "seconds": [0.1]}}
    figures["operators"] = {"Convolution": 0.6, "ROIAlign": 0.4}
    figures["training"] = {"images": 4, "seconds": [0.1], "waits": [0.0]}
    start.answer = lambda request: Mock(returncode=0, stdout="noise\n" + json.dumps(figures[request["what"]]))
    start.started = started
    monkeypatch.setattr(subprocess, "run", start)
    monkeypatch.setattr(module, "usable_cores", lambda: (4, "4 cores"))
    return start


def test_every_way_has_a_process_with_its_own_settings(children):
    told = []
    found = benchmark(["r50"], ["train.batch_size=4"], seconds=0.5, say=told.append)
    settings = [(threads, engine) for _, threads, engine in children.started]
    assert settings[:4] == [("4", "NaiveEngine"), ("1", "NaiveEngine"), ("2", "NaiveEngine"), ("4", module.THREADED)]
    assert [request["what"] for request, *_ in children.started] == ["step"] * 5 + ["operators", "loading"]
    assert children.started[4][0]["overrides"][-1] == "train.batch_size=8" and children.started[6][0]["data"] is None
    assert [one.threads for one in (found.usual, *found.others)] == [4, 1, 2, 4, 4]
    assert found.operators == {"Convolution": 0.6, "ROIAlign": 0.4}
    assert not found.failed and found.training is None and not found.loading[0].real
    assert len(told) == 8 and told[0].startswith("7 measurements")  # what comes, then each of them


def test_with_data_they_are_loaded_and_trained_on(children, tiny_data):
    found = benchmark(["r50"], [], data=tiny_data, cache=Path("cache"))
    requests = [request for request, *_ in children.started if request["what"] in ("loading", "training")]
    assert [one["what"] for one in requests] == ["loading"] * 5 + ["training"]
    assert all((one["data"], one["cache"]) == (str(tiny_data), "cache") for one in requests)
    workers = [[key for key in one["overrides"] if "workers" in key] for one in requests]
    assert workers == [[], *[[f"train.loader_workers={count}"] for count in (1, 2, 4, 8)], []]
    assert [one.workers for one in found.loading] == [None, 1, 2, 4, 8]
    assert found.training.waiting == 0 and found.loading[0].real


def test_what_cannot_be_measured_is_told(children, monkeypatch):
    plain = children.answer

    def answer(request):
        if children.started[-1][1] == "1":
            return Mock(returncode=-9, stdout="", stderr="")
        return plain(request)

    children.answer = answer
    monkeypatch.setattr(module, "memory_limit", lambda: 2 * 10**9)
    found = benchmark(["r50"], ["train.batch_size=4"])
    assert "died of signal 9" in found.failed["threads 1"] and "memory" in found.failed["threads 1"]
    assert found.failed["8 images a step"] == "they would not fit into memory"
    assert [one.threads for one in found.others] == [2, 4]
    children.answer = lambda request: Mock(returncode=0, stdout=json.dumps({"error": "MXNet sees 0 GPUs"}))
    with pytest.raises(InputError, match="MXNet sees 0 GPUs"):
        benchmark(["r50"], [])
    children.answer = lambda request: Mock(returncode=1, stdout="", stderr="Traceback\nMXNetError: no memory")
    with pytest.raises(InputError, match="MXNetError: no memory"):
        benchmark(["r50"], [])


@pytest.mark.parametrize(
    "options, reason",
    [
        (["--config", "r50"], "--config is for measuring"),
        (["--json", "x"], "--json is for measuring"),
        (["--benchmark", "--seconds", "0"], "--seconds 0.0"),
        (["--benchmark", "--accept-labels"], "--accept-labels is for checking"),
        (["--benchmark", "--config", "r51"], "r51"),
        (["--benchmark", "--data", "nowhere"], "nowhere"),
    ],
)
def test_options_that_do_not_go_together(children, options, reason, capsys):
    assert main(["doctor", *options]) == 2
    assert reason in capsys.readouterr().err
    assert not children.started


def test_the_command_prints_and_writes_the_figures(children, tmp_path, capsys):
    path = tmp_path / "speed.json"
    assert main(["doctor", "--benchmark", "--devices", "cpu:2", "--json", str(path)]) == 0
    printed = capsys.readouterr()
    assert "images a step on cpu:2" in printed.out and "measuring steps on cpu:2" in printed.err
    assert json.loads(path.read_text())["usual"]["devices"] == "cpu:2"
    assert children.started[0][0]["configs"] == ["demo-ct"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo-ct", "demo-r50-multimodal", "demo-us-flow"])
def test_steps_and_loading_of_random_images(name):
    config = load_config(name, overrides=[*SMALL, "network.width=0.125"])
    found = measure_step(config, seconds=0.01)
    steps = Steps(threads=1, engine="", devices="cpu", **found)
    assert len(steps.seconds) >= 3 and steps.images == 2 and steps.memory > 10**8
    assert steps.multiplications > 10**7 and steps.product_rate > 10**8 and steps.sum_rate > 10**8
    loaded = measure_loading(config, data=None, seconds=0.01)
    assert len(loaded["seconds"]) >= 3 and loaded["images"] == 2


@pytest.mark.slow
def test_a_step_is_three_passes_but_for_its_first_convolution():
    config = load_config("demo-ct", overrides=SMALL)
    detector = make_detector(config, classes=["a", "b", "c"], phases=1, context=mx.cpu())
    counted = step_arithmetic(config, detector)
    assert 2.8 < counted.step / counted.forward < 3
    mirrored = step_arithmetic(load_config("demo-ct", overrides=[*SMALL, "train.mirror=true"]), detector)
    assert mirrored.step == counted.step + counted.forward and mirrored.forward == counted.forward
    assert [sample.image.shape for sample in random_samples(config)] == [(1, 1, 1, 64, 64)] * 2


@pytest.mark.slow
def test_prepared_data_are_loaded_and_trained_on(tiny_dataset, make_config, monkeypatch):
    config = make_config(**{"train.batch_size": 2})
    options = {"data": str(tiny_dataset.folder), "seconds": 0.01}
    loaded = measure_loading(config, **options)
    assert len(loaded["seconds"]) >= 3 and loaded["opened"] > 0 and loaded["first"] > 0
    trained = measure_training(config, **options)
    assert len(trained["waits"]) == len(trained["seconds"]) >= 3
    assert all(0 <= wait <= second for wait, second in zip(trained["waits"], trained["seconds"]))
    assert np.isfinite(trained["seconds"]).all()


@pytest.mark.slow
def test_a_measurement_is_a_process_that_prints_json(tmp_path):
    request = {"what": "loading", "configs": ["demo-ct"], "overrides": SMALL, "seconds": 0.01, "data": None}

    def ask(**changes):
        environ = {**os.environ, "MXNET_EXEC_BULK_EXEC_TRAIN": "0"}
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "gluon_liver.speed.measure",
            json.dumps({**request, **changes}),
        ]
        child = subprocess.run(command, capture_output=True, text=True, env=environ)
        assert child.returncode == 0, child.stderr
        return json.loads(child.stdout.splitlines()[-1])

    assert ask()["images"] == 2
    del request["data"]
    shares = ask(what="operators")
    assert sum(shares.values()) == pytest.approx(1) and list(shares.values()) == sorted(shares.values(), reverse=True)
    assert shares["Convolution"] > 0.02 and not any("," in name or "backward" in name for name in shares)
    assert "nowhere" in ask(data=str(tmp_path / "nowhere"))["error"]
