"""What a reader of results is told of slices that the import made."""

import shutil

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.evaluation.run_note import run_note
from tests.conftest import change_json


def test_scored_slices_that_an_import_invented_are_in_the_note(tiny_run, tiny_data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder)
    assert "interpolated" not in run_note(tiny_run, CTDataset.open(folder), "test")
    (case,) = CTDataset.open(folder).cases_of("test")
    history = {"arterial": {"interpolated": [1], "blended": [], "shifted": [0, 2], "resampled": False}}
    change_json(folder / "studies" / case / "study.json", source={"images": {"arterial": 2}, "history": history})
    change_json(folder / "dataset.json", labels_on="delayed")
    note = run_note(tiny_run, CTDataset.open(folder), "test")
    assert "1 of 3 labelled slices were interpolated: no scanner saw them" in note
    assert "2 of 3 labelled slices were shifted to undo a gantry tilt" in note
    assert "boxes drawn on delayed were carried over" in note
