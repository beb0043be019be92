"""The same boxes on the same frames, written as masks, as tracks and as a file a picture, are the same data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gluon_liver.data.us_dataset import USDataset
from gluon_liver.prepare.us import USOptions
from gluon_liver.sets.us.import_set import import_us_set, plan_lines
from gluon_liver.sets.us.layout import Given

from .us_cvat_set import box, track, video_xml
from .us_labelme_set import shape, write_json
from .us_picture import picture, write_picture
from .us_vos_set import write_mask

SIZE, FRAMES, STEP = (64, 48), 7, 3
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "us" / "liver_b_mode_convex.mpeg"


def corners(frame):
    """Whole pixels on every frame, linear between the keyframes 0 and 6."""
    return (8 + 2 * frame, 6 + frame, 24 + 3 * frame, 20 + 2 * frame)


def as_masks(folder, frames):
    for frame, pixels in frames.items():
        ids = np.zeros(SIZE[::-1], np.uint8)
        x1, y1, x2, y2 = corners(frame)
        ids[y1:y2, x1:x2] = 1
        write_picture(folder / "JPEGImages" / "scan" / f"{STEP * frame:05d}.png", pixels)
        write_mask(folder / "Annotations" / "scan" / f"{STEP * frame:05d}.png", ids)
    (folder / "meta.json").write_text('{"videos": {"scan": {"objects": {"1": {"category": "tumor"}}}}}')


def as_tracks(folder, frames):
    for frame, pixels in frames.items():
        write_picture(folder / "scan" / f"{STEP * frame:05d}.png", pixels)
    rows = [box(0, corners(0)), box(6, corners(6))]
    (folder / "annotations.xml").write_text(video_xml([track(0, "tumor", rows)], source="scan", frames=FRAMES))


def as_shapes(folder, frames):
    for frame, pixels in frames.items():
        x1, y1, x2, y2 = corners(frame)
        write_picture(folder / "scan" / f"{STEP * frame:05d}.png", pixels)
        outline = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
        write_json(folder / "scan" / f"{STEP * frame:05d}.json", [shape("tumor", outline)], f"{STEP * frame:05d}.png")


@pytest.mark.parametrize("region", [None, (10, 8, 60, 40)])
def test_three_forms_are_one_data_folder(tmp_path, region):
    frames = {frame: picture(SIZE, [corners(frame)], seed=frame) for frame in range(FRAMES)}
    forms = {"vos": as_masks, "cvat": as_tracks, "labelme": as_shapes}
    opened = {}
    for name, write in forms.items():
        write(tmp_path / name, frames)
        given = Given(region=region, whole_frame=region is None, by_folder=name == "labelme")
        how = USOptions(fractions=(1, 0, 0), step=STEP, salt="long enough")
        import_us_set(name, tmp_path / name, tmp_path / f"{name}-data", given, how)
        opened[name] = USDataset.open(tmp_path / f"{name}-data")
    x, y = (0, 0) if region is None else region[:2]
    one = opened["vos"]
    assert [label.frame for label in one.labels] == [STEP * frame for frame in range(FRAMES)]
    if region is None:
        assert [label.boxes.tolist() for label in one.labels] == [[list(corners(frame))] for frame in range(FRAMES)]
    else:
        assert one.labels[3].boxes.tolist() == [[14 - x, 9 - y, 33 - x, 26 - y]]
    for other in opened.values():
        assert other.fingerprint == one.fingerprint and other.digests() == one.digests()
        assert other.pairs(other.labels)[:2] == (FRAMES - 1, 1)


@pytest.mark.skipif(not REAL.is_file(), reason="the real video is not beside the project")
def test_a_track_over_a_real_video(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / REAL.name).symlink_to(REAL)
    rows = [box(10, (100, 100, 160, 150)), box(22, (112, 106, 172, 156)), box(30, (112, 106, 172, 156), outside=1)]
    xml = video_xml([track(0, "tumor", rows)], source=REAL.name, frames=254, size=(370, 370))
    (tmp_path / "in" / "annotations.xml").write_text(xml)
    given = Given(region=(20, 20, 350, 350))
    how = USOptions(fractions=(1, 0, 0), step=6)
    report = import_us_set("cvat", tmp_path / "in", tmp_path / "data", given, how)
    dataset = USDataset.open(tmp_path / "data")
    assert [label.frame for label in dataset.labels] == list(range(10, 31))
    assert dataset.labels[4].boxes.tolist() == [[84, 82, 144, 132]] and len(dataset.labels[-1].boxes) == 0
    assert report["previous_frames"]["rates"] == [25.0] and dataset.pairs(dataset.labels)[0] == 15
    assert dataset.frames(dataset.cases[0].case).std() > 10


def test_a_dry_run_says_that_the_import_will_want_a_region(tmp_path):
    as_shapes(tmp_path / "in", {frame: picture(SIZE, seed=frame) for frame in range(2)})
    for given, count in ((Given(), 1), (Given(whole_frame=True), 0), (Given(region=(0, 0, 32, 32)), 0)):
        lines = plan_lines("labelme", tmp_path / "in", given, USOptions())
        assert sum("neither --region nor --whole-frame" in line for line in lines) == count
