"""detect: one study in, a folder of results out, whole or not at all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

import gluon_liver.inference.study
from gluon_liver.data.check import accept_labels
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.study import Study, StudyRecord
from gluon_liver.errors import InputError, RunError
from gluon_liver.inference.choice import EngineChoice
from gluon_liver.inference.study import detect_study
from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.ct.folder import write_ct_phantoms
from gluon_liver.prepare.ct import import_ct
from gluon_liver.runs.run import Run
from gluon_liver.system.runtime import cpu_flags
from tests.readers.ct_writer import ct_dataset, write


@pytest.fixture
def study(tiny_data):
    return tiny_data / "studies" / "case-0000000003"


@pytest.fixture
def detect(tiny_run, study, tmp_path):
    """detect(explain=True): the tiny run on the study, into ``tmp_path``/out."""

    def start(given=study, *, run=tiny_run, out=tmp_path / "out", **options):
        return detect_study(run, given, out, progress=False, **options)

    return start


@pytest.fixture
def copied_run(tiny_run, tmp_path):
    """Folder of a run to change."""
    return Path(shutil.copytree(str(tiny_run.folder), str(tmp_path / "run")))


def test_every_slice_is_read_and_drawn(detect, tmp_path):
    result = detect(score_threshold=0.05, every_slice=True)
    assert result["slices"] == 3
    names = sorted(path.name for path in (tmp_path / "out" / "overlays").iterdir())
    assert names == ["slice-000.png", "slice-001.png", "slice-002.png"]
    picture = cv2.imread(str(tmp_path / "out" / "overlays" / names[0]))
    assert picture.shape[2] == 3 and picture.std() > 0
    rows = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert rows and {"image_id", "category_id", "bbox", "score", "slice"} == set(rows[0])
    # case 3 is the last of four studies with three labelled slices each
    assert {row["image_id"] for row in rows} <= {10, 11, 12}
    assert json.loads((tmp_path / "out" / "lesions.json").read_text()) == result


def test_study_json_is_read_once(detect, study, monkeypatch):
    read, load = [], StudyRecord.load
    monkeypatch.setattr(StudyRecord, "load", lambda folder: read.append(folder.name) or load(folder))
    detect(explain=True)
    assert read.count(study.name) == 1


def test_labelled_slices_are_drawn_without_a_detection(detect, tmp_path):
    detect(score_threshold=0.999)
    names = sorted(path.name for path in (tmp_path / "out" / "overlays").iterdir())
    assert names == ["slice-000.png", "slice-001.png"]


def test_labels_that_were_changed_by_hand_are_told(detect, tiny_data, tmp_path):
    data = Path(shutil.copytree(str(tiny_data), str(tmp_path / "data")))
    accept_labels(CTDataset.open(data))
    labels = json.loads((data / "labels.json").read_text())
    labels["annotations"][0]["bbox"][2] += 2
    (data / "labels.json").write_text(json.dumps(labels))
    with pytest.warns(UserWarning, match="labels.json was changed after the import"):
        detect(data / "studies" / "case-0000000003")


def test_slices_that_nobody_labelled_are_not_called_empty(detect, monkeypatch):
    told, every = [], CTDataset.labels_by_slice
    monkeypatch.setattr(CTDataset, "labels_by_slice", lambda data, case: {0: every(data, case)[0]})
    monkeypatch.setattr("gluon_liver.inference.study._draw", lambda *drawn: told.append(drawn[3]))
    detect(every_slice=True)
    assert [truth is None for truth in told] == [False] + [True] * (len(told) - 1) and len(told) > 2


def test_boxes_below_the_score_are_counted(detect, tmp_path):
    everything = detect(score_threshold=0.0005, out=tmp_path / "all")
    assert everything["below_threshold"] == {"boxes": 0, "highest_score": None}
    scores = sorted(row["score"] for row in json.loads((tmp_path / "all" / "detections.json").read_text()))
    threshold = scores[-3] + 1e-6
    below = detect(score_threshold=threshold)["below_threshold"]
    assert below["boxes"] == sum(score < threshold for score in scores)
    assert below["highest_score"] == max(score for score in scores if score < threshold)


def test_refusals_leave_nothing(detect, study, tmp_path):
    shutil.copytree(str(study), str(tmp_path / "case"))
    for name in ("taken", "empty"):
        (tmp_path / name).mkdir()
    for given, options, message in (
        (study, {"out": tmp_path / "taken"}, "exists"),
        (tmp_path / "empty", {}, None),
        (tmp_path / "nowhere", {}, None),
        (tmp_path / "case", {}, "DATA/studies/CASE"),
        (study, {"reference": "delayed"}, "--reference delayed: the reference phase"),
        (study, {"phases": tmp_path / "p.yaml"}, "--phases is for a folder of DICOM"),
        (study, {"out": study.parent / "out"}, "lies inside"),
        (study, {"formats": ["dicom-sr"]}, "with --dicom FOLDER"),
        (study, {"formats": ["csv"], "dicom": tmp_path}, "--dicom is for"),
        (study, {"formats": ["dicom-seg"], "dicom": tmp_path / "empty"}, None),
    ):
        with pytest.raises(InputError, match=message):
            detect(given, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case", "empty", "taken"]


def test_a_run_without_a_checkpoint(detect, copied_run, tmp_path):
    shutil.rmtree(str(copied_run / "checkpoints"))
    with pytest.raises(RunError, match="no checkpoint"):
        detect(run=Run.open(copied_run))
    assert not (tmp_path / "out").exists()


def test_a_run_of_phases_without_patterns_asks_for_a_phase_file(detect, copied_run, tmp_path):
    environment = json.loads((copied_run / "environment.json").read_text())
    environment.update(phases=["portal"], reference_phase="portal")
    (copied_run / "environment.json").write_text(json.dumps(environment))
    (tmp_path / "dicom").mkdir()
    with pytest.raises(InputError, match="phases portal, .* with --phases FILE"):
        detect(tmp_path / "dicom", run=Run.open(copied_run))


def test_another_reference_than_the_runs_is_refused_before_the_folder_is_read(detect, tmp_path):
    (tmp_path / "p.yaml").write_text("order: [arterial, delayed]\nreference: delayed\n")
    (tmp_path / "dicom").mkdir()
    for options, given in (
        ({"reference": "delayed"}, "--reference delayed"),
        ({"phases": tmp_path / "p.yaml"}, "p.yaml"),
    ):
        with pytest.raises(InputError, match=f"{given}: the run reads the arterial phase of a study: leave it out"):
            detect(tmp_path / "dicom", **options)


@pytest.mark.slow
def test_a_folder_of_dicom_gives_the_boxes_of_the_prepared_study(detect, tmp_path):
    """The same series, once imported and once read by detect; identifiers stay in neither output."""
    config = CTPhantomConfig(matrix=64, slices=(20, 20), lesions=(1, 1), two_study_fraction=0.0)
    write_ct_phantoms(tmp_path / "phantom", config=config, studies=1, seed=2, jobs=1, progress=False)
    dicom = tmp_path / "phantom" / "dicom"
    import_ct(dicom, tmp_path / "data")
    case = next((tmp_path / "data" / "studies").iterdir())
    prepared = detect(case, out=tmp_path / "a", score_threshold=0.02)
    direct = detect(dicom, out=tmp_path / "b", score_threshold=0.02)
    objects = ["dicom-sr", "dicom-seg"]
    images = {pydicom.dcmread(path).SOPInstanceUID for path in dicom.rglob("*.dcm")}
    for given, folder, options in ((case, "c", {"dicom": dicom}), (dicom, "d", {})):
        found = detect(given, out=tmp_path / folder, score_threshold=0.02, formats=objects, **options)
        assert found["files"] == ["lesions-sr.dcm", "lesions-seg.dcm"] and found["lesions"] == prepared["lesions"]
        report = pydicom.dcmread(tmp_path / folder / "lesions-sr.dcm")
        named = {one.value for one in report.iterall() if one.keyword == "ReferencedSOPInstanceUID"}
        assert named and named <= images
    rows = [json.loads((tmp_path / name / "detections.json").read_text()) for name in ("a", "b")]
    assert rows[0] == rows[1] and prepared["slices"] == direct["slices"] == 20
    assert "read" not in prepared and prepared["absent_slices"] == direct["absent_slices"] == {}
    assert direct["read"]["files"] == {"found": 60, "dicom": 60} and direct["read"]["phantom"]
    assert [*direct["read"]["taken"][0]["phases"]] == ["non_contrast", "arterial", "delayed"]
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"detections.json", "lesions.json", "overlays"}


def test_what_the_images_forbid_is_told_before_the_network_is_computed(detect, study, tmp_path, monkeypatch):
    """A thickness that is no number in the last image, and results among the images that they name."""
    monkeypatch.setattr(gluon_liver.inference.study, "detect_slices", lambda *args, **options: pytest.fail("computed"))
    dicom = tmp_path / "dicom"
    for z, plane in enumerate(Study.load(study).hu[0]):
        tags = dict(PixelSpacing=[1, 1], typed=[("SliceThickness", "SH", "thin")] if z == 2 else [])
        write(ct_dataset(instance=z, z=5.0 * z, pixels=np.ascontiguousarray(plane), **tags), dicom / f"{z}.dcm")
    with pytest.raises(InputError, match="dicom-sr cannot be written: the images' headers have what highdicom refuses"):
        detect(dicom, formats=["csv", "dicom-sr"])
    with pytest.raises(InputError, match="lies inside the folder that is read"):
        detect(out=dicom / "out", formats=["dicom-seg"], dicom=dicom)
    assert [path.name for path in tmp_path.iterdir()] == ["dicom"]


def write_series_of(study, folder, orientation, turn):
    """The arterial phase of a stored study as DICOM, its pictures turned by ``turn``, spacing 1 mm, origin 0."""
    for z, plane in enumerate(study.hu[study.reference_index]):
        pixels = np.ascontiguousarray(turn(np.asarray(plane)))
        row, column = np.array(orientation[:3]), np.array(orientation[3:])
        far = np.minimum(row + column, 0) * -(len(plane) - 1)
        tags = dict(ImageOrientationPatient=orientation, ImagePositionPatient=[far[0], far[1], 5.0 * z])
        write(ct_dataset(instance=z, pixels=pixels, PixelSpacing=[1, 1], **tags), folder / f"{z}.dcm")


def test_a_series_that_lies_otherwise_gives_the_same_boxes_and_tells_them_in_its_own_pixels(detect, study, tmp_path):
    stored = Study.load(study)
    detect(score_threshold=0.05)
    expected = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert "source" not in expected[0]  # the study was made of arrays
    side = stored.hu.shape[-1]
    for name, orientation, turn, back in (
        ("up", [1, 0, 0, 0, 1, 0], lambda a: a, lambda x, y, w, h: (x, y, w, h)),
        ("prone", [-1, 0, 0, 0, -1, 0], lambda a: a[::-1, ::-1], lambda x, y, w, h: (side - x - w, side - y - h, w, h)),
        ("turned", [0, 1, 0, 1, 0, 0], lambda a: a.T, lambda x, y, w, h: (y, x, h, w)),
    ):
        write_series_of(stored, tmp_path / name, orientation, turn)
        result = detect(tmp_path / name, out=tmp_path / f"of-{name}", score_threshold=0.05)
        rows = json.loads((tmp_path / f"of-{name}" / "detections.json").read_text())
        assert [(row["slice"], row["bbox"], row["score"]) for row in rows] == [
            (row["slice"], row["bbox"], row["score"]) for row in expected
        ]
        for row in rows:
            assert row["source"]["slice"] == row["slice"]
            assert row["source"]["bbox"] == pytest.approx(back(*row["bbox"]), abs=0.02)
        assert result["source"]["pixel_mm"] == {"row": 1, "column": 1}
        for lesion in result["lesions"]:
            x1, y1, x2, y2 = lesion["boxes"][0]["box_xyxy_px"]
            x, y, w, h = back(x1, y1, x2 - x1, y2 - y1)
            assert lesion["boxes"][0]["source"]["box_xyxy_px"] == pytest.approx([x, y, x + w, y + h], abs=0.11)


def test_a_run_that_reads_single_slices_is_not_read_along_the_study(detect, tmp_path):
    with pytest.raises(RunError, match="nine|9 slices"):
        detect(dense=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif("avx512_bf16" not in cpu_flags(), reason="this CPU lacks avx512_bf16")
def test_lesions_say_in_what_they_were_computed(detect, tmp_path):
    for precision in ("float32", "bfloat16"):
        assert detect(out=tmp_path / precision, choice=EngineChoice(precision=precision))["precision"] == precision
        assert json.loads((tmp_path / precision / "lesions.json").read_text())["precision"] == precision
    usual, reduced = (
        [row["score"] for row in json.loads((tmp_path / name / "detections.json").read_text())]
        for name in ("float32", "bfloat16")
    )
    assert usual and usual != reduced


def test_a_precision_that_the_cpu_lacks_is_refused(detect, tmp_path, monkeypatch):
    monkeypatch.setattr("gluon_liver.nn.folding.cpu_flags", lambda proc: frozenset({"avx2"}))
    with pytest.raises(InputError, match="does not have avx512_bf16"):
        detect(choice=EngineChoice(precision="bfloat16"))
    assert not (tmp_path / "out").exists()


def test_a_picture_that_cannot_be_written_leaves_nothing(detect, tmp_path, monkeypatch):
    def full(path, picture):
        raise OSError("No space left on device")

    monkeypatch.setattr(gluon_liver.inference.study, "save_png", full)
    with pytest.raises(OSError, match="No space left"):
        detect(every_slice=True)
    assert not (tmp_path / "out").exists()


def test_other_formats_say_what_lesions_json_says(detect, tmp_path):
    result = detect(score_threshold=0.05, formats=["csv", "geojson", "nifti"])
    names = {"lesions.csv", "boxes.csv", "lesions.geojson", "lesions.nii.gz"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names, "lesions.json", "overlays"}
    polygons = json.loads((tmp_path / "out" / "lesions.geojson").read_text())["features"]
    boxes = [box for lesion in result["lesions"] for box in lesion["boxes"]]
    assert boxes and [one["properties"]["slice"] for one in polygons] == [box["slice"] for box in boxes]
    with pytest.raises(InputError, match="'xml' is no format"):
        detect(out=tmp_path / "b", formats=["xml"])
    assert not (tmp_path / "b").exists()


def test_phases_that_are_not_there_are_told(tiny_data):
    """Of those that the network reads."""
    study = Study.load(tiny_data / "studies" / "case-0000000003")
    present = study.present.copy()
    present[:, 1] = False
    lacking = replace(study, present=present)
    own = {study.reference_phase: 1}
    assert gluon_liver.inference.study._absent(study, several=True) == {}
    assert gluon_liver.inference.study._absent(lacking, several=False) == own
    assert gluon_liver.inference.study._absent(lacking, several=True) == dict.fromkeys(study.phases, 1)
