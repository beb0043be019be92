"""What is scored, and what to do where a split has nothing to score."""

import json
import shutil

import pytest

from gluon_liver.commands import main
from gluon_liver.data.open import open_dataset
from gluon_liver.errors import DatasetError
from gluon_liver.evaluation.split import split_labels
from gluon_liver.runs.run import Run


@pytest.fixture
def moved(tiny_data, tmp_path):
    """Make a copy of the tiny data with other splits: moved(train=[...], test=[...]) of patients by number."""

    def move(**wanted):
        folder = tmp_path / "data"
        shutil.copytree(str(tiny_data), str(folder))
        splits = json.loads((folder / "splits.json").read_text())
        patients = sorted(sum((splits[name] for name in ("train", "val", "test")), []))
        splits.update({name: [patients[n] for n in wanted.get(name, [])] for name in ("train", "val", "test")})
        (folder / "splits.json").write_text(json.dumps(splits))
        return open_dataset(folder)

    return move


@pytest.fixture
def foreign_run(tiny_run, tmp_path):
    """The tiny run as if it had been trained on other patients."""
    folder = shutil.copytree(str(tiny_run.folder), str(tmp_path / "foreign"))
    path = tmp_path / "foreign" / "environment.json"
    environment = json.loads(path.read_text())
    environment.update(training_patients=["other"], training_studies=["other"])
    path.write_text(json.dumps(environment))
    return Run.open(folder)


def said(run, dataset, split="test"):
    with pytest.raises(DatasetError, match=f"no labelled slice in the {split} split of .*data: ") as caught:
        split_labels(run, dataset, split)
    return str(caught.value)


def test_patients_who_were_trained_on_are_shown_and_not_scored(tiny_run, moved):
    text = said(tiny_run, moved(train=[0, 1, 2, 3]))
    assert "its labels are of patients who were trained on; `detect " in text and "--split-fractions" not in text
    assert f"studies/case-0000000000 --out OUT --run {tiny_run.folder}` shows what the run finds" in text


def test_data_of_a_run_trained_elsewhere_are_imported_again_to_be_scored(foreign_run, moved):
    text = said(foreign_run, moved(train=[0, 1, 2, 3]))
    again = "import them again with --split-fractions 0 0 1, or move them in splits.json, and all of them are scored"
    assert f"are of the train split; {again}" in text


def test_another_split_that_can_be_scored_is_named(foreign_run, moved):
    dataset = moved(train=[0], val=[1, 2, 3])
    assert said(foreign_run, dataset).endswith("--split val has some")
    assert split_labels(foreign_run, dataset, "val")


def test_data_without_labels(foreign_run, moved):
    dataset = moved(test=[0, 1, 2, 3])
    path = dataset.folder / "labels.json"
    labels = json.loads(path.read_text())
    labels.update(annotations=[], images=[])
    path.write_text(json.dumps(labels))
    text = said(foreign_run, open_dataset(dataset.folder))
    assert "the data have no labels; `detect " in text and "import them again with --labels" in text


def test_from_the_command_line(tiny_run, moved, capsys):
    dataset = moved(train=[0, 1, 2, 3])
    assert main(["evaluate", "--run", str(tiny_run.folder), "--data", str(dataset.folder)]) == 2
    assert "error: no labelled slice in the test split" in capsys.readouterr().err
