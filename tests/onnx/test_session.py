"""Sessions of onnxruntime: what computes, and what is said where a device is not there."""

import sys

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.onnx.session import CPU, CUDA, Session, check_installed

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def doubled():
    """Bytes of a graph ``y = x + x``, of any number of rows."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    one, other = (helper.make_tensor_value_info(name, kind, ("batch", 2)) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "doubled", [one], [other])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def test_a_graph_runs_on_the_cpu(doubled, tmp_path):
    (tmp_path / "doubled.onnx").write_bytes(doubled)
    for session in (Session(doubled), Session(tmp_path / "doubled.onnx", device="cpu", threads=1)):
        rows = np.arange(6, dtype=np.float32).reshape(3, 2)
        assert session.provider == CPU and session.inputs == {"x": ("batch", 2)} and list(session.outputs) == ["y"]
        assert session.run({"x": rows})["y"].tolist() == (2 * rows).tolist()
        assert session.record() == {"name": "onnxruntime", "version": onnxruntime.__version__, "provider": CPU}


def test_a_device_that_is_not_there_is_an_error(doubled, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(InputError, match=f"--device gpu:0: onnxruntime .* with {CPU} alone: .*onnxruntime-gpu"):
        Session(doubled, device="gpu:0")
    with pytest.raises(InputError, match="expected cpu or gpu:N"):
        Session(doubled, device="gpu")


def test_onnxruntime_may_not_take_the_cpu_in_place_of_a_gpu(doubled, monkeypatch):
    asked = {}
    real = onnxruntime.InferenceSession

    def session(model, options, providers):
        asked["providers"] = providers
        return real(model, options, providers=[CPU])  # as it does where CUDA's libraries lack

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    with pytest.raises(InputError, match="--device gpu:1: onnxruntime cannot use CUDA here .* would take the CPU"):
        Session(doubled, device="gpu:1")
    assert asked["providers"] == [(CUDA, {"device_id": "1", "use_tf32": "0"})]


def test_what_is_no_graph_is_an_error(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"broken.onnx: onnxruntime cannot load it: "):
        Session(tmp_path / "broken.onnx")
    with pytest.raises(InputError, match=r"the graph of RUN: onnxruntime cannot load it: "):
        Session(b"no graph", what="the graph of RUN")


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    check_installed("--engine onnx", "onnx", "onnxruntime")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"--engine onnx needs the package onnxruntime, .*gluon_liver\[onnx\]"):
        check_installed("--engine onnx", "onnx", "onnxruntime")
