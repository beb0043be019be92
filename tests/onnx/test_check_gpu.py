"""check.npz and the script that reads it where a GPU is; here there is none, and the CPU stands in for it."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from gluon_liver.onnx.check_file import CHECK, check_image, write_check
from gluon_liver.onnx.graphs import detector_graph

from .detectors import detector_of

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_onnx_gpu.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("check_onnx_gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the script reads of an export."""
    folder, detector = tmp_path_factory.mktemp("export"), detector_of("r50 pools, multi-modal")
    (folder / "detector.onnx").write_bytes(detector_graph(detector).SerializeToString())
    (folder / "manifest.json").write_text(json.dumps({"checkpoint": {"name": "step-1"}, "opset": 17}))
    write_check(folder, detector)
    return folder


@pytest.fixture
def call(script, monkeypatch, capsys):
    """call(folder): exit code, and the printed lines."""

    def start(folder):
        monkeypatch.setattr(sys, "argv", ["check_onnx_gpu.py", str(folder)])
        code = script.main()
        return code, capsys.readouterr().out.splitlines()

    return start


@pytest.fixture
def pretend(script, monkeypatch):
    """As if there were a GPU; what runs is the CPU."""
    real = onnxruntime.InferenceSession

    class Session:
        def __init__(self, path, providers):
            self._session = real(path, providers=["CPUExecutionProvider"])

        def __getattr__(self, name):
            return getattr(self._session, name)

        def get_providers(self):
            return [script.CUDA]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [script.CUDA])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(script, "cards", lambda: ["Card, 1, 2 MiB"])
    monkeypatch.setattr(script, "SECONDS", 0.0)
    monkeypatch.setattr(script, "BATCHES", (1, 2))


def test_the_stored_input_is_what_both_sides_make_of_it(folder, script):
    with np.load(folder / CHECK) as file:
        stored = dict(file)
    assert np.array_equal(script.image_of(stored), check_image(stored))
    assert check_image(stored).shape == (1, 3, 1, 9, 64, 64) and abs(check_image(stored).mean()) < 0.1
    assert (stored["classes"] >= 0).any() and (folder / CHECK).stat().st_size < 1e5


def test_without_a_gpu_it_says_so_and_ends_with_a_code_of_its_own(folder, call, script, monkeypatch):
    monkeypatch.setattr(script, "cards", lambda: [])
    code, lines = call(folder)
    assert code == 3 and lines[-1].startswith("result: no GPU was used: ")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [script.CUDA])
    code, lines = call(folder)
    assert code == 3 and "nvidia-smi shows none" in lines[-1]


def test_a_session_that_took_the_cpu_is_no_gpu(folder, call, script, pretend, monkeypatch):
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda self: ["CPUExecutionProvider"])
    code, lines = call(folder)
    assert code == 3 and "took the CPU" in lines[-1]


def test_detections_and_speed_are_told(folder, call, pretend):
    code, lines = call(folder)
    assert code == 0 and lines[-1] == "result: the GPU's detections are those that MXNet gave (float32)"
    text = "\n".join(lines)
    for wanted in ("card: Card, 1, 2 MiB", "provider: CUDA", " 0 without a partner", "batch  1: ", "batch  2: "):
        assert wanted in text


def test_other_detections_are_told(folder, call, pretend, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with np.load(folder / CHECK) as file:
        stored = dict(file)
    stored["scores"] = stored["scores"] * 0.98
    np.savez(tmp_path / CHECK, **stored)
    code, lines = call(tmp_path)
    assert code == 1 and "NOT those" in lines[-1]


def test_a_folder_that_is_no_export_is_told(call, tmp_path):
    code, lines = call(tmp_path)
    assert code == 2 and "is no folder of export --onnx" in lines[-1]
