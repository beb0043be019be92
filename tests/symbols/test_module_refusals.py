"""What module_train and module_test refuse before they compute anything, and what they leave on the disk."""

import json
import os
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from symbols import module_test, module_train
from symbols.networks.catalogue import network_of
from symbols.portable import portable_json
from symbols.record_iter import RecordIter
from symbols.records import RecordFile
from symbols.whole_files import write_whole

from .gluon_side import tiny

pytestmark = pytest.mark.slow


@pytest.fixture
def prefix(tmp_path):
    return tmp_path / "out" / "m"


def run_train(path, prefix, options=""):
    words = f"--records {path} --prefix {prefix} {options}".split()
    return module_train.train(module_train.parse_arguments(words))


def one_step(path, prefix, options=""):
    return run_train(path, prefix, "--lr 0.01 --epochs 1 --epoch-steps 1 " + options)


def run_test(path, out, weights):
    words = f"--records {path} --out {out} --weights {weights} --batch-size 2".split()
    return module_test.detect(module_test.parse_arguments(words))


def no_training(*arguments, **options):
    raise AssertionError("it trains")


def test_a_frozen_flow_network_needs_weights():
    _, plain = tiny("us-flow", ["flow.train=false"])
    args = module_train.parse_arguments(["--records", "x", "--prefix", "x"])
    with pytest.raises(ValueError, match="give --weights that hold a LiteFlowNet"):
        module_train.start_weights(args, network_of(plain), plain, 0)
    _, still = tiny("us-flow", ["flow.estimate=zero"])
    made, _ = module_train.start_weights(args, network_of(still), still, 0)
    assert not any(name.startswith("flow.") for name in made)
    plain["flow"]["train"] = True
    found, _ = module_train.start_weights(args, network_of(plain), plain, 0)
    assert any(name.startswith("flow.") for name in found)


def test_what_is_there_is_not_written_over(records, prefix, weights, monkeypatch):
    path = records()
    one_step(path, prefix, f"--weights {weights}")
    before = {one.name: one.read_bytes() for one in prefix.parent.iterdir()}
    assert sorted(before) == ["m-0001.params", "m-symbol.json"]
    monkeypatch.setattr(mx.mod, "Module", no_training)
    there = "m-0001.params exists: go on from it with --load-epoch 1"
    with pytest.raises(ValueError, match=there + " and more --epochs than 1, or choose another --prefix"):
        one_step(path, prefix)
    with pytest.raises(ValueError, match=there + ", or choose another --prefix"):
        one_step(path, prefix, "--epochs 2")
    plain, symbol = RecordFile(path).config, prefix.with_name("m-symbol.json")
    other = portable_json(network_of(plain).get_symbol_test(plain, 1))
    for text, message in ((other, "choose another --prefix"), ("{", "no symbol")):
        symbol.write_text(text)
        with pytest.raises(ValueError, match=message):
            one_step(path, prefix, "--load-epoch 1 --epochs 2")
        assert symbol.read_text() == text


def test_constants_are_not_saved_and_another_batch_size_can_go_on(records, prefix):
    path = records()
    one_step(path, prefix)
    config = RecordFile(path).config
    constants = network_of(config).constants(config)
    assert constants and not {"arg:" + name for name in constants} & set(mx.nd.load(f"{prefix}-0001.params"))
    one_step(path, prefix, "--load-epoch 1 --epochs 2 --batch-size 1")
    assert prefix.with_name("m-0002.params").is_file()


def test_trainings_that_cannot_be(records, prefix, tmp_path, monkeypatch):
    monkeypatch.setattr(mx.mod, "Module", no_training)
    path = records()
    for arguments, message in (
        ((records("test"), prefix), "test.rec holds the test split"),
        ((path, prefix, "--load-epoch 1"), "--load-epoch 1 of 1 epochs: nothing is left"),
        ((path, path + "/sub/m"), "cannot be made: Not a directory"),
    ):
        with pytest.raises(ValueError, match=message):
            one_step(*arguments)
    assert not prefix.parent.exists()


@pytest.mark.parametrize("option", ["--cpus", "--batch-size", "--epoch-steps", "--epochs", "--frequent"])
def test_counts_begin_at_one(option, capsys):
    commands = [(module_train, "--prefix x")]
    if option in ("--cpus", "--batch-size"):
        commands.append((module_test, "--weights x --out x"))
    for command, words in commands:
        with pytest.raises(SystemExit):
            command.parse_arguments(f"--records x {option} 0 {words}".split())
        assert "0 is below 1" in capsys.readouterr().err


