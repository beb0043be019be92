"""Ultrasound phantom pairs: cropped as the import crops, split by patient, flow that moves the speckle."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from gluon_liver.errors import DatasetError
from gluon_liver.flow.flying_shapes import FlowPair
from gluon_liver.flow.phantom_pairs import random_crop, read_pairs
from gluon_liver.phantoms.us.config import USPhantomConfig
from gluon_liver.phantoms.us.folder import write_us_phantoms

SCENES, FRAMES = 4, 3
ONE_PATIENT = [{"scene": f"scene-000{index}", "patient": 0} for index in (0, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("us") / "phantoms"
    config = USPhantomConfig(size=96, depth_mm=(60.0, 60.0), density=0.2, scenes_per_patient=2, in_plane_mm=3.0)
    write_us_phantoms(out, config=config, scenes=SCENES, frames=FRAMES, seed=4, jobs=1, progress=False)
    return out


def test_pairs_of_whole_patients_in_the_region(folder):
    pairs = read_pairs(folder)
    assert pairs.scenes == (2, 2) and len(pairs.train) == len(pairs.held_out) == 2 * (FRAMES - 1)
    truth = json.loads((folder / "us-phantom.json").read_text())["scenes"]
    assert [scene["patient"] for scene in truth] == [0, 0, 1, 1]
    x1, y1, x2, y2 = truth[3]["fan"]["region"]
    last = pairs.held_out[-1]
    assert last.first.shape == (y2 - y1, x2 - x1, 3) and last.valid.shape == last.flow.shape[1:] == (y2 - y1, x2 - x1)
    assert np.array_equal(pairs.train[0].second, pairs.train[1].first)
    stored = np.load(folder / "flow" / "scene-0003.npz")
    assert np.array_equal(last.flow, stored["flow"][-1][:, y1:y2, x1:x2])


def test_crops_keep_the_motion_and_mirrors_turn_it(folder):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :40]
    # a picture that tells its own coordinates: moved by (3, 1)
    image = np.stack([x, y, x * 0], axis=2).astype(np.uint8)
    second = np.stack([x - 3, y - 1, x * 0], axis=2).astype(np.uint8)
    flow = np.stack([np.full((48, 40), 3.0), np.full((48, 40), 1.0)]).astype(np.float32)
    signs = set()
    for _ in range(40):
        pair = random_crop(FlowPair(image, second, flow, np.ones((48, 40), bool)), 32, rng)
        rows, columns = np.nonzero(pair.valid)
        dx, dy = pair.flow[:, 0, 0].astype(int)
        signs.add((np.sign(dx), np.sign(dy)))
        assert pair.first.shape == (32, 32, 3) and (abs(dx), abs(dy)) == (3, 1) and len(rows) == 29 * 31
        assert np.array_equal(pair.first[rows, columns], pair.second[rows + dy, columns + dx])
    assert len(signs) == 4
    small = random_crop(FlowPair(image, second, flow, np.ones((48, 40), bool)), 64, rng)
    assert small.first.shape == (64, 64, 3) and 37 * 47 <= small.valid.sum() <= 40 * 48


def test_motion_that_leaves_every_window_is_an_error():
    image = np.zeros((48, 48, 3), np.uint8)
    pair = FlowPair(image, image, np.full((2, 48, 48), 40.0, np.float32), np.ones((48, 48), bool))
    with pytest.raises(DatasetError, match="32x32 pixels.*moves by 57 pixels.*larger --size"):
        random_crop(pair, 32, np.random.default_rng(0))
    # one corner alone stays: found where a larger window holds it
    assert random_crop(pair, 48, np.random.default_rng(0)).valid.sum() == 8 * 8
    with pytest.raises(DatasetError, match="moves by 0 pixels"):
        random_crop(pair._replace(valid=np.zeros((48, 48), bool)), 32, np.random.default_rng(0))


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("us-phantom.json", b"{", "is no folder of `phantom us`"),
        ("us-phantom.json", json.dumps({"scenes": ONE_PATIENT}).encode(), "1 patients"),
        ("flow/scene-0001.npz", b"PK", "cannot be read as flow"),
        ("flow/scene-0001.npz", dict(flow=np.zeros((1, 2, 4, 4)), valid=np.ones((1, 4, 4), bool)), "not of one scene"),
    ],
)
def test_damaged_folders_and_one_patient(folder, tmp_path, name, content, message):
    copy = shutil.copytree(folder, tmp_path / "copy")
    if isinstance(content, bytes):
        (copy / name).write_bytes(content)
    else:
        np.savez(copy / name, **content)
    with pytest.raises(DatasetError, match=message):
        read_pairs(copy)
