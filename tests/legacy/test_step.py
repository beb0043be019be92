"""An export of us-flow tells how far its two frames lie apart, and comes back with data of that step alone."""

from __future__ import annotations

import dataclasses
import json

import pytest

from gluon_liver.config.load import load_config
from gluon_liver.errors import DatasetError
from gluon_liver.legacy.module_config import plain_config, read_legacy_config
from gluon_liver.legacy.readme import readme


def test_the_step_of_an_export(us_data, tmp_path):
    config = load_config("us-flow")
    six = dataclasses.replace(us_data, step=6)
    plain = plain_config(config, six.training_record())
    manifest = {"step": 400, "epoch": 2, "frames_per_second": [25.0]}
    text = readme(plain, {"data": (1, 2, 3, 64, 64)}, prefix="detector", checkpoint="step-00000400", manifest=manifest)
    assert "the current frame last, behind the one that lies 6 frame(s) before it (0.24 s at 25 frames a s" in text
    path = tmp_path / "config.json"
    path.write_text(json.dumps(plain))
    assert read_legacy_config(path, six) == config
    with pytest.raises(DatasetError, match="for the step 6, of the data it sees 1: import the .* again with --step 6"):
        read_legacy_config(path, us_data)
    path.write_text(json.dumps({key: value for key, value in plain.items() if key != "step"}))  # of an older version
    assert read_legacy_config(path, us_data) == config


@pytest.mark.parametrize("name, change", [("us-faster-rcnn", ()), ("us-flow", ("data.previous_frame=current",))])
def test_a_network_that_sees_one_frame_has_none(us_data, name, change):
    plain = plain_config(load_config(name, overrides=change), us_data.training_record())
    assert "step" not in plain
    text = readme(plain, {"data": (1, 2, 3, 64, 64)}, prefix="p", checkpoint="c", manifest={"step": 400})
    assert "the current frame last." in text and "6 frame(s)" not in text


def test_an_export_says_what_the_pixels_of_mri_are(tiny_dataset, make_config, tmp_path):
    config = make_config(**{"data.window": [2048, 0]})
    mri = dataclasses.replace(tiny_dataset, modality="MRI")
    for dataset, said in ((tiny_dataset, "HU in the window of"), (mri, "grey values of MRI, each volume scaled by")):
        plain = plain_config(config, dataset.training_record())
        text = readme(plain, {"data": (1, 1, 1, 1, 8, 8)}, prefix="p", checkpoint="c", manifest={"step": 400})
        assert said in text and ("HU" in text) == (dataset is tiny_dataset)
        (tmp_path / "config.json").write_text(json.dumps(plain))
        assert read_legacy_config(tmp_path / "config.json", dataset) == config
    with pytest.raises(DatasetError, match="made for the modality MRI, of the data it sees None"):
        read_legacy_config(tmp_path / "config.json", tiny_dataset)
