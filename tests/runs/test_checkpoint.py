"""Checkpoints: what is loaded is what was saved, or an error that says what is wrong."""

import hashlib
import json
import shutil

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.errors import RunError, TrainingError
from gluon_liver.nn.ct_detector import CTDetector
from gluon_liver.nn.rcnn import initialize
from gluon_liver.runs.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from gluon_liver.runs.manifest import own_digest


def detector_of(config):
    built = CTDetector(config.network, classes=("cyst", "hemangioma", "hcc"), slices=1, size=config.data.size)
    initialize(built, mx.cpu())
    return built


@pytest.fixture
def saved(tiny_run, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(str(tiny_run.folder / "checkpoints"), str(folder))
    return newest_checkpoint(folder)


def test_round_trip(saved, tiny_config, tmp_path):
    detector = detector_of(tiny_config)
    assert load_checkpoint(saved, detector)["step"] == 10
    again = save_checkpoint(tmp_path / "again", detector, step=10, epoch=2)
    first, second = (mx.nd.load(str(path / "net.params")) for path in (saved, again))
    assert set(first) == set(second)
    assert all(np.array_equal(first[name].asnumpy(), second[name].asnumpy()) for name in first)


def test_weights_fit_another_input_size(saved, make_config):
    load_checkpoint(saved, detector_of(make_config(**{"data.size": 96})))


def test_a_flipped_bit_is_found(saved, tiny_config):
    path = saved / "net.params"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RunError, match="net.params is damaged"):
        load_checkpoint(saved, detector_of(tiny_config))


def test_truncation_is_found(saved, tiny_config):
    path = saved / "net.params"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match="damaged"):
        load_checkpoint(saved, detector_of(tiny_config))


@pytest.mark.parametrize("name", ["net.params", "manifest.json"])
def test_a_missing_file_is_named(saved, tiny_config, name):
    (saved / name).unlink()
    with pytest.raises(RunError, match="not a complete checkpoint"):
        load_checkpoint(saved, detector_of(tiny_config))


def test_another_architecture_is_refused(saved, make_config):
    with pytest.raises(RunError, match=r"has shape .* wants"):
        load_checkpoint(saved, detector_of(make_config(**{"network.width": 0.25})))


def test_nothing_there(tmp_path):
    with pytest.raises(RunError, match="no checkpoint"):
        newest_checkpoint(tmp_path)


def test_an_unfinished_write_is_not_a_checkpoint(saved):
    unfinished = saved.parent / "step-99999999.partial"
    unfinished.mkdir()
    assert newest_checkpoint(saved.parent) == saved


def test_manifest_is_plain_json(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["files"]["net.params"]["bytes"] == (saved / "net.params").stat().st_size


def test_values_that_are_not_finite_are_not_saved(tiny_config, tmp_path):
    detector = detector_of(tiny_config)
    detector.box_predictor.bias.data()[:] = float("nan")
    with pytest.raises(TrainingError, match="box_predictor.bias is not finite"):
        save_checkpoint(tmp_path, detector, step=1, epoch=1)
    with pytest.raises(RunError, match="no checkpoint"):
        newest_checkpoint(tmp_path)


def test_values_that_are_not_finite_are_not_loaded(saved, tiny_config):
    """A file of another origin, with a manifest that fits it."""
    parameters = mx.nd.load(str(saved / "net.params"))
    parameters["box_predictor.bias"][:] = float("nan")
    mx.nd.save(str(saved / "net.params"), parameters)
    rewrite_manifest(saved)
    with pytest.raises(RunError, match="box_predictor.bias holds values that are not finite"):
        load_checkpoint(saved, detector_of(tiny_config))


def rewrite_manifest(path, **changes):
    """As whoever made the files by hand would: the files as they are now."""
    manifest = json.loads((path / "manifest.json").read_text())
    for name in manifest["files"]:
        content = (path / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest.update(changes)
    manifest["sha256"] = own_digest(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"files": []}', "no JSON"])
def test_a_broken_manifest_is_refused(saved, tiny_config, text):
    (saved / "manifest.json").write_text(text)
    with pytest.raises(RunError, match="not a complete checkpoint"):
        load_checkpoint(saved, detector_of(tiny_config))


def test_garbage_with_a_fitting_manifest_is_refused(saved, tiny_config):
    (saved / "net.params").write_bytes(b"garbage")
    rewrite_manifest(saved)
    with pytest.raises(RunError, match="holds no parameters"):
        load_checkpoint(saved, detector_of(tiny_config))


def test_another_order_of_classes_is_refused(saved, tiny_config):
    rewrite_manifest(saved, classes=["hcc", "cyst", "hemangioma"])
    with pytest.raises(RunError, match="has the classes"):
        load_checkpoint(saved, detector_of(tiny_config))


def test_other_folders_are_not_checkpoints(saved):
    (saved.parent / "step-zzz").mkdir()
    assert newest_checkpoint(saved.parent) == saved
