"""The folder of ultrasound phantoms: files, their agreement, and the way through the import."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pydicom
import pytest

from gluon_liver.commands import main
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import InputError
from gluon_liver.phantoms.us import folder as module
from gluon_liver.phantoms.us.config import USPhantomConfig
from gluon_liver.phantoms.us.folder import write_us_phantoms
from gluon_liver.phantoms.us.liver import KINDS
from gluon_liver.phantoms.us.sweep import make_us_scene
from gluon_liver.prepare.us import import_us
from gluon_liver.readers.frames import read_frames

CONFIG = USPhantomConfig(size=96, depth_mm=(60.0, 60.0), density=0.2, min_box_pixels=8, background_fraction=0.0)
SCENES, FRAMES = 3, 3


def write(out, **changes):
    options = dict(config=CONFIG, scenes=SCENES, frames=FRAMES, seed=4, jobs=1, progress=False)
    return write_us_phantoms(out, **{**options, **changes})


@pytest.fixture(scope="module")
def scene():
    return make_us_scene(CONFIG, seed=4, index=1, frames=FRAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("us") / "phantoms"
    counts = write(out)
    assert counts["scenes"] == counts["patients"] == SCENES and counts["images"] == SCENES * FRAMES
    assert counts["boxes"]["tumor"] > 0 and counts["boxes"]["vessel"] > 0
    return out


@pytest.mark.slow
def test_same_seed_same_files_and_scenes_do_not_depend_on_each_other(folder, tmp_path):
    write(tmp_path / "one", scenes=2, jobs=2)
    files = sorted(str(path.relative_to(tmp_path / "one")) for path in (tmp_path / "one").glob("*/*"))
    patterns = ("dicom/scene-000{}.dcm", "flow/scene-000{}.npz", "video/scene-000{}.mp4")
    assert files == [pattern.format(index) for pattern in patterns for index in range(2)]
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (folder / path).read_bytes(), path
    write(tmp_path / "other", seed=5, scenes=1)
    dicom = "dicom/scene-0000.dcm"
    assert (tmp_path / "other" / dicom).read_bytes() != (folder / dicom).read_bytes()


def test_text_is_burned_in_outside_of_the_region(folder, scene):
    header = pydicom.dcmread(folder / "dicom" / "scene-0001.dcm")
    assert header.QualityControlImage == "YES" and header.Modality == "US" and header.NumberOfFrames == FRAMES
    source = read_frames(folder / "dicom" / "scene-0001.dcm")
    assert source.own_region and source.phantom and source.region == scene.fan.region
    x1, y1, x2, y2 = source.region
    for stored, read, drawn in zip(header.pixel_array, source, scene.frames):
        assert np.array_equal(read, np.repeat(drawn[y1:y2, x1:x2, None], 3, axis=2))
        assert (stored > 100).sum() - (stored[y1:y2, x1:x2] > 100).sum() > 50
    assert header.SequenceOfUltrasoundRegions[0].PhysicalDeltaX == pytest.approx(scene.fan.pixel_mm / 10.0)


def test_the_video_shows_the_same_frames(folder):
    source = read_frames(folder / "video" / "scene-0001.mp4", whole_frame=True)
    pixels = pydicom.dcmread(folder / "dicom" / "scene-0001.dcm").pixel_array
    frames = np.stack(list(source))
    assert frames.shape == (FRAMES, 96, 96, 3)
    assert np.abs(frames[..., 0].astype(int) - pixels).mean() < 12


def test_the_flow_file(folder, scene):
    with np.load(folder / "flow" / "scene-0001.npz") as stored:
        assert stored["flow"].shape == (FRAMES - 1, 2, 96, 96) and stored["flow"].dtype == np.float32
        for k, motion in enumerate(scene.motions):
            assert np.array_equal(stored["flow"][k], motion.flow)
            assert np.array_equal(stored["valid"][k], motion.valid)
            assert np.abs(stored["elevation_mm"][k] - motion.elevation_mm).max() < 1e-3


def test_labels_and_truth(folder, scene):
    labels = json.loads((folder / "labels.json").read_text())
    assert [one["name"] for one in labels["categories"]] == ["tumor", "vessel"] and labels["phantom"]
    frames = [(f"scene-000{index}", frame) for index in range(SCENES) for frame in range(FRAMES)]
    assert [(one["video"], one["frame"]) for one in labels["images"]] == frames
    mine = [one["id"] for one in labels["images"] if one["scene"] == 1]
    boxes = [one["bbox"] for one in labels["annotations"] if one["image_id"] in mine]
    corners = [[x, y, x + width, y + height] for x, y, width, height in boxes]
    assert corners == [list(one.box) for one in scene.boxes]
    truth = json.loads((folder / "us-phantom.json").read_text())
    assert truth["kind"] == "us-phantoms" and len(truth["scenes"][1]["poses"]) == FRAMES
    assert {tumor["kind"] for one in truth["scenes"] for tumor in one["tumors"]} <= set(KINDS)


def test_both_forms_go_through_the_import(folder, tmp_path):
    options = {"labels": folder / "labels.json", "salt": "phantom", "fractions": (0.34, 0.33, 0.33)}
    report = import_us(folder / "dicom", tmp_path / "dicom", **options)
    video = import_us(folder / "video", tmp_path / "video", whole_frame=True, **options)
    dicom_set, video_set = (USDataset.open(tmp_path / name) for name in ("dicom", "video"))
    assert dicom_set.phantom and video_set.phantom
    assert report["labels"]["outside"] == report["labels"]["clipped"] == 0 and report["quarantined"] == []
    assert report["labels"]["boxes_by_class"] == video["labels"]["boxes_by_class"]
    assert {info.patient for info in dicom_set.cases} == {info.patient for info in video_set.cases}
    # boxes on the crop, moved back, are those of the label file
    scene = make_us_scene(CONFIG, seed=4, index=0, frames=FRAMES)
    x1, y1, x2, y2 = scene.fan.region
    firsts = {info.case: dicom_set.frames(info.case)[0, ..., 0] for info in dicom_set.cases}
    (mine,) = (case for case, first in firsts.items() if np.array_equal(first, scene.frames[0, y1:y2, x1:x2]))
    moved = [box + (x1, y1, x1, y1) for label in dicom_set.labels if label.case == mine for box in label.boxes]
    assert np.array_equal(moved, [one.box for one in scene.boxes])


def test_what_is_there_is_not_overwritten(folder, tmp_path):
    with pytest.raises(InputError, match="exists already"):
        write(folder)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="not overwritten"):
        write(tmp_path / "mine", overwrite=True)
    for wrong in ({"scenes": 0}, {"frames": 0}, {"seed": -1}, {"jobs": 0}, {"seed": 2**32}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            write(tmp_path / "new", **wrong)
    hiding = dataclasses.replace(CONFIG, hidden_fraction=0.5)
    with pytest.raises(InputError, match="--frames 2"):
        write_us_phantoms(tmp_path / "new", scenes=1, frames=1, seed=0, config=hiding, progress=False)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["notes.txt", "dicom/other.dcm", "video/scene-0000.avi", "dicom/scene-0000.dcm.txt"])
def test_overwriting_deletes_nothing_foreign(folder, tmp_path, name):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).write_text("mine")
    with pytest.raises(InputError, match=f"holds '{name}', which this command does not write"):
        write(copy, overwrite=True)
    assert (copy / name).read_text() == "mine" and (copy / "dicom" / "scene-0002.dcm").is_file()
    (copy / name).unlink()
    write(copy, overwrite=True, scenes=1, frames=1)
    assert not (copy / "dicom" / "scene-0002.dcm").exists()


def test_what_is_put_there_meanwhile_survives(folder, tmp_path, monkeypatch):
    copy = shutil.copytree(folder, tmp_path / "copy")

    def made(make, count, jobs):
        (copy / "mine").mkdir()
        return map(make, range(count))

    monkeypatch.setattr("gluon_liver.phantoms.folder._made", made)
    with pytest.raises(InputError, match="holds 'mine'"):
        write(copy, overwrite=True, scenes=1, frames=1)
    assert (copy / "mine").is_dir() and [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_video_on_a_full_disk(tmp_path, full_disk):
    noise = np.random.default_rng(0).integers(0, 255, (20, 96, 96)).astype(np.uint8)
    with full_disk(30_000), pytest.raises(InputError, match="a.mp4: 0 of 20 frames could be written"):
        module._write_video(noise, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path, capsys):
    words = f"phantom us --out {tmp_path}/p --scenes 1 --frames 1 --size 64 --seed 2 --jobs 1"
    assert main(words.split()) == 0
    assert "1 scenes of 1 patients, 1 frames" in capsys.readouterr().out
    with np.load(tmp_path / "p" / "flow" / "scene-0000.npz") as stored:
        assert stored["flow"].shape == (0, 2, 64, 64)
    assert main(words.split()) == 2 and "exists already" in capsys.readouterr().err
    assert main(f"phantom us --out {tmp_path}/q --size 65".split()) == 2
    assert "size" in capsys.readouterr().err
