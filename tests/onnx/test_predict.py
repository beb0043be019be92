"""predict.py of an export: its NumPy against OpenCV and the program's own readers, its detections against detect's."""

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

from gluon_liver.config.load import build_config
from gluon_liver.data.ct_loader import OpenCase, ct_sample
from gluon_liver.data.images import resize_square
from gluon_liver.data.us_loader import network_frames
from gluon_liver.data.windowed_images import windowed
from gluon_liver.inference.stream import StreamDetector
from gluon_liver.inference.study import detect_study
from gluon_liver.nn.build import make_detector
from gluon_liver.onnx.settings import settings
from gluon_liver.prepare.ct_study import read_study
from gluon_liver.readers.image_folder import open_image_folder
from gluon_liver.readers.volumes.open import open_volume
from gluon_liver.runs.checkpoint import save_checkpoint
from gluon_liver.runs.run import Run
from tests.conftest import PHASES, TINY, us_config
from tests.onnx.predict_names import predict
from tests.readers.ct_writer import ct_dataset, uid, write

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
RULES = f"""
order: [non_contrast, arterial, delayed]
reference: arterial
series:
  {uid(1, 1)}: non_contrast
  {uid(1, 2)}: arterial
  {uid(1, 3)}: delayed
"""
REAL = os.environ.get("GLUON_LIVER_REAL_CT")


def config_of(network=(), **data):
    tree = json.loads(json.dumps(TINY))
    tree["network"].update(network)
    tree["network"]["head"]["score_threshold"] = 0.0
    tree["data"].update(data)
    return build_config({**tree, "row": None})


