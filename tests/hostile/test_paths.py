"""Names in files lead nowhere but below the folder that was given."""

import json

import numpy as np
import pytest

from gluon_liver import errors
from gluon_liver.data.open import open_dataset
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.us import import_us
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.run import Run
from tests.conftest import change_json, write_dataset
from tests.readers.ct_writer import ct_dataset, write, write_series
from tests.readers.us_writer import grey_frames, write_labels, write_video

DIRECTORY = "1.2.840.10008.1.3.10"


@pytest.mark.parametrize("name", ["../out.avi", "/etc/passwd", "..\\out.avi", "%2e%2e/out.avi", "a/../../out.avi"])
def test_labels_of_recordings(name, tmp_path):
    (tmp_path / "in").mkdir()
    for path in (tmp_path / "out.avi", tmp_path / "in" / "a.avi"):
        write_video(path, grey_frames([90, 100]))
    labels = write_labels(tmp_path / "l.json", [{"video": name, "frame": 0, "scene": 1}])
    with pytest.raises(errors.AnnotationError, match="names no recording"):
        import_us(tmp_path / "in", tmp_path / "data", labels=labels, whole_frame=True)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["../000.dcm", "/etc/passwd", "../../in/x.dcm"])
def test_labels_of_slices(name, tmp_path):
    write_series(tmp_path / "in", series=1)
    write(ct_dataset(instance=9), tmp_path / "x.dcm")
    images = [{"file_name": name.replace("000.dcm", "x.dcm")}]
    labels = write_labels(tmp_path / "l.json", images, width=16, height=16, classes=("hcc",))
    with pytest.raises(errors.AnnotationError):
        import_ct(tmp_path / "in", tmp_path / "data", labels=labels)
    assert not (tmp_path / "data").exists()


def test_a_media_directory_leads_nowhere(tmp_path):
    """DICOMDIR names files; they are found by looking, not by it."""
    write_series(tmp_path / "in", series=1)
    write(ct_dataset(instance=9, z=30.0, series=2), tmp_path / "secret.dcm")
    listed = ct_dataset(SOPClassUID=DIRECTORY, Modality=None, PixelData=None)
    listed.add_new(0x00041500, "CS", ["..", "SECRET.DCM"])
    write(listed, tmp_path / "in" / "DICOMDIR")
    report = import_ct(tmp_path / "in", tmp_path / "data", fractions=(1, 0, 0))
    assert report["files"]["found"] == 5 and len(report["taken"]) == 1
    assert any(one["kind"] == "media-directory" for one in report["rejected"])


@pytest.mark.parametrize("case", ["../other", "/etc", "..", "a/b"])
def test_cases_of_prepared_data(case, tmp_path):
    folder = write_dataset(tmp_path / "data", patients=1)
    studies = json.loads((folder / "dataset.json").read_text())["studies"]
    change_json(folder / "dataset.json", studies=[{**studies[0], "case": case}])
    with pytest.raises(errors.DatasetError, match="must be a plain name"):
        open_dataset(folder)


@pytest.mark.parametrize("name", ["../../other/step-00000001", "/tmp", "..", "", "step-1"])
def test_the_best_checkpoint(name, tmp_path, tiny_config):
    run = Run(tmp_path / "run", tiny_config, {})
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "other" / "step-00000001").mkdir(parents=True)
    (tmp_path / "run" / "best.json").write_text(json.dumps({"checkpoint": name, "map": 0.5, "split": "val"}))
    with pytest.raises(errors.RunError, match="names .*, which is not there"):
        chosen_checkpoint(run)


def test_links_that_lead_round(tmp_path):
    write_series(tmp_path / "in", series=1)
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in" / "self")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    report = import_ct(tmp_path / "in", tmp_path / "data", fractions=(1, 0, 0))
    assert len(report["taken"]) == 1 and np.load(next((tmp_path / "data").rglob("volume.npy"))).shape[1] == 4
