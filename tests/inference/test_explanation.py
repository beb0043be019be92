"""detect --explain: the relation of a lesion, hits and false positives, and what lesions.json says of them."""

import json

import mxnet as mx
import numpy as np
import pytest
from PIL import Image

from gluon_liver.data.ct_loader import OpenCase, ct_sample
from gluon_liver.inference import explanation
from gluon_liver.inference.detector import SliceDetector
from gluon_liver.inference.explanation import LOOKS, NO_RELATION, REPEATED, cells_in, read_relations, write_explanation
from gluon_liver.inference.study import detect_study
from gluon_liver.metrics.matching import class_hits
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.relation_map import RelationNet
from gluon_liver.report.figures.paper_figures import Cells
from gluon_liver.structures.detections import Detections
from gluon_liver.structures.lesions import Lesion, LesionSize, SliceBox
from gluon_liver.training.train import train

pytestmark = pytest.mark.slow

CASE, LACKING = "case-0000000000", "case-0000000003"
BOX = [20.0, 28.0, 44.0, 52.0]  # holds the centres of cells 3, 4, 5 across and 4, 5, 6 down at stride 8


@pytest.fixture
def data(phase_data):
    return phase_data


@pytest.fixture
def detector(data, make_config):
    """Untrained, its rows the position alone, its responses not zero."""
    return make(data, make_config)


def make(data, make_config, kind="full", **changes):
    config = make_config(**{"row": None, "network.relation": kind, "network.stride": 8, **changes})
    built = make_detector(config, classes=data.classes, phases=3, context=mx.cpu())
    for pair in built.relation.pairs:
        if kind == "full":
            for layer in (pair.theta, pair.phi):
                layer.weight.set_data(mx.nd.zeros(layer.weight.shape))
        pair.project.weight.set_data(mx.nd.random.normal(shape=pair.project.weight.shape))
    return SliceDetector(built, config=config, context=mx.cpu())


def detections(*entries):
    """(box, score, label) ..."""
    boxes, scores, labels = (list(column) for column in zip(*entries)) if entries else ([], [], [])
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores), np.array(labels, np.int32))


def explain(detector, data, case, folder, *, results=(), **changes):
    """By default of a case with its labels, without detections and lesions."""
    folder.mkdir()
    shown = [one.at_score(0.5) for one in results or [detections()] * 3]
    options = {"shown": shown, "lesions": (), "labels": data.labels_by_slice(case), **changes}
    open_case = OpenCase.in_memory(data.study(case), detector.config.data)
    return write_explanation(detector, open_case, folder, score_threshold=0.5, **options)


BOXES = (
    SliceBox(0, np.array([0.0, 0.0, 9.0, 9.0]), "hcc", 0.6),
    SliceBox(1, np.array(BOX), "hcc", 0.9),
    SliceBox(2, np.array([0.0, 0.0, 9.0, 9.0]), "cyst", 0.95),
)
PLACE = {"size_mm": LesionSize(24.0, 15.0), "centre_lps_mm": (0.0, 0.0, 0.0), "first_slice": 0, "last_slice": 2}
LESION = Lesion(class_name="hcc", score=0.9, boxes=BOXES, **PLACE)


def test_without_content_a_lesion_looks_at_its_own_place(detector, data, tmp_path):
    entry, _ = explain(detector, data, CASE, tmp_path / "out", lesions=[LESION])
    assert (entry["figure"], entry["lesion"], entry["slice"], entry["cells_in_box"]) == (4, 1, 1, 9)
    assert [one["phase"] for one in entry["phases"]] == ["non_contrast", "delayed"]
    y, x = np.mgrid[:8, :8]
    inside = (y >= 4) & (y < 7) & (x >= 3) & (x < 6)
    row = np.zeros((8, 8))
    for j in np.argwhere(inside):
        f = np.exp(-((y - j[0]) ** 2 + (x - j[1]) ** 2) / (2 * 1.0**2))
        row += f / f.sum() / 9
    for one in entry["phases"]:
        assert one["present"] and one["peak_xy_px"] == [32.5, 40.5]  # cell (5, 4), the middle of the nine
        assert one["peak_share"] == pytest.approx(row.max(), abs=1e-5)
        assert one["share_in_box"] == pytest.approx(row[inside].sum(), abs=1e-3)
        assert one["even_share"] == pytest.approx(1 / 64, abs=1e-6) and one["response_norm_in_box"] > 0
    picture = np.asarray(Image.open(str(tmp_path / "out" / entry["file"])))
    assert picture.shape[2] == 3 and picture.std() > 0


@pytest.mark.parametrize("kind, share", [("position", None), ("same_cell", 1.0)])
def test_a_relation_without_content_says_what_its_picture_can_show(data, make_config, tmp_path, kind, share):
    entry, _ = explain(make(data, make_config, kind), data, CASE, tmp_path / "out", lesions=[LESION])
    full, _ = explain(make(data, make_config), data, CASE, tmp_path / "full", lesions=[LESION])
    assert (entry["relation"], full["relation"]) == (kind, "full")
    assert entry["note"] == f"{full['note']}; {LOOKS[kind]}" and len(LOOKS[kind]) > 20
    expected = [one["share_in_box"] for one in full["phases"]] if share is None else [share, share]
    assert [one["share_in_box"] for one in entry["phases"]] == pytest.approx(expected, abs=1e-3)
    assert (tmp_path / "out" / entry["file"]).is_file()


