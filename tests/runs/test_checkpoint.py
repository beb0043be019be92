"""Checkpoints: what is loaded is what was saved, or an error that says what is wrong."""

import hashlib
import json
import shutil

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.errors import RunError
from gluon_liver.nn.build import make_detector
from gluon_liver.runs.checkpoint import load_checkpoint, save_checkpoint
from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from gluon_liver.runs.manifest import own_digest


def detector_of(config):
    return make_detector(config, classes=["cyst", "hemangioma", "hcc"], phases=1, context=mx.cpu())


@pytest.fixture
def saved(tiny_run, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(str(tiny_run.folder / "checkpoints"), str(folder))
    return newest_checkpoint(folder)


def rewrite_manifest(path, **changes):
    """As whoever made the files by hand would: the files as they are now."""
    manifest = json.loads((path / "manifest.json").read_text())
    for name in manifest["files"]:
        content = (path / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest.update(changes)
    manifest["sha256"] = own_digest(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_round_trip(saved, tiny_config, make_config, tmp_path):
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["files"]["net.params"]["bytes"] == (saved / "net.params").stat().st_size
    detector = detector_of(tiny_config)
    assert load_checkpoint(saved, detector)["step"] == 10
    again = save_checkpoint(tmp_path / "again", detector, step=10, epoch=2)
    first, second = (mx.nd.load(str(path / "net.params")) for path in (saved, again))
    assert set(first) == set(second)
    assert all(np.array_equal(first[name].asnumpy(), second[name].asnumpy()) for name in first)
    load_checkpoint(saved, detector_of(make_config(**{"data.size": 96})))  # weights fit another input size


def damage(name, change):
    """A function that changes the bytes of a file of a checkpoint."""
    return lambda path: (path / name).write_bytes(change((path / name).read_bytes()))


def spoil_a_value(path):
    parameters = mx.nd.load(str(path / "net.params"))
    parameters["box_predictor.bias"][:] = float("nan")
    mx.nd.save(str(path / "net.params"), parameters)


INCOMPLETE = "not a complete checkpoint"
FITTING = {  # files of another origin: the manifest is made to fit them
    "garbage": (damage("net.params", lambda content: b"garbage"), "holds no parameters"),
    "not finite": (spoil_a_value, "box_predictor.bias holds values that are not finite"),
}
REFUSED = {
    "flipped bit": (damage("net.params", lambda c: c[:-1] + bytes([c[-1] ^ 1])), "net.params is damaged"),
    "truncation": (damage("net.params", lambda content: content[:-100]), "damaged"),
    "no parameters": (lambda path: (path / "net.params").unlink(), INCOMPLETE),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), INCOMPLETE),
    "order of classes": (lambda path: rewrite_manifest(path, classes=["hcc", "cyst", "hemangioma"]), "has the classes"),
    **FITTING,
}
for text in (b"[]", b"null", b"{}", b'{"files": []}', b"no JSON"):
    REFUSED[f"manifest {text}"] = (damage("manifest.json", lambda _, text=text: text), INCOMPLETE)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_damaged_or_does_not_fit_is_refused(saved, tiny_config, kind):
    change, message = REFUSED[kind]
    change(saved)
    if kind in FITTING:
        rewrite_manifest(saved)
    with pytest.raises(RunError, match=message):
        load_checkpoint(saved, detector_of(tiny_config))


def test_another_architecture_is_refused(saved, make_config):
    with pytest.raises(RunError, match=r"has shape .* wants"):
        load_checkpoint(saved, detector_of(make_config(**{"network.width": 0.25})))


def test_unfinished_writes_and_other_folders_are_not_checkpoints(saved, tmp_path):
    for name in ("step-99999999.partial", "step-zzz"):
        (saved.parent / name).mkdir()
    assert newest_checkpoint(saved.parent) == saved
    with pytest.raises(RunError, match="no checkpoint"):
        newest_checkpoint(tmp_path)
