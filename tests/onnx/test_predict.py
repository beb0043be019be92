"""predict.py of an export: its detections against detect's, and what it refuses."""

import ast
import gzip
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import mxnet as mx
import nibabel
import numpy as np
import pytest

from gluon_liver.inference.stream import StreamDetector
from gluon_liver.inference.study import detect_study
from gluon_liver.nn.build import make_detector
from gluon_liver.readers.image_folder import open_image_folder
from gluon_liver.runs.checkpoint import save_checkpoint
from gluon_liver.runs.run import Run
from tests.conftest import us_config
from tests.onnx.predict_names import predict

from .predict_study import body, config_of, options, write_phase

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
REAL = os.environ.get("GLUON_LIVER_REAL_CT")


def make_run(folder, config, dataset):
    run = Run.create(folder, config, dataset=dataset)
    mx.random.seed(1)
    detector = make_detector(config, classes=dataset.classes, phases=run.input_phases, context=mx.cpu())
    for name, one in detector.collect_learned().items():
        if name.endswith("predictor.weight"):
            one.set_data(mx.nd.random.normal(0, 0.1, one.shape))
    save_checkpoint(run.checkpoints, detector, step=1, epoch=1, config=config)
    return run


@pytest.fixture(scope="module")
def exported(phase_data, us_data, tmp_path_factory):
    """A net of three phases and one of ultrasound that sees the frame before, and their folders of graphs."""
    from gluon_liver.onnx.package import export_onnx

    folder = tmp_path_factory.mktemp("exported")
    flow = us_config("us-flow")
    ct = config_of({"relation": "full"}, storage="jpeg", slices=3)
    us = replace(flow, flow=replace(flow.flow, estimate="zero"))
    runs = make_run(folder / "ct", ct, phase_data), make_run(folder / "us", us, us_data)
    for run in runs:
        export_onnx(run, folder / f"{run.config.task}.graphs")
    return (*runs, folder)


def same(found, wanted, key):
    """The same detections, in the order in which both give them."""
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted):
        assert one.keys() == other.keys() and one[key] == other[key] and one["category_id"] == other["category_id"]
        assert one["image_id"] == other["image_id"] and one["score"] == pytest.approx(other["score"], abs=1e-4)
        assert one["bbox"] == pytest.approx(other["bbox"], abs=0.011)
        if "source" in one:
            assert one["source"]["bbox"] == pytest.approx(other["source"]["bbox"], abs=0.011)
            assert one["source"]["slice"] == other["source"]["slice"]


def test_a_study_gives_what_detect_gives(exported, study_folder, tmp_path):
    run, _, folder = exported
    detect_study(run, study_folder, tmp_path / "found", phases=study_folder / "rules.yaml", progress=False)
    out = tmp_path / "detections.json"
    phases = [f"--phase={name}={study_folder / place}" for name, place in (("non_contrast", "a"), ("delayed", "c"))]
    words = [str(study_folder / "b"), *phases, "--out", str(out), "--csv", "--threads", "1"]
    assert predict.main(words, folder / "ct.graphs") == 0
    rows = json.loads(out.read_text())
    same(rows, json.loads((tmp_path / "found" / "detections.json").read_text()), "slice")
    lines = (tmp_path / "detections.csv").read_text().splitlines()
    assert len(lines) == len(rows) + 1 and lines[1].startswith(f'{rows[0]["slice"]},"')
    few = tmp_path / "few.json"
    assert predict.main([str(study_folder / "b"), "--out", str(few), "--score", "0.4"], folder / "ct.graphs") == 0
    assert all(row["score"] >= 0.4 for row in json.loads(few.read_text()))


def test_frames_give_what_a_stream_gives(exported, tmp_path):
    _, run, folder = exported
    rng = np.random.default_rng(0)
    (tmp_path / "frames").mkdir()
    for number in (1, 2, 4):
        cv2.imwrite(str(tmp_path / "frames" / f"f{number}.png"), rng.integers(0, 256, (40, 50, 3)).astype(np.uint8))
    stream, _ = StreamDetector.from_run(run)
    wanted = []
    for number, frame in open_image_folder(tmp_path / "frames", "frames").numbered():
        wanted += [{**row, "frame": number} for row in stream.detect(frame, number).detections.to_coco(number + 1)]
    out = tmp_path / "detections.json"
    assert predict.main([str(tmp_path / "frames"), "--out", str(out)], folder / "us.graphs") == 0
    same(json.loads(out.read_text()), wanted, "frame")


