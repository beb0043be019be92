"""Frames that show B-mode and contrast mode: B-mode alone is taken, and what looks otherwise is not."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.errors import InputError
from gluon_liver.prepare.us import USOptions
from gluon_liver.sets.us.b_mode_ceus import halves, open_b_mode
from gluon_liver.sets.us.import_set import find_set, import_us_set
from gluon_liver.sets.us.layout import Given
from tests.readers.us_writer import write_labels

from .us_ceus_set import HEIGHT, LEFT, RIGHT, WIDTH, two_panels, write_ceus

LAYOUT = "b-mode-and-ceus-liver"
CONTENT = ((0, 0, 60, HEIGHT), (70, 0, WIDTH, HEIGHT))  # beside the gap


def opened(tmp_path, side="left", regions=(), **panels):
    path = write_ceus(tmp_path / "a.dcm", two_panels(**panels), regions=regions)
    return open_b_mode(str(path), name="file 1", side=side)


def test_the_half_is_a_region_that_the_file_lists(tmp_path):
    source = opened(tmp_path, regions=(RIGHT, LEFT))
    assert source.region == LEFT and "the left one was taken as B-mode; its first frame agrees" in source.notes[-1]
    assert opened(tmp_path, "right", (LEFT, RIGHT), b_mode="right").region == RIGHT


def test_the_half_is_beside_a_dark_gap(tmp_path):
    for side, box in zip(("left", "right"), CONTENT):
        source = opened(tmp_path, side, b_mode=side)
        assert source.region == box and not any("whole frames" in note for note in source.notes)
        assert source.notes[-1].endswith("whole columns were taken: text burned into them stays")
    region = (2, 10, 128, 60)  # as given: text above is cut away
    path = write_ceus(tmp_path / "b.dcm", two_panels())
    assert open_b_mode(str(path), name="x", side="left", region=region).region == (2, 10, 60, 60)


def test_halves_that_look_like_contrast_mode_are_refused(tmp_path):
    with pytest.raises(InputError, match="left half .*.it is tinted.*import it with --b-mode right"):
        opened(tmp_path, "left", b_mode="right")
    with pytest.raises(InputError, match="right half .*.it is much darker than the other half.*--b-mode left"):
        opened(tmp_path, "right", tinted=False)
    assert "its first frame agrees" in opened(tmp_path, "left", tinted=False).notes[-1]
    both = two_panels()
    both[:, :, 70:126] = both[:, :, 4:60]
    path = write_ceus(tmp_path / "same.dcm", both)
    assert "does not tell the modes apart" in open_b_mode(str(path), name="x", side="left").notes[-1]


def test_one_picture_is_taken_as_it_is(tmp_path):
    assert opened(tmp_path, gap=False).region == (0, 0, WIDTH, HEIGHT)
    source = opened(tmp_path, regions=(LEFT,), gap=False)
    assert source.region == LEFT and "one picture a frame was found" in source.notes[-1]
    narrow = two_panels()[:, :, :70]
    assert halves(narrow[0], (), (0, 0, 70, HEIGHT)) is None
    assert halves(np.zeros((40, 80, 3), np.uint8), (), (0, 0, 80, 40)) is None


def test_burned_in_text_is_cropped_away_or_refused(tmp_path):
    """A gap between two pictures says nothing of what is written above them."""
    path = write_ceus(tmp_path / "regions.dcm", two_panels(), regions=(LEFT, RIGHT), BurnedInAnnotation="YES")
    source = open_b_mode(str(path), name="file 1", side="left")
    assert source.region == LEFT and "stays" not in source.notes[-1]
    for gap, region in ((True, (2, 10, 60, 60)), (False, (2, 10, 128, 60))):
        path = write_ceus(tmp_path / f"{gap}.dcm", two_panels(gap=gap), BurnedInAnnotation="YES")
        with pytest.raises(InputError, match="file 1 says that text is burned into its frames: give the box"):
            open_b_mode(str(path), name="file 1", side="left")
        source = open_b_mode(str(path), name="x", side="left", region=(2, 10, 128, 60))
        assert source.region == region and "stays" not in source.notes[-1]


def test_a_set_with_boxes_of_the_user(tmp_path, capsys):
    write_ceus(tmp_path / "in" / "LiverUS-01" / "1-1.dcm", two_panels(4), regions=(LEFT, RIGHT))
    swapped = two_panels(2, b_mode="right", seed=3)
    write_ceus(tmp_path / "in" / "LiverUS-02" / "1-2.dcm", swapped, number=2, patient="LiverUS-02")
    images = [{"video": "LiverUS-01/1-1", "frame": frame, "scene": 1} for frame in (1, 2)]
    images.append({"video": "LiverUS-02/1-2.dcm", "frame": 0, "scene": 1})
    boxes = [(1, 1, (10, 20, 20, 15)), (1, 2, (80, 20, 20, 15)), (3, 1, (80, 20, 20, 15))]
    labels = write_labels(tmp_path / "labels.json", images, boxes, width=WIDTH, height=HEIGHT)
    with pytest.raises(InputError, match="has no boxes: draw them on whole frames and give them with --labels"):
        find_set(LAYOUT, tmp_path / "in")
    given = Given(labels=(labels,))
    report = import_us_set(LAYOUT, tmp_path / "in", tmp_path / "data", given, USOptions(fractions=(1, 0, 0)))
    dataset = USDataset.open(tmp_path / "data")
    assert [label.boxes.tolist() for label in dataset.labels] == [[[6, 10, 26, 25]], []]
    assert report["labels"]["outside"] == 1 and "--b-mode right" in report["quarantined"][0]["reason"]
    assert any("the left half is taken as B-mode" in note for note in report["notes"])
    command = f"import us {tmp_path}/in --layout {LAYOUT} --b-mode right --labels {labels} --out {tmp_path}/right"
    assert main([*command.split(), "--split-fractions", "1", "0", "0"]) == 0
    assert "1 dicom (region: right of two pictures)" in capsys.readouterr().out
