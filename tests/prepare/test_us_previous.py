"""The previous frame of a labelled one: stored for it, told, and never an image of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.inputs import DataConfig
from gluon_liver.config.schema import Config
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.data.us_loader import USLoader
from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.prepare.us import import_us
from gluon_liver.prepare.us_report import report_lines
from gluon_liver.training.inputs import TrainingInputs
from tests.conftest import change_json
from tests.readers.us_writer import grey_frames, write_labels, write_us

SIDE = 32
FLOW, ALONE = (Config(model=model, data=DataConfig(size=SIDE)) for model in ("us-flow", "us-faster-rcnn"))


def recording(folder, frames=40, **tags):
    """Frame i is of grey level 5 i."""
    pixels = grey_frames([5 * number for number in range(frames)], SIDE, SIDE)
    return write_us(folder / "a.dcm", pixels, region=(0, 0, SIDE - 1, SIDE - 1), **tags)


def label_file(folder, scenes, boxes=()):
    """scenes: name -> labelled frames."""
    images = [{"video": "a.dcm", "frame": frame, "scene": name} for name, some in scenes.items() for frame in some]
    return write_labels(folder / "labels.json", images, boxes, width=SIDE, height=SIDE)


def imported(folder, scenes, name="data", tags=(), **options):
    (folder / "in").mkdir(exist_ok=True)
    source, labels = recording(folder / "in", **dict(tags)), label_file(folder, scenes)
    report = import_us(
        source, folder / name, labels=labels, **{"fractions": (1, 0, 0), "salt": "long enough", **options}
    )
    return USDataset.open(folder / name), report


def seen(dataset, config=FLOW):
    """Frame -> the frames, by their grey level, that a network of the configuration sees."""
    load = USLoader(dataset, config).labelled
    images = {label.frame: load(label).image for label in dataset.labels}
    return {frame: [int(round(one.mean() / 5)) for one in image] for frame, image in images.items()}


SIXTH = {"x": (3, 9, 15, 21, 27)}


@pytest.mark.parametrize(
    "step, stored, pairs",
    [
        (6, [3, 9, 15, 21, 27], {3: [3, 3], 9: [3, 9], 15: [9, 15], 21: [15, 21], 27: [21, 27]}),
        (1, [3, 8, 9, 14, 15, 20, 21, 26, 27], {3: [3, 3], 9: [8, 9], 15: [14, 15], 21: [20, 21], 27: [26, 27]}),
        (4, [3, 5, 9, 11, 15, 17, 21, 23, 27], {3: [3, 3], 9: [5, 9], 15: [11, 15], 21: [17, 21], 27: [23, 27]}),
        (12, [3, 9, 15, 21, 27], {3: [3, 3], 9: [9, 9], 15: [3, 15], 21: [9, 21], 27: [15, 27]}),
    ],
)
def test_the_frame_a_step_before_is_what_us_flow_sees(tmp_path, step, stored, pairs):
    dataset, report = imported(tmp_path, SIXTH, step=step)
    assert [frame[0, 0, 0] // 5 for frame in dataset.frames(dataset.cases[0].case)] == stored
    assert seen(dataset) == pairs and seen(dataset, ALONE) == {frame: [frame] for frame in pairs}
    assert (dataset.step, dataset.cases[0].frames) == (step, len(stored))
    assert dataset.cases[0].unlabelled == tuple(frame for frame in stored if frame not in SIXTH["x"])
    own = sum(before == frame for before, frame in pairs.values())
    assert report["previous_frames"]["paired"] == 5 - own and report["previous_frames"]["missing"] == 0
    # those without labels are no images: nothing is trained on, split or scored but the labelled ones
    assert len(dataset.labels) == len(dataset.labels_of("train")) == report["labels"]["images"] == 5
    assert [label.image_id for label in dataset.labels] == [1, 2, 3, 4, 5]
    assert json.loads((tmp_path / "data" / "labels.json").read_text())["images"][-1]["id"] == 5


def test_borders_of_scenes_are_kept(tmp_path):
    dataset, report = imported(tmp_path, {"x": (0, 2), "y": (3, 5), "z": (20,)})
    assert seen(dataset) == {0: [0, 0], 2: [1, 2], 3: [3, 3], 5: [4, 5], 20: [20, 20]}
    assert dataset.cases[0].unlabelled == (1, 4)
    assert report["previous_frames"]["first"] == 3


def test_the_cost_and_the_time_are_said(tmp_path):
    _, report = imported(tmp_path, SIXTH, tags={"FrameTime": "40"})
    lines = "\n".join(report_lines(report))
    assert "previous frames: 1 before (0.04 s at 25 frames a second); 4 frame(s) have one, 1 are their own" in lines
    assert "stored without labels, as previous frames alone: 4 frame(s), 0.0 MB" in lines
    assert "labelled frames are mostly 6 apart (0.24 s at 25 frames a second)" in lines and "with --step 6" in lines
    _, report = imported(tmp_path, SIXTH, "six", step=6)
    lines = "\n".join(report_lines(report))
    assert "previous frames: 6 before; 4 frame(s)" in lines and "stored without" not in lines and "apart" not in lines
    _, report = imported(tmp_path, {"x": (1, 2), "y": (4,), "z": (7,)}, "short", step=3)
    assert "one frame alone of 4 of 4 labelled frames: fewer than 3 frame(s)" in " ".join(report["notes"])


def test_the_step_is_part_of_what_the_data_are(tmp_path):
    sets = {step: imported(tmp_path, SIXTH, f"step{step}", step=step)[0] for step in (1, 6, 12)}
    digests = {step: one.digests() for step, one in sets.items()}
    # of the same labelled pictures, so of the same recording; but not of the same inputs
    assert len({one.fingerprint for one in sets.values()}) == len({one["labels"] for one in digests.values()}) == 1
    assert len({one["pairs"] for one in digests.values()}) == 3
    assert digests[6]["volumes"] == digests[12]["volumes"] != digests[1]["volumes"]
    again = imported(tmp_path, SIXTH, "again", step=6, salt="another salt")[0]
    assert again.digests() == digests[6] and again.cases[0].case != sets[6].cases[0].case
    assert sets[6].training_record()["step"] == 6


def test_data_of_an_older_import_mean_what_they_did_and_say_what_is_missing(tmp_path):
    dataset, _ = imported(tmp_path, {"x": (3, 4, 9, 15)}, step=6)
    assert dataset.cases[0].unlabelled == ()
    record = json.loads((tmp_path / "data" / "dataset.json").read_text())
    studies = [
        {key: value for key, value in one.items() if key not in ("unlabelled", "frames_per_second")}
        for one in record["studies"]
    ]
    del record["step"]
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({**record, "studies": studies}))
    old = USDataset.open(tmp_path / "data")
    assert old.step == 1 and seen(old) == {3: [3, 3], 4: [3, 4], 9: [9, 9], 15: [15, 15]}
    (note,) = old.input_notes(old.labels, FLOW, "training images")
    assert "2 of 4 training images" in note and "import the recordings again with --step 1" in note
    assert old.input_notes(old.labels, ALONE, "training images") == []
    with pytest.warns(UserWarning, match="2 of 4 training images"):
        assert note in TrainingInputs(FLOW, old).notes
    assert note not in TrainingInputs(ALONE, old).notes


def test_a_split_by_image_says_which_pictures_are_seen_in_training(tmp_path):
    dataset, report = imported(tmp_path, {"x": range(20)}, split_by="image", test_images=5, fractions=(0.7, 0.1, 0.2))
    train, test = ({label.frame for label in dataset.labels_of(name)} for name in ("train", "test"))
    shown = {frame - 1 for frame in train} & test
    assert shown and report["previous_frames"]["held_out_and_shown"] == len(shown)
    assert f"{len(shown)} image(s) of val and test are the previous frame of a training image" in " ".join(
        report["notes"]
    )
    record = dataset.training_record()
    (note,) = dataset.run_notes(dataset.labels_of("test"), FLOW, record)
    assert f"{len(shown)} of 5 scored images are the previous frame of a training image" in note
    assert dataset.run_notes(dataset.labels_of("test"), ALONE, record) == []
    # by scene nothing is shown: pairs stay in their scene
    _, report = imported(tmp_path, {"x": range(9), "y": range(9, 20)}, "s", split_by="scene", fractions=(0.5, 0, 0.5))
    assert report["previous_frames"]["held_out_and_shown"] == 0


def test_another_step_than_that_of_the_training_is_told_with_the_results(tmp_path):
    one = imported(tmp_path, SIXTH, "one", tags={"FrameTime": "40"})[0]
    six = imported(tmp_path, SIXTH, "six", step=6)[0]
    (note,) = six.run_notes(six.labels, FLOW, one.training_record())
    assert "is 6 before the scored one, in training it was 1 (0.04 s at 25 frames a second) before" in note
    assert six.run_notes(six.labels, FLOW, six.training_record()) == six.run_notes(six.labels, ALONE, {}) == []
    assert one.run_notes(one.labels, FLOW, {}) == []  # a run of an older version: its step was 1


def test_scenes_that_share_an_unlabelled_frame_stay_together(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (8, SIDE, SIDE, 3)).astype(np.uint8)
    images = []
    for number, scenes in enumerate((((0, 2), (5, 7)), ((1, 3), (4, 6)))):
        frames = pixels.copy()
        frames[[0, 2, 7]] += np.uint8(number)  # of scene 0-2 the second recording shares frame 1 alone
        name = f"{number}.dcm"
        (tmp_path / "in").mkdir(exist_ok=True)
        write_us(tmp_path / "in" / name, frames, region=(0, 0, SIDE - 1, SIDE - 1), number=number + 1, patient=name)
        for scene, (first, last) in enumerate(scenes):
            images += [{"video": name, "frame": frame, "scene": scene} for frame in (first, last)]
    labels = write_labels(tmp_path / "l.json", images, width=SIDE, height=SIDE)
    import_us(tmp_path / "in", tmp_path / "out", labels=labels, split_by="scene", fractions=(0.5, 0, 0.5))
    groups = json.loads((tmp_path / "out" / "dataset.json").read_text())["same_examination"]
    assert sorted(sorted(name[-1] for name in group) for group in groups) == [["1", "1"], ["2", "2"]]


def test_what_does_not_fit_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="--step is 0; it must be 1 or more"):
        imported(tmp_path, SIXTH, step=0)
    arguments = f"import us {tmp_path}/in --labels {tmp_path}/labels.json --out {tmp_path}/data".split()
    assert main([*arguments, "--step", "-2"]) == 2 and "--step is -2" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
    assert main([*arguments, "--step", "2", "--split-fractions", "1", "0", "0"]) == 0
    assert "previous frames: 2 before" in capsys.readouterr().out
    studies = json.loads((tmp_path / "data" / "dataset.json").read_text())["studies"]
    change_json(tmp_path / "data" / "dataset.json", studies=[{**studies[0], "unlabelled": []}])
    with pytest.raises(AnnotationError, match="labels.json lists 5 images of .*, 9 are stored"):
        USDataset.open(tmp_path / "data")