def changed(params, name, change):
    return dict(params, **{name: mx.nd.array(change(params[name].asnumpy()))})


def renamed(params, old, new):
    return {name.replace(old, new): array for name, array in params.items()}


BIAS = "arg:rpn.score.bias"
UNUSABLE = {  # for any network
    "list": (lambda p: list(p.values()), "holds .*arrays without names"),
    "gluon": (lambda p: {name[4:]: array for name, array in p.items()}, "begins with neither arg: nor aux:"),
    "half": (lambda p: dict(p, **{BIAS: p[BIAS].astype("float16")}), BIAS + " is default, float16"),
    "nan": (lambda p: changed(p, BIAS, lambda a: a * np.nan), "bias holds values that are not finite"),
}
BAD = dict(
    UNUSABLE,
    kind=(
        lambda p: renamed(p, "aux:backbone.stem.bn1", "arg:backbone.stem.bn1"),
        "(?s)4 parameters do not fit.*arg:backbone.stem.bn1.running_mean: .*aux:backbone.*running_var: missing",
    ),
    anchors=(lambda p: dict(p, **{"arg:rpn.anchors": mx.nd.zeros((1, 3, 4))}), "the constant rpn.anchors differs"),
)


@pytest.mark.parametrize("kind", BAD)
def test_parameters_that_do_not_fit(kind, weights, records, tmp_path):
    change, message = BAD[kind]
    mx.nd.save(str(tmp_path / "bad.params"), change(mx.nd.load(weights)))
    with pytest.raises(ValueError, match=message) as error:
        run_test(records("test"), tmp_path / "found.json", tmp_path / "bad.params")
    assert "bad.params" in str(error.value) and not (tmp_path / "found.json").exists()


def test_constants_of_another_configuration(weights, records, tmp_path):
    config = RecordFile(records("test")).config
    anchors = network_of(config).constants(config)["rpn.anchors"]
    saved = dict(mx.nd.load(weights), **{"arg:rpn.anchors": mx.nd.array(anchors * 1.001)})
    mx.nd.save(str(tmp_path / "export.params"), saved)
    with pytest.raises(ValueError, match="the constant rpn.anchors differs: it is of another configuration"):
        module_test.load_weights(str(tmp_path / "export.params"), network_of(config), config)


def test_files_that_are_no_parameters(weights, tmp_path):
    path = tmp_path / "bad.params"
    whole, arrays = Path(weights).read_bytes(), mx.nd.load(weights)
    with mx.util.np_shape(True):
        mx.nd.save(str(path), arrays)
    for content, message in (
        (b"PK\x03\x04 an archive", "no parameter file of MXNet"),
        (b"", "no parameter file"),
        (whole[: len(whole) // 2], "damaged or cut"),
        (whole[:20], "damaged or cut"),
        (path.read_bytes(), "saved in NumPy mode"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            module_test.load_weights(str(path), None, None)


def test_scores_that_are_no_numbers_are_not_written(weights, records, tmp_path):
    huge = changed(mx.nd.load(weights), "arg:class_predictor.weight", lambda a: a * 1e38)
    mx.nd.save(str(tmp_path / "huge.params"), changed(huge, "arg:class_predictor.bias", lambda a: a + 3e38))
    with pytest.raises(ValueError, match="the network's scores are not finite"):
        run_test(records("test"), tmp_path / "found.json", tmp_path / "huge.params")
    assert not (tmp_path / "found.json").exists()


def test_detections_are_whole_or_as_they_were(tmp_path, monkeypatch):
    for out, message in ((tmp_path / "none" / "a.json", "there is no folder"), (tmp_path, "is a folder")):
        with pytest.raises(ValueError, match=message):
            run_test("no.rec", out, "none.params")
    path = tmp_path / "a.json"
    write_whole(str(path), json.dumps([1]))
    monkeypatch.setattr(os, "rename", no_training)
    with pytest.raises(AssertionError):
        write_whole(str(path), json.dumps([2]))
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"] and path.read_text() == "[1]"


def test_more_boxes_than_the_network_takes(records):
    data = RecordFile(records())
    data.boxes[3] = 5
    with pytest.raises(ValueError, match="an image has 5 boxes, network.head.max_boxes is 4"):
        RecordIter(data, 2, seed=0)
