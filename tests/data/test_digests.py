"""Digests of labels and volumes: what changes them, and what is said where they changed."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.check import accept_labels, check_volumes
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.digests import differences, digest_labels
from gluon_liver.data.open import open_dataset
from gluon_liver.errors import DatasetError
from tests.conftest import change_json


@pytest.fixture
def data(tiny_data, tmp_path):
    """Prepared data with digests, as an import leaves them."""
    shutil.copytree(str(tiny_data), str(tmp_path / "data"))
    accept_labels(open_dataset(tmp_path / "data"))
    return tmp_path / "data"


def edit(data, change):
    labels = json.loads((data / "labels.json").read_text())
    change(labels)
    (data / "labels.json").write_text(json.dumps(labels, indent=3))


def reorder(labels):
    for key in ("images", "annotations"):
        labels[key].reverse()


def renumber(labels):
    for one in labels["images"]:
        one["id"] += 100
    for one in labels["annotations"]:
        one["image_id"] += 100
        one["id"] += 7
        one["note"] = "seen"


def number_a_lesion(labels):
    labels["annotations"][0]["lesion"] = 1


def shift_a_box(labels):
    labels["annotations"][0]["bbox"][0] += 1


def drop_an_image(labels):
    labels["images"] = [one for one in labels["images"] if one["id"] != 3]


@pytest.mark.parametrize(
    "change, same",
    [(reorder, True), (renumber, True), (shift_a_box, False), (drop_an_image, False), (number_a_lesion, False)],
)
def test_content_counts_and_form_does_not(data, capsys, change, same):
    edit(data, change)
    dataset = open_dataset(data)
    assert bool(dataset.changed_labels()) is not same
    assert main(["doctor", "--data", str(data)]) == 0
    assert ("changed after the import" in capsys.readouterr().out) is not same
    assert main(["doctor", "--data", str(data), "--accept-labels"]) == 0
    assert not open_dataset(data).changed_labels()


def test_labels_without_numbers_of_lesions_keep_their_digest():
    label = CTLabel(1, "a", 3, 64, 32, np.array([[1, 2, 3.5, 4]], np.float32), np.array([1], np.int32), "arterial")
    assert (
        digest_labels([label], ("cyst", "hcc"), {"a": "f"})
        == hashlib.sha256(
            b'["cyst", "hcc"]\n["f", ["arterial", 3], 3, 64, 32, [["hcc", 1.0, 2.0, 3.5, 4.0]]]'
        ).hexdigest()
    )


def test_another_class_is_another_digest(tiny_dataset):
    fingerprints = {info.case: info.fingerprint for info in tiny_dataset.cases}
    labels, classes = tiny_dataset.labels, tiny_dataset.classes
    digest = digest_labels(labels, classes, fingerprints)
    assert digest_labels(labels[::-1], classes, fingerprints) == digest
    assert digest_labels(labels, classes[::-1], fingerprints) != digest
    assert tiny_dataset.digests()["labels"] == digest != tiny_dataset.digests("test")["labels"]


def test_data_of_an_older_version_are_opened(tiny_data, tiny_dataset, capsys):
    assert tiny_dataset.digests()["volumes"] is None and not tiny_dataset.changed_labels()
    assert main(["doctor", "--data", str(tiny_data)]) == 0
    assert capsys.readouterr().out.count("not known") == 2


def test_imports_of_the_same_studies_agree(us_data, tmp_path):
    assert us_data.recorded_labels == us_data.digests()["labels"]
    assert set(us_data.pixels) == {info.case for info in us_data.cases}
    assert set(check_volumes(us_data).values()) == {"as imported"}


def test_changed_volumes_are_found(us_data, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(str(us_data.folder), str(data))
    path = data / "studies" / us_data.cases[0].case / "frames.npy"
    frames = np.load(path)
    frames[0, 0, 0] ^= 1
    np.save(path, frames)
    assert main(["doctor", "--data", str(data)]) == 1
    assert "1 of 4 files of pixels: frames.npy was changed" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DatasetError, match="cut off or replaced"):
        open_dataset(data)


def test_what_either_side_does_not_know_is_no_difference():
    assert differences({"labels": "a", "volumes": None}, {"labels": "b", "volumes": "c", "more": "d"}) == {
        "labels": ["a", "b"]
    }
    assert not differences(None, {"labels": "b"}) and not differences([], {"labels": "b"})


@pytest.mark.slow
def test_a_moved_run_asks_for_its_data(tiny_run, tiny_data, tmp_path, capsys):
    shutil.copytree(str(tiny_run.folder), str(tmp_path / "elsewhere" / "run"))
    (tmp_path / "d.json").write_text("[]")
    score = ["score", "--run", str(tmp_path / "elsewhere" / "run"), "--detections", str(tmp_path / "d.json")]
    assert main(score) == 2
    assert "moved; say where the data are with --data DIR" in capsys.readouterr().err
    assert main([*score, "--data", str(tiny_data)]) == 0


@pytest.mark.slow
def test_edited_labels_are_told_where_they_are_scored(tiny_run, data, tmp_path, capsys):
    (tmp_path / "d.json").write_text("[]")
    edit(data, shift_a_box)  # of a training patient
    score = ["score", "--run", str(tiny_run.folder), "--detections", str(tmp_path / "d.json"), "--data", str(data)]
    assert main(score) == 0
    out, err = capsys.readouterr()
    assert "--accept-labels" in err and "changed after the import" in " ".join(out.split())
    assert "the labels of the training patients have changed since the run was trained" in " ".join(out.split())
    accept_labels(open_dataset(data))
    assert main(score) == 0
    assert "--accept-labels" not in capsys.readouterr().err


def test_a_wrong_digest_is_refused(data):
    change_json(data / "dataset.json", labels_sha256="abc")
    with pytest.raises(DatasetError, match="labels_sha256"):
        open_dataset(data)
