"""Ultrasound runs scored, compared and refused; the tables of a file of detections."""

import json

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.open import open_dataset
from gluon_liver.errors import DatasetError
from gluon_liver.evaluation.from_file import score_detections
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.prepare.us import import_us
from gluon_liver.runs.run import Run
from gluon_liver.training.train import train
from tests.conftest import us_config

pytestmark = pytest.mark.slow


def test_both_models_are_scored_and_compared(us_runs, us_data, capsys):
    for model, run in us_runs.items():
        text, report = evaluate(run, us_data, progress=False)
        results = json.loads((run.folder / "results.json").read_text())
        assert "Table 1" in text and report.is_file() and results["model"] == model
        assert results["counts"]["cases"] == len(results["summary"]["scenes"]) and results["counts"]["lesions"] is None
        assert {"frame", "scene", "patient"} <= set(results["sensitivity"]) and "Where it fails" in text
        places = {(one["case"], one["place"]) for one in results["errors"]["items"]}
        assert all("/scene-" in case and place < 4 for case, place in places)
        for entry in results["gallery"]:
            assert (run.folder / entry["file"]).is_file() and "/scene-" in entry["case"]
            assert all(abs(shown["offset"]) <= 2 and shown["phase"] is None for shown in entry["pictures"])
        assert results["detections"] == {"score_threshold": 0.0, "max_detections": 100}
        assert "score above 0, at most 100 a frame" in " ".join(text.split())
        assert len(results["summary"]["scenes"]) == 2 and results["data"]["split_by"] == "patient"
        assert all(np.isfinite(row["score"]) for row in json.loads((run.folder / "detections.json").read_text()))
    folders = [str(us_runs[model].folder) for model in ("us-flow", "us-faster-rcnn")]
    assert main(["evaluate", "--compare", *folders]) == 0
    assert "Table 2" in capsys.readouterr().out
    assert main(["evaluate", "--run", folders[0], "--split", "val"]) == 2


def test_what_was_trained_on_is_not_scored(us_runs, us_data):
    run = Run.open(us_runs["us-faster-rcnn"].folder)
    run.environment["training_units"] = [us_data.unit_of(label) for label in us_data.labels_of("test")]
    with pytest.raises(DatasetError, match="were trained on"):
        evaluate(run, us_data, progress=False)


@pytest.fixture(scope="module")
def imports(us_data, tmp_path_factory):
    """The recordings of ``us_data`` imported again: split by image, by scene, and by patient with another salt."""
    source, out = us_data.folder.parent, tmp_path_factory.mktemp("imports")
    options = {"labels": source / "labels.json", "fractions": (0.5, 0, 0.5)}
    for split_by, salt in (("image", "test-salt"), ("scene", "another salt"), ("patient", "another salt")):
        import_us(source / "in", out / split_by, split_by=split_by, salt=salt, **options)
    return {name: open_dataset(out / name) for name in ("image", "scene", "patient")}


def prints(dataset, split):
    return {info.fingerprint for info in dataset.cases if info.case in dataset.cases_of(split)}


def test_what_was_trained_on_is_not_scored_in_another_import(us_data, imports, tmp_path):
    run = train(us_config("us-faster-rcnn"), us_data, tmp_path / "run", steps=1, progress=False)
    for name in ("image", "scene"):
        again = imports[name]
        assert prints(again, "test") & prints(us_data, "train")
        assert not {again.unit_of(label) for label in again.labels} & set(run.environment["training_units"])
        with pytest.raises(DatasetError, match="were trained on.*imported again"):
            evaluate(run, again, progress=False)
    assert not (run.folder / "results.json").exists()
    evaluate(run, us_data, progress=False)


def test_parts_of_a_recording_are_scored_in_the_import_of_the_training_alone(us_data, imports, us_runs):
    run = Run.open(us_runs["us-faster-rcnn"].folder)
    run.environment.update(imports["image"].training_record())
    assert prints(imports["image"], "test") & prints(imports["image"], "train")
    evaluate(run, imports["image"], progress=False)
    for name in ("scene", "patient"):
        assert prints(imports[name], "test") & prints(imports["image"], "train")
        with pytest.raises(DatasetError, match="were trained on"):
            evaluate(run, imports[name], progress=False)


def test_a_file_of_detections_gives_the_tables_of_evaluate(us_runs, us_data, capsys):
    run = us_runs["us-flow"]
    text, _ = evaluate(run, us_data, progress=False)
    file = run.folder / "detections.json"
    assert score_detections(run, us_data, file) == text
    score = ["score", "--run", str(run.folder), "--detections", str(file)]
    assert main(score) == 0
    for count in ("7", "1000"):
        for command in (score, ["evaluate", "--run", str(run.folder)]):
            assert main([*command, "--bootstrap", count]) == 2
            assert "--bootstrap is for CT runs" in capsys.readouterr().err
