"""What a run folder says of its data: files that were damaged are named with the key at fault."""

import json

import pytest

from gluon_liver.errors import DatasetError, RunError
from gluon_liver.evaluation.split import split_labels
from gluon_liver.runs.run import Run
from tests.conftest import change_json, us_config


@pytest.fixture
def run(tiny_dataset, tiny_config, tmp_path):
    return Run.create(tmp_path / "run", tiny_config, dataset=tiny_dataset)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"digests": "abc"}, "digests: expected keys, found 'abc'"),
        ({"digests": {"training_labels": ["abc"]}}, "digests.training_labels: expected str, found"),
        ({"digests": None}, "digests: expected keys, found None"),
        ({"classes": ["cyst", 2]}, "classes: expected str, found 2"),
        ({"classes": None}, "classes: expected a list, found None"),
        ({"training_patients": [["a"]]}, "training_patients: expected str, found"),
        ({"training_studies": {"a": 1}}, "training_studies: expected a list, found"),
        ({"phases": "arterial"}, "phases: expected a list, found 'arterial'"),
        ({"data": 3}, "data: expected str, found 3"),
    ],
)
def test_an_environment_of_another_form_is_refused(run, changed, message):
    assert Run.open(run.folder).environment["classes"] == ["cyst", "hemangioma", "hcc"]
    change_json(run.folder / "environment.json", **changed)
    with pytest.raises(RunError) as caught:
        Run.open(run.folder)
    assert f"environment.json: {message}" in str(caught.value)


@pytest.mark.parametrize("name", ["data", "classes", "training_patients", "training_studies", "phases"])
def test_an_environment_without_what_is_needed_is_refused(run, name):
    environment = dict(run.environment)
    del environment[name]
    (run.folder / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(RunError, match=f"environment.json: .*{name}"):
        Run.open(run.folder)


def test_an_environment_that_is_no_object_is_refused(run):
    for text in ("[]", "null", "3"):
        (run.folder / "environment.json").write_text(text)
        with pytest.raises(RunError, match="environment.json"):
            Run.open(run.folder)


@pytest.mark.parametrize(
    "value, message",
    [
        (5, "pretrained.json"),
        ([], "pretrained.json"),
        (None, "pretrained.json"),
        ({"trained_on": 5}, "pretrained.json: trained_on: expected a list, found 5"),
        ({"trained_on": [5]}, "trained_on"),
        ({"trained_on": [{"training_patients": ["a"]}]}, r"trained_on\[0\]: .*training_studies"),
        ({"trained_on": [{"training_patients": "a", "training_studies": []}]}, "training_patients: expected a list"),
    ],
)
def test_a_record_of_weights_of_another_form_is_refused(run, tiny_dataset, value, message):
    (run.folder / "pretrained.json").write_text(json.dumps(value))
    with pytest.raises(RunError, match=message):
        split_labels(run, tiny_dataset, "test")


def test_what_weights_were_trained_on_is_read(run, tiny_dataset):
    (run.folder / "pretrained.json").write_text("{}")  # weights that came from a file
    assert run.trained_before() == [] and split_labels(run, tiny_dataset, "test")
    patients = [info.patient for info in tiny_dataset.cases]
    record = {"training_patients": patients[-1:], "training_studies": [], "split_by": "patient"}
    (run.folder / "pretrained.json").write_text(json.dumps({"trained_on": [record]}))
    assert run.trained_before() == [record]
    with pytest.raises(DatasetError, match="the weights that the run began with are another run's"):
        split_labels(run, tiny_dataset, "test")


def test_a_run_on_recordings_needs_its_units(us_data, tmp_path):
    run = Run.create(tmp_path / "run", us_config(), dataset=us_data)
    assert Run.open(run.folder).environment["split_by"] == us_data.split_by
    change_json(run.folder / "environment.json", training_units=3)
    with pytest.raises(RunError, match="training_units: expected a list, found 3"):
        Run.open(run.folder)
    record = {"training_patients": [], "training_studies": []}
    (run.folder / "pretrained.json").write_text(json.dumps({"trained_on": [record]}))
    with pytest.raises(RunError, match=r"trained_on\[0\]: .*training_units"):
        run.trained_before()
