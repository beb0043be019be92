from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from gluon_liver.data import windowed_images
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.images import to_grey
from gluon_liver.data.open import open_dataset
from gluon_liver.data.windowed_images import open_images, prepare_images
from gluon_liver.errors import AnnotationError, ConfigError, DatasetError, SplitError
from gluon_liver.prepare.ct import import_ct
from tests.conftest import change_json
from tests.readers.ct_writer import write_series


@pytest.fixture
def folder(tmp_path):
    pixels = np.random.RandomState(0).randint(-100, 300, (16, 16)).astype(np.int16)
    write_series(tmp_path / "in", pixels=pixels)
    import_ct(tmp_path / "in", tmp_path / "data", salt="s")
    return tmp_path / "data"


LATER = 2 * 10**18, 2 * 10**18  # of access and change, in nanoseconds
ENTRY = {"case": "case-1", "patient": "p", "slices": 1, "fingerprint": "0"}


@pytest.mark.parametrize(
    "values, found",
    [
        ({"kind": "us"}, "kind 'us'; this needs 'ct'"),
        ({"format": 2}, "format 2"),
        ({"phantom": 1}, "phantom"),
        ({"phases": "arterial"}, "phases: expected a list, found 'arterial'"),
        ({"reference_phase": "late"}, "reference_phase is 'late': it must be one of"),
        ({"classes": []}, r"classes is \(\): it must be one or more"),
        ({"studies": []}, r"studies is \(\): it must be one or more"),
        ({"studies": [3]}, r"studies\[0\]: expected keys, found 3"),
        ({"studies": [{"case": "case-1"}]}, r"studies\[0\].patient is missing; import"),
        ({"studies": [{"case": "c", "patient": "p", "slices": 1}]}, r"studies\[0\].fingerprint is missing"),
        ({"studies": [{**ENTRY, "fingerprint": 7}]}, r"studies\[0\].fingerprint: expected str, found 7"),
        ({"studies": [{**ENTRY, "slices": True}]}, r"studies\[0\].slices: expected int, found True"),
        ({"studies": [{**ENTRY, "case": "../x"}]}, r"studies\[0\].case is .*: it must be a plain name"),
        ({"studies": [ENTRY]}, "volume.npy is missing"),
    ],
)
def test_a_wrong_description(folder, values, found):
    change_json(folder / "dataset.json", **values)
    with pytest.raises(DatasetError, match=found):
        CTDataset.open(folder)


def test_dataset_json_is_read_once(folder, monkeypatch):
    read, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    assert isinstance(open_dataset(folder), CTDataset)
    assert read.count("dataset.json") == 1


