"""What ``import gluon_liver`` offers: detectors on arrays, studies, networks, and the lines of the documents."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import HybridBlock

import gluon_liver
from gluon_liver.errors import ConfigError, DatasetError, GeometryError, InputError, RunError
from gluon_liver.inference.study import detect_study
from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.ct.folder import write_ct_phantoms
from gluon_liver.training.train import train
from tests.conftest import SIZE, write_dataset

ROOT = Path(__file__).resolve().parents[1]
SPACING = (5.0, 1.0, 1.0)
PHASES = ("non_contrast", "arterial", "delayed")


@pytest.fixture(scope="module")
def detector(tiny_run):
    return gluon_liver.load_detector(tiny_run.folder)


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    """A folder phantoms/dicom with one study."""
    folder = tmp_path_factory.mktemp("dicom") / "phantoms"
    config = CTPhantomConfig(matrix=64, slices=(20, 20), lesions=(1, 1), two_study_fraction=0.0)
    write_ct_phantoms(folder, config=config, studies=1, seed=2, jobs=1, progress=False)
    return folder / "dicom"


def test_a_volume_gives_what_detect_writes(detector, tiny_run, tiny_data, tmp_path):
    case = tiny_data / "studies" / "case-0000000003"
    written = detect_study(tiny_run, case, tmp_path / "out", score_threshold=0.02, progress=False)
    study = gluon_liver.read_study(case)
    results = [detector.detect_study(study, score_threshold=0.02)]
    for hu in (study.hu, study.hu[0], study.hu[0].astype(np.float32) + 0.25):
        results.append(detector.detect_volume(hu, spacing=SPACING, phases=["arterial"], score_threshold=0.02))
    results.append(detector.detect_volume(study.hu[0], spacing=SPACING, score_threshold=0.02))
    rows = json.loads((tmp_path / "out" / "detections.json").read_text())
    for result in results:
        assert [lesion.to_json() for lesion in result.lesions] == written["lesions"] != []
        coco = [row for number, one in enumerate(result.detections, 10) for row in one.to_coco(number)]
        assert coco == [{key: row[key] for key in ("image_id", "category_id", "bbox", "score")} for row in rows]
    assert detector.classes == ("cyst", "hemangioma", "hcc") and detector.checkpoint == written["checkpoint"]


def test_the_place_of_a_volume_moves_the_centres_of_its_lesions(detector, tiny_dataset):
    hu = tiny_dataset.study("case-0000000003").hu
    here = detector.detect_volume(hu, spacing=SPACING, score_threshold=0.02)
    there = detector.detect_volume(hu, spacing=SPACING, origin=(10.0, 20.0, 30.0), score_threshold=0.02)
    moved = np.subtract(there.lesions[0].centre_lps_mm, here.lesions[0].centre_lps_mm)
    assert np.allclose(moved, (10, 20, 30)) and there.lesions[0].size_mm == here.lesions[0].size_mm


@pytest.mark.parametrize(
    "error, message, change",
    [
        (InputError, "numbers .Z, Y, X. or .P, Z, Y, X. are needed", {"hu": np.zeros((4, 4))}),
        (InputError, "not finite", {"hu": np.full((1, 2, 4, 4), np.nan)}),
        (InputError, "one name each is needed", {"phases": ("arterial", "delayed")}),
        (InputError, "'arterial' is not one of the phases delayed", {"phases": ("delayed",)}),
        (InputError, "every slice of the reference phase", {"present": np.zeros((1, 2), bool)}),
        (GeometryError, "spacing above 0.*; spacing is .5.0, 0.0, 1.0.", {"spacing": (5.0, 0.0, 1.0)}),
        (GeometryError, "spacing above 0", {"spacing": (5.0, -1.0, 1.0)}),
        (GeometryError, r"spacing is .5.0, 1.0.", {"spacing": (5.0, 1.0)}),
        (GeometryError, "size above 0.*; size is .0.0, 4.0, 4.0.", {"hu": np.zeros((0, 4, 4))}),
        (GeometryError, "unit vectors at right angles", {"direction": np.ones((3, 3))}),
        (InputError, "hu is no array", {"hu": [[[1, 2], [3]]]}),
        (InputError, "present is no array", {"present": [[True], [True, False]]}),
        (InputError, "phases is 'arterial': a sequence of one name or more", {"phases": "arterial"}),
        (InputError, "phases is .1,.: a sequence", {"phases": (1,)}),
        (InputError, "each once", {"hu": np.zeros((2, 2, 4, 4)), "phases": ["arterial"] * 2}),
        (InputError, "score_threshold is nan; a number from 0 to 1", {"score_threshold": float("nan")}),
        (InputError, "score_threshold is '0.5'", {"score_threshold": "0.5"}),
    ],
)
def test_arrays_that_do_not_fit_together(detector, error, message, change):
    with pytest.raises(error, match=message):
        detector.detect_volume(**{"hu": np.zeros((1, 2, 4, 4)), "spacing": SPACING, **change})


def test_what_is_no_study_is_refused(detector, tiny_data):
    with pytest.raises(InputError, match="a Study is needed, as read_study gives it, not PosixPath"):
        detector.detect_study(tiny_data)


def test_a_pickled_detector_is_loaded_again(detector, tiny_dataset):
    again, hu = pickle.loads(pickle.dumps(detector)), tiny_dataset.study("case-0000000003").hu
    for one, other in zip(*(each.detect_volume(hu, spacing=SPACING).detections for each in (detector, again))):
        assert len(one) and np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)
    assert again.checkpoint == detector.checkpoint and again._detector is not detector._detector


def test_a_ct_run_takes_no_frames(detector, tmp_path):
    for call in (lambda: detector.detect_frame(np.zeros((8, 8, 3), np.uint8)), detector.restart):
        with pytest.raises(RunError, match="is a CT run"):
            call()
    with pytest.raises(RunError, match="no run folder"):
        gluon_liver.load_detector(tmp_path / "nowhere")
    for device in ("tpu", None, 0):
        with pytest.raises(ConfigError, match="--device"):
            gluon_liver.load_detector(detector._run.folder, device=device)


@pytest.mark.slow
def test_phases_are_taken_by_their_names(make_config, tmp_path):
    dataset = gluon_liver.open_dataset(write_dataset(tmp_path / "data", phases=PHASES))
    config = make_config(**{"row": None, "network.relation": "full"})
    run = train(config, dataset, tmp_path / "run", steps=1, progress=False)
    detector = gluon_liver.load_detector(run.folder)
    study = dataset.study("case-0000000003")  # which lacks the delayed phase
    expected = detector.detect_study(study).detections
    turned = detector.detect_volume(
        study.hu[::-1], spacing=SPACING, phases=PHASES[::-1], present=study.present[::-1]
    ).detections
    lacking = detector.detect_volume(study.hu[:2], spacing=SPACING, phases=PHASES[:2]).detections
    for index, one in enumerate(expected):
        for other in (turned[index], lacking[index]):
            assert np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)
    with pytest.raises(DatasetError, match="the run was trained on"):
        detector.detect_volume(study.hu, spacing=SPACING, phases=("arterial", "delayed", "portal"))


def test_a_study_is_read_from_dicom_without_its_identifiers(dicom, tiny_data):
    study = gluon_liver.read_study(dicom)
    assert study.phases == PHASES and study.hu.shape == (3, 20, 64, 64) and study.hu.dtype == np.int16
    assert re.fullmatch("case-[0-9a-f]{10}", study.case) and re.fullmatch("patient-[0-9a-f]{10}", study.patient)
    assert study.geometry.size == study.hu.shape[1:] and study.present.all()
    delayed = gluon_liver.read_study(dicom, reference="delayed")
    assert delayed.reference_phase == "delayed"
    with pytest.raises(InputError, match="a prepared study has its own"):
        gluon_liver.read_study(tiny_data / "studies" / "case-0000000000", reference="delayed")


def test_several_studies_are_refused(dicom, tmp_path):
    config = CTPhantomConfig(matrix=64, slices=(20, 20), lesions=(1, 1), two_study_fraction=0.0)
    write_ct_phantoms(tmp_path / "phantoms", config=config, studies=2, seed=3, jobs=1, progress=False)
    with pytest.raises(DatasetError, match="dicom holds 2 studies"):
        gluon_liver.read_study(tmp_path / "phantoms" / "dicom")


def test_a_network_by_name_and_by_configuration(tiny_config):
    network = gluon_liver.build_network(tiny_config)
    assert isinstance(network, HybridBlock) and network.detector.classes == ("cyst", "hemangioma", "hcc")
    rows, check = network(mx.nd.zeros((2, 1, 1, 1, SIZE, SIZE)))
    assert rows.shape[0] == 2 and rows.shape[2] == 6 and check.shape == (2,)
    assert gluon_liver.build_network("demo-r101-multimodal", classes=["a"], phases=PHASES[:2]).detector.phases == 2
    assert gluon_liver.build_network("demo-us-flow").detector.classes == ("tumor", "vessel")
    with pytest.raises(ConfigError, match="no configuration 'r99'"):
        gluon_liver.build_network("r99")
    assert gluon_liver.build_network(tiny_config, classes=np.array(["a", "b"])).detector.classes == ("a", "b")
    for wrong in ([], "abc", ["a", "a"], [""], [1], 3):
        with pytest.raises(InputError, match="classes is .*: a sequence of one name or more, each once"):
            gluon_liver.build_network(tiny_config, classes=wrong)


def test_every_public_name_is_there_and_typed():
    for name in gluon_liver.__all__:
        assert getattr(gluon_liver, name).__name__ == name
    assert [name for name in dir(gluon_liver) if not name.startswith("__")] == sorted(gluon_liver.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(gluon_liver, "nothing")  # noqa: B009
    text = (ROOT / "gluon_liver" / "__init__.py").read_text(encoding="utf-8")
    typed = re.findall(r"^    from [\w.]+ import (\w+) as \1$", text, re.MULTILINE)
    assert sorted(typed) == sorted(gluon_liver.__all__)
    assert (ROOT / "gluon_liver" / "py.typed").is_file()


SCRIPT = """
import numpy as np
import gluon_liver
try:
    detector: gluon_liver.Detector = gluon_liver.load_detector("run", device="cpu")
    lesions = detector.detect_volume(np.zeros((2, 4, 4)), spacing=(5.0, 1.0, 1.0)).lesions
    dataset: gluon_liver.Dataset = gluon_liver.open_dataset("data")
    geometry: gluon_liver.Geometry = gluon_liver.read_study("study").geometry
    network: gluon_liver.DetectionNet = gluon_liver.build_network("r50", classes=["cyst"])
