"""detect: one study in, a folder of results out, whole or not at all."""

import json
import shutil

import cv2
import pytest

from gluon_liver.data.study import StudyRecord
from gluon_liver.errors import InputError, RunError
from gluon_liver.inference.study import detect_study
from gluon_liver.phantoms import CTPhantomConfig, write_ct_phantoms
from gluon_liver.prepare.ct import import_ct
from gluon_liver.runs.run import Run


@pytest.fixture
def study(tiny_data):
    return tiny_data / "studies" / "case-0000000003"


def test_every_slice_is_read_and_drawn(tiny_run, study, tmp_path):
    result = detect_study(tiny_run, study, tmp_path / "out", score_threshold=0.05, every_slice=True, progress=False)
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


def test_study_json_is_read_once(tiny_run, study, tmp_path, monkeypatch):
    read, load = [], StudyRecord.load
    monkeypatch.setattr(StudyRecord, "load", lambda folder: read.append(folder.name) or load(folder))
    detect_study(tiny_run, study, tmp_path / "out", explain=True, progress=False)
    assert read.count(study.name) == 1


def test_labelled_slices_are_drawn_without_a_detection(tiny_run, study, tmp_path):
    detect_study(tiny_run, study, tmp_path / "out", score_threshold=0.999, progress=False)
    names = sorted(path.name for path in (tmp_path / "out" / "overlays").iterdir())
    assert names == ["slice-000.png", "slice-001.png"]


def test_refusals_leave_nothing(tiny_run, study, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="exists"):
        detect_study(tiny_run, study, tmp_path / "taken", progress=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        detect_study(tiny_run, tmp_path / "empty", tmp_path / "out", progress=False)
    with pytest.raises(InputError):
        detect_study(tiny_run, tmp_path / "nowhere", tmp_path / "out", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "taken"]


def test_a_run_without_a_checkpoint(tiny_run, study, tmp_path):
    shutil.copytree(str(tiny_run.folder), str(tmp_path / "run"))
    shutil.rmtree(str(tmp_path / "run" / "checkpoints"))
    with pytest.raises(RunError, match="no checkpoint"):
        detect_study(Run.open(tmp_path / "run"), study, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_another_reference_phase_is_refused(tiny_run, study, tmp_path):
    with pytest.raises(InputError, match="--reference delayed: the reference phase"):
        detect_study(tiny_run, study, tmp_path / "out", reference="delayed", progress=False)
    with pytest.raises(InputError, match="--phases is for a folder of DICOM"):
        detect_study(tiny_run, study, tmp_path / "out", phases=tmp_path / "p.yaml", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_case_outside_of_its_data_is_refused(tiny_run, study, tmp_path):
    shutil.copytree(str(study), str(tmp_path / "case"))
    with pytest.raises(InputError, match="DATA/studies/CASE"):
        detect_study(tiny_run, tmp_path / "case", tmp_path / "out", progress=False)


def test_a_run_of_phases_without_patterns_asks_for_a_phase_file(tiny_run, tmp_path):
    shutil.copytree(str(tiny_run.folder), str(tmp_path / "run"))
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    environment.update(phases=["portal"], reference_phase="portal")
    (tmp_path / "run" / "environment.json").write_text(json.dumps(environment))
    (tmp_path / "dicom").mkdir()
    with pytest.raises(InputError, match="phases portal, .* with --phases FILE"):
        detect_study(Run.open(tmp_path / "run"), tmp_path / "dicom", tmp_path / "out", progress=False)


def test_an_output_inside_the_data_is_refused(tiny_run, study):
    with pytest.raises(InputError, match="lies inside"):
        detect_study(tiny_run, study, study.parent / "out", progress=False)


@pytest.mark.slow
def test_a_folder_of_dicom_gives_the_boxes_of_the_prepared_study(tiny_run, tmp_path):
    """The same series, once imported and once read by detect; identifiers stay in neither output."""
    config = CTPhantomConfig(matrix=64, slices=(20, 20), lesions=(1, 1), two_study_fraction=0.0)
    write_ct_phantoms(tmp_path / "phantom", config=config, studies=1, seed=2, jobs=1, progress=False)
    dicom = tmp_path / "phantom" / "dicom"
    import_ct(dicom, tmp_path / "data")
    case = next((tmp_path / "data" / "studies").iterdir())
    prepared = detect_study(tiny_run, case, tmp_path / "a", score_threshold=0.02, progress=False)
    direct = detect_study(tiny_run, dicom, tmp_path / "b", score_threshold=0.02, progress=False)
    rows = [json.loads((tmp_path / name / "detections.json").read_text()) for name in ("a", "b")]
    assert rows[0] == rows[1] and prepared["slices"] == direct["slices"] == 20
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"detections.json", "lesions.json", "overlays"}