def test_a_control_says_that_it_is_one_and_shows_what_the_network_saw(data, make_config, tmp_path, monkeypatch):
    drawn = []
    draw = explanation.draw_relation
    monkeypatch.setattr(explanation, "draw_relation", lambda **shown: drawn.append(shown) or draw(**shown))
    detector = make(data, make_config, **{"data.repeat_reference": True})
    entry, _ = explain(detector, data, CASE, tmp_path / "out", lesions=[LESION])
    assert entry["note"].endswith(REPEATED) and REPEATED in drawn[0]["title"]
    assert all(np.array_equal(one.grey, drawn[0]["grey"]) for one in drawn[0]["others"].values())


def test_the_reader_takes_absent_phases_out(detector, data):
    case = OpenCase.in_memory(data.study(LACKING), detector.config.data)
    norm, ((rows, response), absent) = read_relations(
        RelationNet(detector.network), detector, ct_sample(case, 1, detector.config)
    )
    assert norm.shape == (8, 8) and norm.min() >= 0
    assert rows.shape == (64, 64) and response.shape == (8, 8) and absent is None


def test_an_absent_phase_is_said(detector, data, tmp_path):
    entry, _ = explain(detector, data, LACKING, tmp_path / "out", lesions=[LESION])
    assert entry["phases"][0]["present"] and entry["phases"][1] == {"phase": "delayed", "present": False}
    assert (tmp_path / "out" / entry["file"]).is_file()


def test_cells_in_a_box():
    cells = Cells(16, 0.5)  # centres on stored pixels 1, 33, 65, 97
    wide = [[1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]]
    assert np.argwhere(cells_in([0, 30, 70, 66], cells=cells, shape=(4, 4))).tolist() == wide
    assert np.argwhere(cells_in([40, 34, 50, 64], cells=cells, shape=(4, 4))).tolist() == [[1, 1]]  # tie: the first
    assert np.argwhere(cells_in([125, 60, 128, 70], cells=cells, shape=(4, 4))).tolist() == [[2, 3]]


def test_good_slices_stand_above_slices_with_a_false_positive(detector, data, tmp_path):
    labels = data.labels_by_slice(CASE)
    first, second = ((labels[index].boxes[0], int(labels[index].labels[0])) for index in (0, 1))
    elsewhere = np.array([0, 0, 5, 5], np.float32)
    results = [
        detections((first[0], 0.9, first[1]), (elsewhere, 0.4, 0)),  # below the threshold: not judged
        detections((second[0], 0.8, second[1]), (elsewhere, 0.7, 0), (second[0], 0.6, (second[1] + 1) % 3)),
        detections((elsewhere, 0.95, 2)),
    ]
    assert class_hits(results[1], labels[1].boxes, labels[1].labels).tolist() == [True, False, False]
    note, entry = explain(detector, data, CASE, tmp_path / "out", results=results)
    assert note == {"figure": 4, "file": None, "note": "no relation map: no lesion at score 0.5 and above"}
    assert [row["slices"] for row in entry["rows"]] == [[0], [2, 1]]
    counted = [entry[key] for key in ("labelled", "labelled_slices", "hits", "false_positives", "misses")]
    assert counted == [True, 3, 2, 3, 0]
    alone = explain(detector, data, CASE, tmp_path / "none")[1]
    assert [row["slices"] for row in alone["rows"]] == [[], []] and alone["misses"] == 2


def test_a_missed_lesion_and_a_second_detection_of_one(detector, data):
    label = data.labels_by_slice(CASE)[0]
    box, kind, truth = label.boxes[0], int(label.labels[0]), (label.boxes, label.labels)
    assert class_hits(detections((box, 0.6, kind), (box, 0.7, kind)), *truth).tolist() == [False, True]
    assert class_hits(detections(), *truth).tolist() == []


def test_six_tiles_a_row_the_best_first(detector, data, tmp_path, monkeypatch):
    monkeypatch.setattr("gluon_liver.inference.explanation.TILES", 2)
    results = [detections((BOX, score, 1)) for score in (0.6, 0.9, 0.8)]
    _, entry = explain(detector, data, CASE, tmp_path / "out", results=results, labels={})
    (row,) = entry["rows"]
    assert row["slices"] == [1, 2] and row["title"].startswith("Not labelled") and "2 of 3" in row["title"]
    assert entry["labelled"] is False and "hits" not in entry and "false_positives" not in entry


def test_a_run_without_relation_says_so(tiny_run, tiny_data, tmp_path):
    out = tmp_path / "out"
    result = detect_study(tiny_run, tiny_data / "studies" / LACKING, out, explain=True, progress=False)
    assert result["explain"][0] == {"figure": 4, "file": None, "note": NO_RELATION}
    assert result["explain"][1]["file"] == "explain/examples.png" and result["explain"][1]["labelled_slices"] == 3
    assert [path.name for path in (out / "explain").iterdir()] == ["examples.png"]
    assert json.loads((out / "lesions.json").read_text()) == result


def test_a_multi_modal_run_draws_every_lesion(data, make_config, tmp_path):
    config = make_config(**{"row": None, "network.relation": "full"})
    run = train(config, data, tmp_path / "run", steps=1, progress=False)
    study = data.folder / "studies" / CASE
    plain = detect_study(run, study, tmp_path / "plain", score_threshold=0.02, progress=False)
    assert "explain" not in plain and not (tmp_path / "plain" / "explain").exists()
    score = plain["lesions"][0]["score"] - 1e-4
    result = detect_study(run, study, tmp_path / "out", score_threshold=score, explain=True, progress=False)
    assert result["lesions"]
    names = [f"explain/relation-{number + 1:02d}.png" for number in range(len(result["lesions"]))]
    assert [entry["file"] for entry in result["explain"]] == names + ["explain/examples.png"]
    assert all((tmp_path / "out" / name).is_file() for name in names)
