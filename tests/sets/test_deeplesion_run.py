"""DeepLesion from its files through prepared data to a run beside 3DCE's rows."""

import json
from unittest.mock import Mock

import numpy as np
import pytest

from gluon_liver.config.schema import Config
from gluon_liver.data.coco import save_labels
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.ct_loader import CTLoader
from gluon_liver.data.splits import Splits, save_splits
from gluon_liver.data.study import fingerprint
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.prepare.study_volume import put_together
from gluon_liver.sets.deeplesion import DeepLesion
from gluon_liver.training.train import train

from .deeplesion_set import small_set


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return small_set(tmp_path_factory.mktemp("DeepLesion"))


@pytest.fixture(scope="module")
def imported(written, tmp_path_factory):
    """Prepared data of what the layout finds, each case put together as imports do."""
    out = tmp_path_factory.mktemp("out") / "DATA"
    images, studies, parts = [], [], {"train": set(), "val": set(), "test": set()}
    for number, case in enumerate(DeepLesion().find(written.folder).cases):
        name, patient, stack = f"case-{number:010d}", f"p-{case.patient}", case.phases["CT"].open()
        places = dict(case=name, patient=patient, images={"CT": stack.geometry.size[0]})
        study = put_together({"CT": stack}, ("CT",), "CT", Mock(), folder=out / "studies" / name, **places).study
        hu, (slices, height, width) = fingerprint(study.hu[0]), stack.geometry.size
        studies.append({"case": name, "patient": patient, "slices": slices, "fingerprint": hu})
        parts[case.split].add(patient)
        for z, found in case.labels.slices.items():
            boxes = stack.mapping.to_stored(np.array([one.box for one in found]), z)
            classes = np.zeros(len(boxes), np.int32)
            images.append(CTLabel(len(images) + 1, name, z, width, height, boxes, classes, "CT"))
    save_labels(images, ("lesion",), out / "labels.json")
    save_splits(Splits(*(tuple(sorted(parts[part])) for part in ("train", "val", "test")), 0), out / "splits.json")
    description = dict(format=1, kind="ct", classes=["lesion"], phases=["CT"], reference_phase="CT", studies=studies)
    (out / "dataset.json").write_text(json.dumps({**description, "layout": "deeplesion"}))
    return CTDataset.open(out)


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
