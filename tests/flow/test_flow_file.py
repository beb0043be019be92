"""Files of flow parameters: written whole with what stands beside them, or not at all."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.errors import InputError
from gluon_liver.flow import released_weights
from gluon_liver.flow.flow_file import CONVENTIONS, find_flow, save_flow

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float32)}


def save(folder, arrays=ARRAYS, **more):
    save_flow(folder / "flow.params", folder / "flow.json", arrays, width=0.25, source={"kind": "test"}, **more)


def test_what_is_saved_is_found(tmp_path):
    save(tmp_path, tensors={"a": "x"})
    content = (tmp_path / "flow.params").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    assert find_flow(tmp_path) == (tmp_path / "flow.params", 0.25, sha256)
    output = {"file": "flow.params", "bytes": len(content), "sha256": sha256}
    about = dict(source={"kind": "test"}, conventions=CONVENTIONS, tensors={"a": "x"}, output=output)
    wanted = dict(format=1, network="LiteFlowNet", width=0.25, parameters=10, **about)
    assert json.loads((tmp_path / "flow.json").read_text()) == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flow.json", "flow.params"]


def test_a_full_disk_leaves_what_was_there(tmp_path, full_disk):
    save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(2000):
        with pytest.raises(InputError, match="is the disk full"):
            save(tmp_path, {"a": np.ones(5000, np.float32)})
    with pytest.raises(InputError, match="does its folder exist"):
        save(tmp_path / "nowhere")
    with pytest.raises(ValueError):
        save(tmp_path, loss=float("nan"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_conversion_says_the_same_conventions(tmp_path, monkeypatch):
    (tmp_path / "x.caffemodel").write_bytes(b"")
    converted = released_weights.Converted(ARRAYS, {"a": "x", "b": "y"})
    monkeypatch.setattr(released_weights, "from_caffe", lambda blobs: converted)
    monkeypatch.setattr("gluon_liver.readers.weights.caffe.read_caffemodel", lambda path: {})
    assert main(["convert-flow", str(tmp_path / "x.caffemodel"), "--out", str(tmp_path / "flow.params")]) == 0
    manifest = json.loads((tmp_path / "flow.json").read_text())
    assert manifest["conventions"] == CONVENTIONS and manifest["source"]["kind"] == "Caffe" and manifest["width"] == 1