def body(shape, seed):
    """A volume with air around it and structure in it, smooth enough that its JPEG and its resize mean something."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 300, shape)
    volume = np.stack([cv2.GaussianBlur(plane, (0, 0), 2) for plane in noise]) * 4 + 60
    volume[:, :4] = volume[:, :, :5] = -1000
    return np.rint(np.clip(volume, -1024, 1500)).astype(np.int16)


def write_phase(folder, hu, *, name, series, origin, orientation=(1, 0, 0, 0, 1, 0), spacing=(3.0, 0.8, 0.8), **tags):
    """(z, rows, columns) as the slices of a series, stored in a random order of files; frame of reference shared."""
    row, column = np.reshape(orientation, (2, 3))
    normal = np.cross(row, column)
    for z in range(len(hu)):
        at = np.array(origin) + normal * spacing[0] * z
        place = dict(ImagePositionPatient=[*at], ImageOrientationPatient=[*orientation], PixelSpacing=[*spacing[1:]])
        pixels = np.ascontiguousarray((hu[z].astype(np.int32) + 1024).astype(np.uint16))
        tags = {"RescaleIntercept": -1024, "PixelPaddingValue": 24, **tags}
        ds = ct_dataset(series=series, instance=z, pixels=pixels, description=name, **place, **tags)
        write(ds, folder / f"{(7 * z) % 11}-{z}.dcm")
    return folder


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    """Three phases: the others of another size, lower by 1.3 mm, one of them turned and flipped, and too short."""
    folder = tmp_path_factory.mktemp("study")
    write_phase(folder / "b", body((6, 48, 40), 0), name="arterial", series=2, origin=(-20, -18, 30))
    write_phase(folder / "a", body((7, 40, 44), 1), name="non", series=1, origin=(-18.3, -17, 28.7))
    turned = dict(orientation=(0, -1, 0, -1, 0, 0), spacing=(2.5, 0.9, 0.9))
    write_phase(folder / "c", body((4, 52, 50), 2), name="delayed", series=3, origin=(22, 24.6, 41.2), **turned)
    (folder / "rules.yaml").write_text(RULES)
    return folder


@pytest.fixture(scope="module")
def study(study_folder):
    return read_study(study_folder, phases=study_folder / "rules.yaml")


def options(*words):
    """What main makes of its arguments."""
    return predict.parser().parse_args([*map(str, words), "--out", "x.json"])


def volumes_of(folder):
    """hu and present of predict.py, the reference phase first."""
    fixed = predict.read_volume(folder / "b", options("x"))
    others = [predict.on_grid(predict.read_volume(folder / name, options("x")), fixed) for name in "ac"]
    return fixed, np.stack([fixed.hu, *(hu for hu, _ in others)]), np.stack([np.ones(6, bool), *(p for _, p in others)])


def test_phases_come_to_the_grid_as_an_import_brings_them(study_folder, study):
    fixed, hu, present = volumes_of(study_folder)
    order = [1, 0, 2]
    assert np.array_equal(present, study.present[order]) and 0 < present[2].sum() < 6
    assert np.array_equal(hu[0], study.hu[1])
    differ = hu != study.hu[order]
    assert differ.mean() < 1e-4 and np.abs(hu - study.hu[order].astype(int)).max() <= 1  # halves, rounded by float32
    grid = study.geometry
    assert np.allclose(fixed.origin, grid.origin) and np.allclose(np.linalg.norm(fixed.steps, axis=1), grid.spacing)


@pytest.mark.parametrize(
    "data",
    [
        {"size": 64, "storage": "jpeg"},
        {"size": 64, "slices": 5, "slice_step_mm": 2.0},
        {"size": 96, "slices": 3, "repeat_centre": True, "window": [400, 40]},
        {"size": 64, "slices": 3, "repeat_reference": True},
    ],
)
def test_a_network_gets_what_it_gets_from_the_program(study_folder, study, data):
    config = config_of({"relation": "full"}, **data)
    _, hu, present = volumes_of(study_folder)
    hu = study.hu[[1, 0, 2]]
    given = settings(config, {"classes": ["a"], "phases": PHASES, "reference_phase": "arterial"})["input"]
    case = OpenCase.in_memory(study, config.data)
    for z, (image, there, scale) in enumerate(predict.stacks(hu, present, 3.0, given)):
        sample = ct_sample(case, z, config)
        assert image.shape == sample.image.shape and np.array_equal(there, sample.present) and scale == sample.scale
        apart = np.abs(image.astype(int) - sample.image)
        assert apart.max() <= 1 and (apart > 0).mean() < 1e-3


@pytest.mark.parametrize(
    "shape, size", [((48, 40), 96), ((37, 53), 64), ((130, 100), 64), ((128, 128), 64), ((64, 50), 64)]
)
def test_resizing_is_opencvs(shape, size):
    grey = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8), (3, 3), 0)
    wanted, scale = resize_square(grey, size)
    found, own = predict.resized(grey, size)
    apart = np.abs(found.astype(int) - wanted)
    assert own == scale and apart.max() <= 1 and (apart > 0).mean() < 1e-3


def test_windows_and_jpeg_are_the_same_to_the_bit():
    hu = body((2, 61, 45), 3)
    for storage, window in (("raw", (80.0, 150.0)), ("jpeg", (150.0, 80.0)), ("jpeg", (400.0, 40.0))):
        given = {"window": dict(zip(("width", "level"), window)), "storage": storage, "jpeg_quality": 95}
        assert np.array_equal(predict.to_grey(hu[0], given), windowed(hu[0], window, storage))


@pytest.mark.parametrize(
    "turn", [np.eye(3), np.diag([-1, -1, -1]), [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0], [0, 1, 0]]]
)
@pytest.mark.parametrize("kind, scaling", [("<i2", (1, 0)), (">i2", (2, -500)), ("<u2", (0.5, -1024)), ("<f4", (1, 0))])
def test_nifti_is_read_as_an_import_reads_it(turn, kind, scaling, tmp_path):
    values = np.random.default_rng(2).integers(0, 900, (5, 6, 7)) - (1200 if kind[1] != "u" else 0)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.array(turn) @ np.diag([0.8, 0.8, 0.8]), (10, -20, 30)
    image = nibabel.Nifti1Image(values.astype(kind), affine, nibabel.Nifti1Header(endianness=kind[0]))
    image.header.set_slope_inter(*scaling)
    path = tmp_path / "a.nii.gz"
    nibabel.save(image, path)
    stack = open_volume(path)
    found = predict.read_volume(path, options("x", "--no-air"))
    assert np.array_equal(found.hu, stack.read())
    assert np.allclose(found.origin, stack.geometry.origin, atol=1e-4)
    box = np.array([1, 2, 3, 5], np.float32)
    assert found.source_box(box) == [round(float(one), 2) for one in stack.mapping.to_source(box[None], 1)[1][0]]


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


def test_frames_are_resized_as_the_program_does_it():
    frames = np.random.default_rng(4).integers(0, 256, (1, 40, 50, 3)).astype(np.uint8)
    wanted, scale = network_frames(frames, 64)
    found = [predict.resized(frames[0, ..., colour], 64) for colour in range(3)]
    assert np.abs(np.stack([one for one, _ in found]).astype(int) - wanted[0]).max() <= 1 and found[0][1] == scale


def test_videos_are_read_by_opencv_or_by_ffmpeg(tmp_path, monkeypatch):
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 10, (32, 24))
    frames = [cv2.GaussianBlur(np.full((24, 32, 3), 40 * n, np.uint8), (3, 3), 0) for n in range(4)]
    for frame in frames:
        writer.write(frame)
    writer.release()
    found = [frame for _, frame in predict.read_frames(path)]
    assert len(found) == 4 and all(np.abs(a.astype(int) - b[..., ::-1]).max() <= 2 for a, b in zip(found, frames))
    there = predict.importlib.util.find_spec
    monkeypatch.setattr(predict.importlib.util, "find_spec", lambda name: None if name == "cv2" else there(name))
    if shutil.which("ffmpeg"):
        again = [frame for _, frame in predict.read_frames(path)]
        assert len(again) == 4 and all(np.abs(a.astype(int) - b).max() <= 2 for a, b in zip(again, found))
    monkeypatch.setattr(predict.shutil, "which", lambda name: None)
    with pytest.raises(predict.Unusable, match="opencv-python-headless.*or ffmpeg on the PATH"):
        next(predict.read_frames(path))


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
