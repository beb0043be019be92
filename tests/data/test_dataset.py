from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from gluon_liver.data.dataset import Dataset
from gluon_liver.data.image import to_grey
from gluon_liver.data.importing import import_ct
from gluon_liver.data.store import open_images, prepare_images
from gluon_liver.errors import AnnotationError, ConfigError, DatasetError, SplitError

from .ct_writer import write_series


@pytest.fixture
def folder(tmp_path):
    pixels = np.random.RandomState(0).randint(-100, 300, (16, 16)).astype(np.int16)
    write_series(tmp_path / "in", pixels=pixels)
    import_ct(tmp_path / "in", tmp_path / "data", salt="s")
    return tmp_path / "data"


def change(path, **values):
    record = json.loads(path.read_text())
    record.update(values)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "values, found",
    [
        ({"kind": "us"}, "kind 'us'; this needs 'ct'"),
        ({"format": 2}, "format 2"),
        ({"phases": "arterial"}, "key 'phases'"),
        ({"reference_phase": "late"}, "key 'reference_phase'"),
        ({"studies": []}, "key 'studies'"),
        ({"studies": [{"case": "case-1"}]}, "entry 0 of studies"),
        ({"studies": [{"case": "../x", "patient": "p", "slices": 1}]}, "no plain name"),
        ({"studies": [{"case": "case-1", "patient": "p", "slices": 1}]}, "volume.npy is missing"),
    ],
)
def test_a_wrong_description(folder, values, found):
    change(folder / "dataset.json", **values)
    with pytest.raises(DatasetError, match=found):
        Dataset.open(folder)


def test_folders_that_are_no_data(tmp_path, folder):
    with pytest.raises(DatasetError, match="no such data folder"):
        Dataset.open(tmp_path / "absent")
    with pytest.raises(DatasetError, match="has no dataset.json"):
        Dataset.open(tmp_path)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot be read"):
        Dataset.open(folder)


@pytest.mark.parametrize(
    "values, found",
    [
        ({"study": "case-x"}, "names no case"),
        ({"phase": "delayed"}, "key 'phase' is 'delayed'"),
        ({"slice": 4}, "key 'slice' is 4; the study has 4 slices"),
    ],
)
def test_labels_must_fit_the_data(folder, values, found):
    case = Dataset.open(folder).cases[0].case
    image = {"id": 1, "study": case, "phase": "arterial", "slice": 3, "width": 16, "height": 16}
    change(folder / "labels.json", images=[image])
    assert len(Dataset.open(folder).annotations.images) == 1
    change(folder / "labels.json", images=[{**image, **values}])
    with pytest.raises(AnnotationError, match=f"image 1: .*{found}|image 1: {found}"):
        Dataset.open(folder)


def test_splits_must_fit_the_data(folder):
    change(folder / "splits.json", test=["patient-x"])
    with pytest.raises(SplitError, match="patient-x"):
        Dataset.open(folder)
    dataset_case = json.loads((folder / "dataset.json").read_text())["studies"][0]
    change(folder / "splits.json", train=[dataset_case["patient"]], test=[dataset_case["patient"]])
    with pytest.raises(SplitError, match="more than one split"):
        Dataset.open(folder)


def test_a_study_that_disagrees(folder):
    dataset = Dataset.open(folder)
    case = dataset.cases[0].case
    with pytest.raises(DatasetError, match="no case 'x'"):
        dataset.study("x")
    change(folder / "studies" / case / "study.json", patient="patient-y")
    with pytest.raises(DatasetError, match="disagree"):
        dataset.study(case)


def test_images_are_windowed_and_reused_until_the_volume_changes(folder):
    dataset = Dataset.open(folder)
    case = dataset.cases[0].case
    with pytest.raises(DatasetError, match="prepare the images"):
        open_images(dataset, case, "liver", "raw")
    path = os.path.join(prepare_images(dataset, window="liver", storage="raw"), f"{case}.npy")
    images = open_images(dataset, case, "liver", "raw")
    assert images.dtype == np.uint8 and isinstance(images, np.memmap)
    assert np.array_equal(images, to_grey(np.asarray(dataset.study(case).hu), "liver"))
    os.utime(path, ns=(10**18 * 2, 10**18 * 2))
    before = os.stat(path).st_mtime_ns
    prepare_images(dataset, window="liver", storage="raw", cases=[case])
    assert os.stat(path).st_mtime_ns == before
    os.utime(path, ns=(0, 0))
    prepare_images(dataset, window="liver", storage="raw")
    assert os.stat(path).st_mtime_ns > 0
    with open(path, "r+b") as stream:
        stream.truncate(100)
    os.utime(path, ns=(10**18 * 2, 10**18 * 2))
    prepare_images(dataset, window="liver", storage="raw")
    assert np.array_equal(open_images(dataset, case, "liver", "raw"), images)
    assert sorted(os.listdir(os.path.dirname(path))) == [f"{case}.npy"]


def test_jpeg_storage_passes_slices_through_quality_95(folder):
    dataset = Dataset.open(folder)
    case = dataset.cases[0].case
    prepare_images(dataset, window=(400, 40), storage="jpeg")
    grey = to_grey(np.asarray(dataset.study(case).hu), (400, 40))
    stored = open_images(dataset, case, (400, 40), "jpeg")
    code = cv2.imencode(".jpg", grey[1, 0], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    assert np.array_equal(stored[1, 0], cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
    assert not np.array_equal(stored, grey) and np.abs(stored.astype(int) - grey).max() < 30
    with pytest.raises(ConfigError, match="storage 'png'"):
        prepare_images(dataset, window="liver", storage="png")
