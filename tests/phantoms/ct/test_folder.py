"""The folder that ``phantom ct`` writes."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pydicom
import pytest

from gluon_liver.commands import main
from gluon_liver.errors import InputError
from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.ct.folder import write_ct_phantoms
from gluon_liver.phantoms.ct.study import make_ct_study

pytestmark = pytest.mark.slow

TINY = CTPhantomConfig(
    matrix=32, slices=(10, 12), spacing_mm=(5.0, 6.0), subslices=1, padding_fraction=0.5, background_fraction=0.3
)

DESCRIPTIONS = {"non_contrast": "ABDOMEN NON CONTRAST", "arterial": "LIVER ARTERIAL", "delayed": "DELAYED 5 MIN"}


def write(out, **changes):
    return write_ct_phantoms(out, **{**dict(config=TINY, studies=1, seed=0, jobs=1, progress=False), **changes})


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantoms") / "made"
    counts = write(out, studies=6)
    assert counts["studies"] == 6 and counts["boxes"] > 0
    return out


def test_same_seed_same_bytes_whatever_the_jobs(folder, tmp_path):
    write(tmp_path / "two", studies=6, jobs=2)
    assert digests(tmp_path / "two") == digests(folder)
    write(tmp_path / "other", seed=1)
    other = digests(tmp_path / "other")
    assert not set(other.values()) & set(digests(folder).values())
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_dicom_reads_back_as_the_study(folder):
    padded = orders = 0
    for index in range(6):
        study = make_ct_study(TINY, seed=0, index=index)
        files = [pydicom.dcmread(path) for path in (folder / "dicom" / f"study-{index:04d}").iterdir()]
        assert len({file.FrameOfReferenceUID for file in files}) == len({file.StudyInstanceUID for file in files}) == 1
        assert len({file.SOPInstanceUID for file in files}) == len(files)
        described = {file.SeriesDescription: file.SeriesInstanceUID for file in files}
        assert described.keys() == set(DESCRIPTIONS.values())
        for phase, text in DESCRIPTIONS.items():
            series = sorted(
                (file for file in files if file.SeriesDescription == text),
                key=lambda file: float(file.ImagePositionPatient[2]),
            )
            geometry = study.geometry
            assert (len(series), series[0].Rows, series[0].Columns) == geometry.size
            for z, file in enumerate(series):
                np.testing.assert_allclose(
                    np.array(file.ImagePositionPatient, float), geometry.index_to_world(np.array([z, 0, 0])), atol=1e-5
                )
                np.testing.assert_allclose(np.array(file.PixelSpacing, float), geometry.spacing[1:], atol=1e-6)
                hu = file.pixel_array * float(file.RescaleSlope) + float(file.RescaleIntercept)
                if "PixelPaddingValue" in file:
                    assert np.array_equal(file.pixel_array == file.PixelPaddingValue, study.padded)
                    hu[file.pixel_array == file.PixelPaddingValue] = -1024
                np.testing.assert_array_equal(hu, study.hu[phase][z])
            padded += "PixelPaddingValue" in series[0]
            orders += [int(file.InstanceNumber) for file in series] != list(range(1, len(series) + 1))
    first = files[0]
    assert first.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert first.SOPClassUID == first.file_meta.MediaStorageSOPClassUID == pydicom.uid.CTImageStorage
    assert list(first.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"] and first.PatientID.startswith("PHANTOM-")
    assert all(uid.is_valid for uid in (first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID))
    assert 0 < padded < 18 and orders > 0


def test_labels_name_the_slices_and_hold_the_boxes(folder):
    labels = json.loads((folder / "labels.json").read_text())
    assert labels["exhaustive"] is True
    assert [entry["name"] for entry in labels["categories"]] == ["cyst", "hemangioma", "hcc"]
    boxes = {}
    for entry in labels["annotations"]:
        boxes.setdefault(entry["image_id"], []).append(entry)
    by_study = {}
    for image in labels["images"]:
        by_study.setdefault(image["study"], []).append(image)
    studies = [make_ct_study(TINY, seed=0, index=index) for index in range(6)]
    assert [study.study_uid for study in studies] == list(by_study)
    assert any(not study.lesions for study in studies) and any(study.lesions for study in studies)
    for study in studies:
        got = set()
        for image in by_study[study.study_uid]:
            file = pydicom.dcmread(folder / image["file_name"])
            assert file.SOPInstanceUID == image["sop_instance_uid"]
            height = study.geometry.index_to_world(np.array([image["slice"], 0, 0]))[2]
            assert float(file.ImagePositionPatient[2]) == pytest.approx(height)
            assert (image["height"], image["width"]) == (file.Rows, file.Columns)
            for entry in boxes.get(image["id"], []):
                x, y, w, h = entry["bbox"]
                label = study.lesions[entry["lesion"] - 1].label
                assert entry["category_id"] == ("cyst", "hemangioma", "hcc").index(label) + 1
                got.add((image["phase"], image["slice"], entry["lesion"] - 1, (x, y, x + w, y + h)))
        assert got == {(box.phase, box.slice, box.lesion, box.box) for box in study.boxes}


def test_existing_folder_needs_overwrite_and_survives(folder, tmp_path):
    before = digests(folder)
    with pytest.raises(InputError, match="exists"):
        write(folder)
    assert digests(folder) == before
    for seed in (0, 1):
        write(tmp_path / "again", seed=seed, overwrite=True)
    assert json.loads((tmp_path / "again" / "phantom.json").read_text())["seed"] == 1


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("name", ["thesis.txt", "dicom/study-0000/notes.txt", "dicom/mine/0001.dcm"])
def test_overwriting_deletes_nothing_foreign(tmp_path, name, made):
    out = tmp_path / "out"
    if made:
        write(out)
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_text("mine")
    before = digests(out)
    message = "which this command does not write; it is not overwritten" if made else "not overwritten"
    with pytest.raises(InputError, match=message):
        write(out, seed=1, overwrite=True)
    assert digests(out) == before


@pytest.mark.parametrize("bad", [dict(studies=0), dict(seed=-1), dict(seed=2**32), dict(jobs=0)])
def test_bad_numbers_leave_nothing_behind(bad, tmp_path):
    with pytest.raises(InputError, match=f"{next(iter(bad))} is"):
        write(tmp_path / "out", **bad)
    assert list(tmp_path.iterdir()) == []


def test_command_passes_every_option_on(tmp_path, capsys):
    given = dict(
        slices=(10, 10), lesions=(2, 2), diameter_mm=(10.0, 20.0), noise_sd_hu=(5.0, 5.0), steep_vessels=(1, 2)
    )
    given.update(matrix=32, spacing_mm=(6.0,), background_fraction=0.0, ambiguous_fraction=1.0)
    given.update(breathing_mm=3.0, two_study_fraction=0.5, noise_at_mm=5.0, steep_vessel_mm=(6.0, 15.0), subslices=2)
    given.update(diameter_mm_by_class=(8.0, 15.0, 9.0, 16.0, 10.0, 20.0))
    words = f"phantom ct --out {tmp_path}/out --studies 1 --seed 3 --jobs 1".split()
    for name, value in given.items():
        words += ["--" + name.replace("_", "-"), *map(str, np.ravel(value))]
    assert main(words) == 0
    options = json.loads((tmp_path / "out" / "phantom.json").read_text())["options"]
    assert options == json.loads(json.dumps(dataclasses.asdict(CTPhantomConfig(**given))))
    assert "1 studies of 1 patients, 30 images" in capsys.readouterr().out
