"""What predict.py makes of images by NumPy alone, against OpenCV and the program's own readers."""

import shutil

import cv2
import nibabel
import numpy as np
import pytest

from gluon_liver.data.ct_loader import OpenCase, ct_sample
from gluon_liver.data.images import resize_square
from gluon_liver.data.us_loader import network_frames
from gluon_liver.data.windowed_images import windowed
from gluon_liver.onnx.settings import settings
from gluon_liver.prepare.ct_study import read_study
from gluon_liver.readers.volumes.open import open_volume
from tests.conftest import PHASES
from tests.onnx.predict_names import predict

from .predict_study import body, config_of, options


@pytest.fixture(scope="module")
def study(study_folder):
    return read_study(study_folder, phases=study_folder / "rules.yaml")


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