except (gluon_liver.RunError, gluon_liver.ConfigError) as error:
    score: float = lesions[0].score
gluon_liver.open_datset("data")
gluon_liver.load_detector("run", devise="cpu")
"""


@pytest.mark.slow
def test_mypy_knows_the_names_and_arguments_of_a_users_script(tmp_path, monkeypatch):
    api = pytest.importorskip("mypy.api")
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    printed, _, _ = api.run(["--no-implicit-reexport", "--follow-imports=silent", "script.py"])
    wrong = [line for line in printed.splitlines() if "error:" in line]
    assert len(wrong) == 2, printed
    assert wrong[0].startswith("script.py:12:") and '"open_datset"' in wrong[0]
    assert wrong[1].startswith("script.py:13:") and '"devise"' in wrong[1]


def test_importing_the_package_and_reading_a_study_loads_no_mxnet(tiny_data):
    case = tiny_data / "studies" / "case-0000000000"
    code = f"import sys, gluon_liver; print('numpy' in sys.modules); gluon_liver.read_study({str(case)!r})"
    code += "; gluon_liver.load_config('r50'); print('mxnet' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=str(ROOT), check=True, stdout=subprocess.PIPE)
    numpy_is_loaded, mxnet_is_loaded = done.stdout.decode().split()
    # NumPy is given back the names that MXNet needs when MXNet is looked for
    assert mxnet_is_loaded == "False" and numpy_is_loaded == "False"


@pytest.mark.slow
def test_the_lines_of_the_documents_run(tiny_run, tiny_data, dicom, tmp_path, monkeypatch, capsys):
    shutil.copytree(str(tiny_run.folder), str(tmp_path / "demo" / "run"))
    (tmp_path / "demo" / "phantoms").symlink_to(dicom.parent)
    monkeypatch.chdir(tmp_path)
    for page, slices in [("README.md", 20), ("docs/guides/python.md", 12)]:
        (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
        names = {}
        exec(lines, names)
        assert len(names["result"].detections) == slices and names["study"].hu.shape == (3, 20, 64, 64)
        assert isinstance(names["network"], HybridBlock)
        assert capsys.readouterr().out.startswith("[")