def test_folders_that_are_no_data(tmp_path, folder):
    with pytest.raises(DatasetError, match="no such data folder"):
        CTDataset.open(tmp_path / "absent")
    with pytest.raises(DatasetError, match="has no dataset.json"):
        CTDataset.open(tmp_path)
    (folder / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot be read"):
        CTDataset.open(folder)


@pytest.mark.parametrize(
    "values, found",
    [
        ({"study": "case-x"}, "names no case"),
        ({"phase": "delayed"}, "key 'phase' is 'delayed'"),
        ({"slice": 4}, "key 'slice' is 4; the study has 4 slices"),
        ({"width": 17}, "'width' and 'height' are 17 and 16, its study has 16 columns and 16 rows"),
        ({"height": 8}, "'width' and 'height' are 16 and 8, its study has 16 columns and 16 rows"),
    ],
)
def test_labels_must_fit_the_data(folder, values, found):
    case = CTDataset.open(folder).cases[0].case
    image = {"id": 1, "study": case, "phase": "arterial", "slice": 3, "width": 16, "height": 16}
    change_json(folder / "labels.json", images=[image])
    assert len(CTDataset.open(folder).labels) == 1
    change_json(folder / "labels.json", images=[{**image, **values}])
    with pytest.raises(AnnotationError, match=f"image 1: .*{found}|image 1: {found}"):
        CTDataset.open(folder)


def test_splits_must_fit_the_data(folder):
    change_json(folder / "splits.json", test=["patient-x"])
    with pytest.raises(SplitError, match="patient-x"):
        CTDataset.open(folder)
    dataset_case = json.loads((folder / "dataset.json").read_text())["studies"][0]
    change_json(folder / "splits.json", train=[dataset_case["patient"]], test=[dataset_case["patient"]])
    with pytest.raises(SplitError, match="more than one split"):
        CTDataset.open(folder)


def test_a_study_that_disagrees(folder):
    dataset = CTDataset.open(folder)
    case = dataset.cases[0].case
    with pytest.raises(DatasetError, match="no case 'x'"):
        dataset.study("x")
    change_json(folder / "studies" / case / "study.json", patient="patient-y")
    with pytest.raises(DatasetError, match="disagree"):
        dataset.study(case)


def test_images_are_windowed_and_reused_until_the_volume_changes(folder):
    dataset = CTDataset.open(folder)
    case = dataset.cases[0].case
    with pytest.raises(DatasetError, match="prepare the images"):
        open_images(dataset, case, "liver", "raw")
    path = os.path.join(prepare_images(dataset, window="liver", storage="raw"), f"{case}.slices")
    images = np.asarray(open_images(dataset, case, "liver", "raw"))
    assert images.dtype == np.uint8
    assert np.array_equal(images, to_grey(np.asarray(dataset.study(case).hu), "liver"))
    os.utime(path, ns=LATER)
    before = os.stat(path).st_mtime_ns
    prepare_images(dataset, window="liver", storage="raw", cases=[case])
    assert os.stat(path).st_mtime_ns == before
    os.utime(path, ns=(0, 0))
    prepare_images(dataset, window="liver", storage="raw")
    assert os.stat(path).st_mtime_ns > 0
    with open(path, "r+b") as stream:
        stream.truncate(100)
    os.utime(path, ns=LATER)
    prepare_images(dataset, window="liver", storage="raw")
    assert np.array_equal(open_images(dataset, case, "liver", "raw"), images)
    assert sorted(os.listdir(os.path.dirname(path))) == [f"{case}.slices"]


def test_images_that_are_empty_or_cannot_be_opened(folder, monkeypatch):
    dataset = CTDataset.open(folder)
    case = dataset.cases[0].case
    path = os.path.join(prepare_images(dataset, window="liver"), f"{case}.slices")
    expected = np.array(open_images(dataset, case, "liver"))
    open(path, "wb").close()
    os.utime(path, ns=LATER)
    with pytest.raises(DatasetError, match="is damaged; prepare the images again"):
        open_images(dataset, case, "liver")
    prepare_images(dataset, window="liver")
    assert np.array_equal(open_images(dataset, case, "liver"), expected)
    many = OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
    monkeypatch.setattr("gluon_liver.files.planes.open", Mock(side_effect=many), raising=False)
    os.utime(path, ns=LATER)
    for use in (lambda: open_images(dataset, case, "liver"), lambda: prepare_images(dataset, window="liver")):
        with pytest.raises(DatasetError, match="Too many open files") as caught:
            use()
        assert "damaged" not in str(caught.value)


def test_a_damaged_slice_is_told_and_made_again_when_the_file_is_gone(folder):
    dataset = CTDataset.open(folder)
    case = dataset.cases[0].case
    path = os.path.join(prepare_images(dataset, window="liver"), f"{case}.slices")
    expected = np.array(open_images(dataset, case, "liver"))
    with open(path, "r+b") as stream:
        stream.seek(-20, os.SEEK_END)
        stream.write(bytes(20))
    images, last = open_images(dataset, case, "liver"), tuple(count - 1 for count in expected.shape[:2])
    assert np.array_equal(images[0, 0], expected[0, 0])
    with pytest.raises(DatasetError, match=f"{case}.slices is damaged; delete it, and it is made again"):
        images[last]
    os.remove(path)
    prepare_images(dataset, window="liver")
    assert np.array_equal(open_images(dataset, case, "liver")[last], expected[last])


def test_images_of_older_versions_are_told_once_and_kept(folder, capsys):
    dataset = CTDataset.open(folder)
    case = dataset.cases[0].case
    images = prepare_images(dataset, window="liver")
    assert "older version" not in capsys.readouterr().err
    old = images / f"{case}.npy"
    np.save(old, np.zeros(5000))
    for _ in range(2):
        prepare_images(dataset, window="liver")
    error = capsys.readouterr().err
    assert error.count("older version") == 1 and f"1 files {images}/*.npy (0.0 GB)" in error and "delete them" in error
    assert old.is_file()


def test_a_full_disk_is_called_so(folder, monkeypatch):
    monkeypatch.setattr(
        windowed_images, "write_planes", Mock(side_effect=OSError("258048 requested and 200640 written"))
    )
    with pytest.raises(DatasetError, match="the disk is probably full"):
        prepare_images(CTDataset.open(folder), window="liver")


def test_a_fingerprint_does_not_depend_on_the_salt(folder, tmp_path):
    write_series(tmp_path / "in", study=2, description="DELAYED", series=2, zs=(0, 2, 4))
    import_ct(tmp_path / "in", tmp_path / "again", salt="another salt", reference="delayed")
    import_ct(tmp_path / "in", tmp_path / "arterial", salt="a third salt")
    (info,), (again,) = CTDataset.open(folder).cases, CTDataset.open(tmp_path / "arterial").cases
    hu = np.asarray(CTDataset.open(folder).study(info.case).hu[1])
    assert info.case != again.case and info.fingerprint == again.fingerprint
    assert info.fingerprint == hashlib.sha256(hu.tobytes()).hexdigest()
    assert CTDataset.open(tmp_path / "again").cases[0].fingerprint != info.fingerprint


def test_jpeg_storage_passes_slices_through_quality_95(folder):
    dataset = CTDataset.open(folder)
    case = dataset.cases[0].case
    prepare_images(dataset, window=(400, 40), storage="jpeg")
    grey = to_grey(np.asarray(dataset.study(case).hu), (400, 40))
    stored = np.asarray(open_images(dataset, case, (400, 40), "jpeg"))
    code = cv2.imencode(".jpg", grey[1, 0], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    assert np.array_equal(stored[1, 0], cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
    assert not np.array_equal(stored, grey) and np.abs(stored.astype(int) - grey).max() < 30
    with pytest.raises(ConfigError, match="storage 'png'"):
        prepare_images(dataset, window="liver", storage="png")
