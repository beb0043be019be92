"""DeepLesion from its files through prepared data to a run beside 3DCE's rows."""

import json

import numpy as np
import pytest

from gluon_liver.config.schema import Config
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_loader import CTLoader
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.sets.deeplesion import DeepLesion
from gluon_liver.sets.import_ct import import_set, report_lines
from gluon_liver.training.train import train

from .deeplesion_set import small_set


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return small_set(tmp_path_factory.mktemp("DeepLesion"))


@pytest.fixture(scope="module")
def report(written, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "DATA"
    return out, import_set(DeepLesion(), written.folder, out)


@pytest.fixture(scope="module")
def imported(report):
    return CTDataset.open(report[0])


def test_the_report_counts_what_was_taken_and_what_was_not(report):
    counts = {one["reason"]: one["count"] for one in report[1]["left_out"]}
    assert counts == {
        "a lesion marked as possibly noisy": 2,
        "its folder of slices is not there: not downloaded": 1,
    }
    text = "\n".join(report_lines(report[1]))
    assert "8 box(es) (8 lesion) on 7 slice(s), 0 background slice(s)" in text
    assert "train 4 of 4, val 1 of 1, test 2 of 4; 8 of 11 lesions" in text and "share" not in text


def test_every_box_and_pixel_is_what_was_written(written, imported):
    assert (imported.classes, imported.phases, imported.layout) == (("lesion",), ("CT",), "deeplesion")
    assert len(imported.cases) == len(written.cases)
    left = dict(written.cases)
    for info in imported.cases:
        study = imported.study(info.case)
        (name,) = [name for name, case in left.items() if np.array_equal(np.maximum(case.hu, -1024), study.hu[0])]
        case = left.pop(name)
        assert np.allclose(study.geometry.spacing, case.spacing)
        labels = imported.labels_by_slice(info.case)
        assert {z: [tuple(map(float, box)) for box in label.boxes] for z, label in labels.items()} == case.boxes
        assert info.patient in getattr(imported.splits, case.split)
    assert not left


def config_of(make_config) -> Config:
    changes = {"row": None, "data.window": [4095, 1023.5], "data.slices": 5, "data.slice_step_mm": 2.0}
    return make_config(**changes, **{"network.head.score_threshold": 0.0, "train.epochs": 1})


def test_neighbours_of_key_slices_are_2_mm_apart_whatever_the_spacing(written, imported, make_config):
    load = CTLoader(imported, config_of(make_config), cases=[info.case for info in imported.cases])
    for label in imported.labels:
        hu, spacing = imported.study(label.case).hu[0], imported.study(label.case).geometry.spacing[0]
        places = np.clip(label.slice + np.arange(-2, 3) * 2 / spacing, 0, len(hu) - 1)
        columns = hu.reshape(len(hu), -1).astype(float).T
        wanted = np.array([np.interp(places, np.arange(len(hu)), column) for column in columns]).T
        grey = 255 * np.clip((np.rint(wanted) + 1024) / 4095, 0, 1)
        shown = load.labelled(label).image[0, 0].reshape(5, -1)
        assert np.abs(shown - grey).max() <= 0.6


@pytest.mark.slow
def test_a_run_stands_beside_the_published_rows(imported, make_config, tmp_path):
    run = train(config_of(make_config), imported, tmp_path / "run", progress=False)
    text, report = evaluate(run, imported, settings=ScoreSettings(20), progress=False)
    assert "3DCE, 27 slices" in text and "NOT the same set: this run is scored on 2 images with 2 lesions" in text
    results = json.loads((run.folder / "results.json").read_text())
    assert list(results["summary"]["froc"]["all"]) == ["0.5", "1", "2", "4", "8", "16"]
    page = report.read_text()
    assert "Beside published numbers" in page and "91.06" in page