def test_what_cannot_be_read_is_told_and_nothing_is_written(exported, study_folder, tmp_path, capsys, monkeypatch):
    _, _, folder = exported
    ct, out = folder / "ct.graphs", tmp_path / "out.json"

    def refused(message, *words, graphs=ct, target=out):
        assert predict.main([*map(str, words), "--out", str(target)], graphs) == 2
        assert message in capsys.readouterr().err and not out.exists()

    def series(name, hu=None, **more):
        hu = body((4, 16, 16), 0) if hu is None else hu
        return write_phase(tmp_path / name, hu, name="arterial", series=9, origin=(0, 0, 0), **more)

    refused("there is no such folder", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    refused("0 series of CT images", tmp_path / "empty")
    refused("lies inside", tmp_path)
    refused("3 series of CT images are there, one is wanted; name one", study_folder)
    refused("the others of this network are: non_contrast, delayed", study_folder / "b", "--phase", "portal=x")
    with pytest.raises(SystemExit, match="2"):
        predict.main([str(study_folder / "b"), "--phase", "delayed", "--out", str(out)], ct)
    assert "--phase: 'delayed' is not NAME=PATH" in capsys.readouterr().err
    refused("it must be from 0 to 1", study_folder / "b", "--score", "2")
    refused("--threads -3: it must be 1 or more", study_folder / "b", "--threads", "-3")
    refused("ends in .json", study_folder / "b", target=tmp_path / "out.txt")
    (tmp_path / "there.json").write_text("[]")
    refused("there.json exists", study_folder / "b", target=tmp_path / "there.json")
    refused("has one slice", series("one", body((1, 16, 16), 0)))
    refused("no squares", series("oblong", spacing=(3.0, 0.8, 1.2)))
    refused("not axial", series("coronal", orientation=(1, 0, 0, 0, 0, -1)))
    refused("RescaleSlope of 0", series("slope", RescaleSlope=0))
    gap = series("gap")
    next(gap.glob("*-1.dcm")).unlink()
    refused("unevenly, from 3.000 to 6.000 mm apart", gap)
    cut = series("cut")
    (last,) = cut.glob("*-2.dcm")
    last.write_bytes(last.read_bytes()[:-100])
    refused("", cut)
    twice = series("twice")
    shutil.copy(next(twice.glob("*-1.dcm")), twice / "copy.dcm")
    refused("two of its slices lie at one position", twice)
    other = series("frame", FrameOfReferenceUID="1.2.3")
    refused("shares a frame of reference", study_folder / "b", "--phase", f"delayed={other}")
    far = write_phase(tmp_path / "far", body((4, 16, 16), 0), name="x", series=8, origin=(0, 0, 900))
    refused("no slice of it overlaps", study_folder / "b", "--phase", f"delayed={far}")
    np.save(tmp_path / "a.npy", body((3, 20, 20), 1))
    np.savez(tmp_path / "b.npz", hu=body((3, 20, 21), 1), spacing=[3, 1, 1])
    refused("give --spacing DZ DY DX", tmp_path / "a.npy")
    refused(
        "the reference phase (3, 20, 20)",
        tmp_path / "a.npy",
        "--spacing",
        3,
        1,
        1,
        "--phase",
        f"delayed={tmp_path}/b.npz",
    )
    np.save(tmp_path / "positive.npy", np.full((3, 20, 20), 7))
    refused("HU have air at -1000 (--no-air", tmp_path / "positive.npy", "--spacing", 3, 1, 1)
    (tmp_path / "bad.nii.gz").write_bytes(b"\x1f\x8b nothing")
    refused("it is damaged or cut short", tmp_path / "bad.nii.gz")
    (tmp_path / "bad.nii").write_bytes(b"nothing" * 100)
    refused("no NIfTI-1 file", tmp_path / "bad.nii")
    refused("are for CT", study_folder / "b", "--phase", "a=b", graphs=folder / "us.graphs")
    refused("no such video, folder of pictures or array", tmp_path / "none.mp4", graphs=folder / "us.graphs")
    refused("holds no pictures", study_folder / "b", graphs=folder / "us.graphs")
    refused("frames (n, h, w, 3), uint8 RGB, are wanted", tmp_path / "a.npy", graphs=folder / "us.graphs")
    refused("is no whole folder of `export --onnx`", study_folder / "b", graphs=tmp_path)
    shutil.copytree(ct, tmp_path / "graphs")
    with (tmp_path / "graphs" / "detector.onnx").open("ab") as stream:
        stream.write(b"0")
    refused("detector.onnx is damaged or was changed", study_folder / "b", graphs=tmp_path / "graphs")
    there = predict.importlib.util.find_spec
    for package in ("pydicom", "onnxruntime"):
        monkeypatch.setattr(
            predict.importlib.util, "find_spec", lambda name, lacks=package: None if name == lacks else there(name)
        )
        refused(f"pip install {package}", study_folder / "b")


def test_damaged_arrays_are_told(exported, tmp_path, capsys):
    _, _, folder = exported
    files = {
        "empty.npy": "numbers (z, y, x) are wanted",
        "nothing.npz": "no array of numbers",
        "spacing.npz": "give --spacing DZ DY DX",
        "deflated.nii.gz": "it is damaged or cut short",
    }
    np.save(tmp_path / "empty.npy", np.zeros((0, 4, 4)))
    (tmp_path / "nothing.npz").write_bytes(b"PK\3\4 nothing")
    np.savez(tmp_path / "spacing.npz", hu=np.zeros((2, 4, 4)), spacing=3.0)
    (tmp_path / "deflated.nii.gz").write_bytes(gzip.compress(bytes(999))[:10] + b"\xff" * 40)
    np.save(tmp_path / "whole.npy", np.zeros((2, 4, 4)))
    np.save(tmp_path / "frames.npy", np.zeros((2, 0, 4, 3), np.uint8))
    out = tmp_path / "out.json"

    def refused(message, graphs, *words, target=out):
        assert predict.main([*map(str, words), "--out", str(target)], folder / graphs) == 2
        assert message in capsys.readouterr().err and not out.exists()

    for name, message in files.items():
        refused(message, "ct.graphs", tmp_path / name)
    refused("give --spacing DZ DY DX", "ct.graphs", tmp_path / "whole.npy", "--no-air", "--spacing", 1, "nan", 1)
    refused("not there or not writable", "ct.graphs", tmp_path / "whole.npy", target=tmp_path / "none" / "out.json")
    refused("uint8 RGB, are wanted", "us.graphs", tmp_path / "frames.npy")
    (tmp_path / "frames.npy").write_bytes(b"nothing")
    refused("is no array of numbers", "us.graphs", tmp_path / "frames.npy")


def test_arrays_and_nifti_give_the_same_boxes(exported, study_folder, tmp_path):
    _, _, folder = exported
    fixed = predict.read_volume(study_folder / "b", options("x"))
    np.savez(tmp_path / "a.npz", hu=fixed.hu, spacing=np.linalg.norm(fixed.steps, axis=1))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = fixed.steps[::-1].T, fixed.origin
    image = nibabel.Nifti1Image(fixed.hu.transpose(2, 1, 0), np.diag([-1, -1, 1, 1]) @ affine)
    nibabel.save(image, tmp_path / "a.nii")
    found = []
    for number, path in enumerate((study_folder / "b", tmp_path / "a.npz", tmp_path / "a.nii")):
        out = tmp_path / f"{number}.json"
        assert predict.main([str(path), "--out", str(out)], folder / "ct.graphs") == 0
        found.append([(row["slice"], row["bbox"], row["score"]) for row in json.loads(out.read_text())])
    assert found[0] == found[1] == found[2]


def test_the_script_needs_nothing_of_this_package(exported):
    _, _, folder = exported
    graphs, names = folder / "ct.graphs", set()
    for path in (graphs / "predict_parts").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
            elif isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
    others = names - set(getattr(sys, "stdlib_module_names", names))
    assert len(names) > 9 and others <= {"numpy"}
    alone = [sys.executable, "-I", str(graphs / "predict.py"), "--help"]
    done = subprocess.run(alone, cwd="/", stdout=subprocess.PIPE, text=True, check=True)
    assert "--phase NAME=PATH" in done.stdout and "usage: predict.py" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="no real CT study: GLUON_LIVER_REAL_CT names its folder")
def test_a_real_study_gives_what_detect_gives(exported, tmp_path):
    run, _, folder = exported
    boxes = json.loads((Path(REAL) / "boxes.json").read_text())
    named = dict(early_arterial="non_contrast", late_arterial="arterial", portal_venous="delayed")
    series = {uid: named[phase] for uid, phase in boxes["phase_by_series"].items()}
    lines = ["order: [non_contrast, arterial, delayed]", "reference: arterial", "series:"]
    rules = tmp_path / "rules.yaml"
    rules.write_text("\n".join([*lines, *(f"  {uid}: {name}" for uid, name in series.items())]))
    detect_study(run, REAL, tmp_path / "found", phases=rules, progress=False)
    places = {series[uid]: place for uid in series for place in Path(REAL).iterdir() if place.name.endswith(uid[-5:])}
    phases = [f"--phase={name}={place}" for name, place in places.items() if name != "arterial"]
    out = tmp_path / "detections.json"
    assert predict.main([str(places["arterial"]), *phases, "--out", str(out)], folder / "ct.graphs") == 0
    same(json.loads(out.read_text()), json.loads((tmp_path / "found" / "detections.json").read_text()), "slice")
