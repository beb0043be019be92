"""onnxruntime in place of MXNet: the same boxes of images and of streams, what is said of it, and what it cannot do."""

import json
import shutil

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.load import build_config
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import InputError, RunError
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.inference.choice import EngineChoice
from gluon_liver.inference.detector import ImageDetector
from gluon_liver.inference.engine import MXNetEngine, StreamRows
from gluon_liver.inference.graph_source import ConvertedGraphs
from gluon_liver.inference.onnx_engine import OnnxEngine
from gluon_liver.inference.stream import StreamDetector
from gluon_liver.onnx.session import CPU
from gluon_liver.runs.run import Run
from tests.onnx.detectors import SIZE, detector_of, inputs_of

pytest.importorskip("onnxruntime")


def engines_of(reading):
    """A tiny detector, and engines that compute it: MXNet and onnxruntime."""
    detector = detector_of(reading)
    return detector, MXNetEngine(detector, context=mx.cpu()), engine_of(detector)


def engine_of(detector):
    return OnnxEngine(ConvertedGraphs(lambda: detector, device="cpu", what="it"))


def check_rows(rows, expected):
    """The same detections, in whatever order those of nearly the same score stand."""
    rows, expected = (one[one[:, 0] >= 0] for one in (rows, expected))
    assert len(rows) == len(expected) > 0
    apart = np.abs(rows[:, None] - expected[None]) - 1e-4 * np.abs(expected)
    nearest = apart.max(axis=2).argmin(axis=1)
    assert sorted(nearest) == list(range(len(rows)))
    assert apart[np.arange(len(rows)), nearest].max() < 2e-3


@pytest.mark.parametrize("reading", ["r50", "fusion, texture, multi-modal"])
def test_both_engines_give_the_same_rows(reading):
    detector, ours, theirs = engines_of(reading)
    inputs = list(inputs_of(detector, batch=2).values())
    for rows, expected in zip(theirs.detect(inputs), ours.detect(inputs)):
        check_rows(rows, expected)
    record = theirs.record()
    assert (record["name"], record["provider"], record["precision"], record["graphs"]) == (
        "onnxruntime",
        CPU,
        "float32",
        "converted",
    )


def test_a_network_that_computes_no_numbers_is_told():
    detector = detector_of("r50")
    detector.class_predictor.bias.data()[:] = np.nan
    with pytest.raises(RunError, match="not finite"):
        engine_of(detector).detect(list(inputs_of(detector, batch=1).values()))


@pytest.mark.parametrize("reading", ["us", "us-flow"])
def test_both_engines_read_the_same_stream(reading):
    model = {"us": "us-faster-rcnn"}.get(reading, reading)
    config = build_config({"model": model, "row": None, "data": {"size": SIZE}})
    detector, *engines = engines_of(reading)
    rng, found = np.random.default_rng(3), []
    frames = [rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8) for _ in range(3)]
    for engine in engines:
        stream = StreamDetector(ImageDetector(engine, config=config, classes=detector.classes))
        rows, plain = [], stream.engine.detect
        stream.engine.detect = lambda *kept, rows=rows, plain=plain: rows.append(plain(*kept)) or rows[-1]
        flows = [stream.detect(frame).flow for frame in frames]
        found.append((stream.engine.frames, rows, flows))
    (frames_seen, expected, flows), (others_seen, rows, other_flows) = found
    assert frames_seen == others_seen == detector.frames
    for one, other, flow, other_flow in zip(rows, expected, other_flows, flows):
        check_rows(one.rows, other.rows)
        assert isinstance(one, StreamRows) and (flow is None) == (reading == "us")
        if flow is not None:
            np.testing.assert_allclose(flow, other_flow, atol=2e-3)


def test_what_needs_parts_of_the_network_is_refused(tiny_run):
    choice = EngineChoice("onnx")
    choice.check()
    for wrong, said in (({"dense": True}, "--dense computes parts"), ({"explain": True}, "--explain computes parts")):
        with pytest.raises(InputError, match=f"{said} of the network, which MXNet alone does"):
            choice.check(**wrong)
    with pytest.raises(InputError, match="--precision bfloat16 is MXNet's"):
        EngineChoice("onnx", precision="bfloat16").check()


@pytest.mark.slow
def test_an_evaluation_says_which_engine_computed(tiny_run, tiny_data, tmp_path, capsys):
    run = Run.open(shutil.copytree(str(tiny_run.folder), str(tmp_path / "run")))
    options = dict(settings=ScoreSettings(5), progress=False)
    boxes, results = {}, {}
    for engine in ("mxnet", "onnx"):
        out = tmp_path / engine
        evaluate(run, CTDataset.open(tiny_data), choice=EngineChoice(engine), out=out, **options)
        boxes[engine], results[engine] = (
            json.loads((out / f"{name}.json").read_text()) for name in ("detections", "results")
        )
        name = {"mxnet": "mxnet", "onnx": "onnxruntime"}[engine]
        assert results[engine]["engine"]["name"] == name and name in (out / "report.html").read_text()
    assert "engine: onnxruntime" in capsys.readouterr().err
    assert results["onnx"]["engine"]["provider"] == CPU and results["onnx"]["precision"] == "float32"
    assert len(boxes["onnx"]) == len(boxes["mxnet"]) > 0
    for one, other in zip(boxes["onnx"], boxes["mxnet"]):
        assert one["category_id"] == other["category_id"]
        np.testing.assert_allclose([*one["bbox"], one["score"]], [*other["bbox"], other["score"]], atol=1e-2)


@pytest.mark.parametrize(
    "options, said",
    [
        (["--engine", "onnx", "--precision", "bfloat16"], "--precision bfloat16 is MXNet's"),
        (["--engine", "onnx", "--explain"], "--explain computes parts of the network"),
        (["--engine", "tensorrt"], "--engine tensorrt: it is mxnet, onnx, or a folder that export --onnx made"),
        (["--engine", "."], "it has no manifest.json"),
    ],
)
def test_an_engine_that_cannot_be_is_told_and_nothing_written(tiny_run, tiny_data, tmp_path, capsys, options, said):
    study = tiny_data / "studies" / "case-0000000003"
    command = ["detect", str(study), "--run", str(tiny_run.folder), "--out", str(tmp_path / "out"), *options]
    assert main(command) == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
