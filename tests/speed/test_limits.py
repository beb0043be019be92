"""What figures say, by hand."""

import dataclasses
import json

import pytest

from gluon_liver.speed.limits import GIB, Benchmark, Loading, Steps, Training, as_json, limits, report

# half a second of two images: products take 0.25 s of it, maps (read and written five times in all) 0.1 s
USUAL = Steps(
    threads=2,
    engine="NaiveEngine",
    devices="cpu",
    images=2,
    seconds=[0.4, 0.5, 0.9],
    first=2.0,
    memory=3 * GIB,
    multiplications=25e9,
    map_bytes=0.2e9,
    product_rate=100e9,
    sum_rate=10e9,
)
FAST = Loading(images=2, seconds=[0.1, 0.1], real=True)


def benchmark(usual=USUAL, *, others=(), loading=(FAST,), **changes):
    fields = {"config": "r50", "cores": "2 cores", "load": 0.1, "memory_limit": 16 * GIB}
    return Benchmark(usual=usual, others=list(others), loading=list(loading), **{**fields, **changes})


def change(**changes):
    return dataclasses.replace(USUAL, **changes)


def test_figures_of_steps():
    assert USUAL.median == 0.5 and USUAL.rate == 4.0
    assert USUAL.efficiency == pytest.approx(0.5) and USUAL.traffic == pytest.approx(0.2)
    # contexts of the CPU share its cores; GPUs do not
    assert change(devices="cpu:4").efficiency == USUAL.efficiency
    assert change(devices="gpu:0,1").efficiency == change(devices="gpu:0,1").efficiency == pytest.approx(0.25)
    assert change(devices="gpu:0,1").traffic == pytest.approx(0.1)


@pytest.mark.parametrize(
    "changes, operators, what, finding",
    [
        ({}, {}, "arithmetic", "50% of what a large product"),
        ({"multiplications": 5e9}, {}, "what is not arithmetic", "its maps takes about 20%"),
        ({}, {"ROIAlign": 0.4, "Convolution": 0.3, "dot": 0.2}, "arithmetic", "take 50% of a step"),
        ({}, {"ROIAlign": 0.5, "Convolution": 0.3, "relu": 0.1}, "ROIAlign", "ROIAlign takes 50% of a step; conv"),
        ({}, {"relu": 0.5, "Convolution": 0.3}, "relu", "relu takes 50%"),
    ],
)
def test_what_a_step_takes_its_time_for(changes, operators, what, finding):
    found = limits(benchmark(change(**changes), operators=operators))
    assert [limit.what for limit in found] == [what] and finding in found[0].finding
    assert bool(found[0].advice) == (what in ("arithmetic", "ROIAlign"))


@pytest.mark.parametrize(
    "other, what, advice",
    [
        ({"threads": 1, "seconds": [0.4]}, "OpenMP threads", "export OMP_NUM_THREADS=1"),
        ({"threads": 1, "seconds": [0.49]}, None, None),
        ({"threads": 1, "seconds": [0.9]}, None, None),
        (
            {"engine": "ThreadedEnginePerDevice", "seconds": [0.4]},
            "engine",
            "MXNET_ENGINE_TYPE=ThreadedEnginePerDevice",
        ),
        ({"engine": "ThreadedEnginePerDevice", "seconds": [0.6]}, None, None),
        ({"images": 4, "seconds": [0.7]}, "small steps", "--set train.batch_size=4"),
        ({"images": 4, "seconds": [0.95]}, None, None),
        ({"images": 1, "devices": "cpu:1", "seconds": [0.01]}, None, None),  # another number of devices
    ],
)
def test_what_was_faster_is_advised(other, what, advice):
    found = limits(benchmark(others=[change(**other)]))
    assert found[-1].what == "arithmetic"
    assert [limit.what for limit in found[:-1]] == ([what] if what else [])
    if what:
        assert advice in found[0].advice


def test_loading():
    slow = dataclasses.replace(FAST, seconds=[0.6, 0.6])  # 3.3 images/s for steps that take 4
    assert [limit.what for limit in limits(benchmark(loading=[slow]))] == ["loading", "arithmetic"]
    more = dataclasses.replace(FAST, workers=4)
    advice = limits(benchmark(loading=[slow, more]))
    assert [limit.what for limit in advice] == ["arithmetic"]  # fast enough with more of them: nothing waits yet
    training = Training(images=2, seconds=[1.0, 1.0], waits=[0.3, 0.1])
    advice = limits(benchmark(loading=[slow, more], training=training))
    assert advice[0].advice == "--set train.loader_workers=4 loads 6.0 times as fast here"
    assert training.waiting == pytest.approx(0.2)
    found = limits(benchmark(training=training))
    assert "waited 20% of the time" in found[0].finding
    # what training measured counts
    training = Training(images=2, seconds=[1.0, 1.0], waits=[0.05, 0.05])
    assert [limit.what for limit in limits(benchmark(loading=[slow], training=training))] == ["arithmetic"]


def test_a_busy_machine_and_little_memory():
    found = limits(benchmark(load=1.5, memory_limit=3.5 * GIB))
    assert [limit.what for limit in found] == ["other processes", "memory", "arithmetic"]
    assert "train.mirror=true" in found[1].advice
    assert len(limits(benchmark(change(threads=1), load=1.5))) == 1
    gpu = change(devices="gpu:0")  # its memory is not the process's
    assert len(limits(benchmark(gpu, memory_limit=3.5 * GIB))) == 1


def test_report_and_json():
    one = change(threads=1, seconds=[1.0])
    made = benchmark(
        others=[one],
        operators={"Convolution": 0.75, "relu": 0.25},
        failed={"4 images a step": "they would not fit into memory"},
    )
    text = report(made)
    assert "0.5 s (0.4 to 0.9 in 3 steps; the first one 2 s), 4.0 images/s" in text
    assert "25 GMAC a step: 100 GFLOP/s, 50% of the 200 that" in text
    rows = [line.split() for line in text.splitlines() if "NaiveEngine" in line]
    assert rows == [
        ["2", "NaiveEngine", "cpu", "2", "0.5", "4.0", "1.00"],
        ["1", "NaiveEngine", "cpu", "2", "1", "2.0", "0.50"],
    ]
    assert "a step by operator: Convolution 75%, relu 25%" in text
    assert "loading: 20.0 images/s" in text and "not measured: 4 images a step: they would not fit" in text
    assert "1. arithmetic: " in text and "   -> " in text
    plain = json.loads(json.dumps(as_json(made), allow_nan=False))
    assert plain["usual"]["median"] == 0.5 and plain["others"][0]["rate"] == 2.0
    assert plain["limits"][0]["what"] == "arithmetic" and plain["training"] is None
