"""Evaluation: what is scored, what is refused, what is written."""

import dataclasses
import fcntl
import json
import os
import shutil
from unittest.mock import Mock

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.schema import MODELS
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.open import TASKS
from gluon_liver.data.splits import Splits
from gluon_liver.errors import DatasetError, InputError, RunError
from gluon_liver.evaluation.ct import scans_of
from gluon_liver.evaluation.overlays import overlay_kind
from gluon_liver.evaluation.registry import EVALUATIONS
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.task import Scored, ScoreSettings
from gluon_liver.inference.choice import EngineChoice
from gluon_liver.report.tables.table4 import read_run, rows_text
from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import NOTHING
from gluon_liver.structures.image_result import ImageResult, detections_json
from gluon_liver.system.runtime import cpu_flags
from gluon_liver.training.train import train
from tests.conftest import change_json
from tests.runs.test_checkpoint import rewrite_manifest

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tiny_run, tmp_path):
    shutil.copytree(str(tiny_run.folder), str(tmp_path / "run"))
    return Run.open(tmp_path / "run")


def image(boxes, labels, scores, gt_boxes, gt_labels):
    def rows(values):
        return np.array(values, np.float32).reshape(-1, 4)

    return ImageResult(
        1, "p", rows(gt_boxes), np.array(gt_labels, np.int32), rows(boxes), np.array(scores), np.array(labels, np.int32)
    )


def test_every_task_that_a_model_has_is_read_and_scored():
    assert set(TASKS) == set(EVALUATIONS) == set(MODELS.values())
    assert all(data.dataset.task == name for name, data in TASKS.items())


def test_results_and_report(run, tiny_dataset):
    text, report = evaluate(run, tiny_dataset, settings=ScoreSettings(20), progress=False)
    results = json.loads((run.folder / "results.json").read_text())
    assert results["split"] == "test" and results["data"]["phantom"] is True
    assert results["summary"]["images"] == 3 and results["summary"]["patients"] == 1
    assert "phantom" in text and "69.23" in text  # the printed cell of row R-50 stands beside ours
    page = report.read_text(encoding="utf-8")
    assert "phantom" in page and "<html" in page
    assert [results["counts"][key] for key in ("patients", "cases", "images", "boxes")] == [1, 1, 3, 2]
    errors, summary = results["errors"], results["summary"]
    assert errors["objects"]["found"] + errors["objects"]["missed"] <= sum(errors["objects"].values()) == 2
    assert results["counts"]["lesions"] == sum(summary["lesions"]["lesions"].values())
    assert [row["name"] for row in results["recall"]["by_thickness"]] == ["5 mm or more"]
    assert results["sensitivity"]["lesion"]["n"] == results["counts"]["lesions"] and results["calibration"]["bins"]
    assert "Where it fails" in text
    totals, gallery = results["gallery_totals"], results["gallery"]
    assert list(totals) == ["hit", "miss", "badly placed", "wrong class", "false positive"]
    assert totals["hit"] == errors["detections"]["right"] and {entry["kind"] for entry in gallery} <= set(totals)
    for entry in gallery:
        assert entry["pictures"][0] == {**entry["pictures"][0], "file": entry["file"], "offset": 0, "phase": "arterial"}
        for shown in entry["pictures"]:
            assert (run.folder / shown["file"]).read_bytes()[8:12] == b"WEBP"
    assert set(results["evaluated"]) == {"version", "revision", "command", "date", "seconds"}
    for overlay in results["overlays"]:
        assert (run.folder / overlay["file"]).is_file()
    assert not list(run.folder.glob("*.partial")) and not (run.folder / ".evaluating").exists()


def test_evaluation_repeats(run, tiny_dataset):
    for _ in range(2):
        evaluate(run, tiny_dataset, settings=ScoreSettings(5), progress=False)
        detections = (run.folder / "detections.json").read_bytes()
    evaluate(run, tiny_dataset, settings=ScoreSettings(5), batch_size=1, progress=False)
    one_by_one = json.loads((run.folder / "detections.json").read_text())
    together = json.loads(detections)
    assert [row["category_id"] for row in one_by_one] == [row["category_id"] for row in together]
    assert np.allclose([row["score"] for row in one_by_one], [row["score"] for row in together], atol=1e-3)


def test_an_unfinished_run_says_so(run, tiny_dataset):
    lines = (run.folder / "log.jsonl").read_text().splitlines()
    # killed in the second epoch, in the middle of a line
    kept = lines[: 1 + next(i for i, line in enumerate(lines) if '"checkpoint"' in line)]
    (run.folder / "log.jsonl").write_text("\n".join(kept) + "\n" + lines[-1][:20])
    text, report = evaluate(run, tiny_dataset, settings=ScoreSettings(5), progress=False)
    assert text.startswith("UNFINISHED RUN: 5 of 10 steps were trained, so these are no results")
    assert "(UNFINISHED RUN, 5 of 10 steps)" in text and "the run is unfinished: 5 of 10 steps" in text
    page = report.read_text(encoding="utf-8")
    assert "<title>UNFINISHED RUN: " in page and ", UNFINISHED RUN</h1>" in page
    answer = page.partition('<section id="answer"')[2]
    assert answer.index("UNFINISHED RUN: 5 of 10 steps") < answer.index("Phantom result")
    assert "<caption>Accuracy in % (UNFINISHED RUN, 5 of 10 steps)" in page
    assert "UNFINISHED: 5 of 10 steps" in rows_text([read_run(run.folder)])


def test_a_failed_evaluation_leaves_the_last_one(run, tiny_dataset, monkeypatch):
    evaluate(run, tiny_dataset, settings=ScoreSettings(5), progress=False)
    before = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
    full = Mock(side_effect=OSError(28, "No space left on device"))
    monkeypatch.setattr("gluon_liver.evaluation.ct.write_report", full)
    with pytest.raises(OSError, match="No space"):
        evaluate(run, tiny_dataset, settings=ScoreSettings(7), progress=False)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()} == before
    assert not (run.folder / ".evaluating").exists()


def test_a_swap_that_is_cut_off_reads_as_not_evaluated(run, tiny_dataset, monkeypatch):
    evaluate(run, tiny_dataset, settings=ScoreSettings(5), progress=False)
    rename, moved = os.rename, []

    def fail_late(source, target):
        moved.append(target)
        if len(moved) == 6:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr("gluon_liver.evaluation.run_folder.os.rename", fail_late)
    with pytest.raises(OSError, match="Input/output"):
        evaluate(run, tiny_dataset, settings=ScoreSettings(5), progress=False)
    assert not (run.folder / "results.json").exists()
    monkeypatch.undo()
    evaluate(run, tiny_dataset, settings=ScoreSettings(5), progress=False)
    assert (run.folder / "results.json").is_file()


def test_two_evaluations_at_once(run, tiny_dataset):
    with open(str(run.folder / ".evaluating.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="by another process"):
            evaluate(run, tiny_dataset, progress=False)


def test_a_network_that_diverged_is_an_error(run, tiny_dataset):
    """Finite parameters whose scores overflow: no detections would look like a healthy liver."""
    path = newest_checkpoint(run.checkpoints)
    parameters = mx.nd.load(str(path / "net.params"))
    parameters["class_predictor.weight"][:] = 3e38
    mx.nd.save(str(path / "net.params"), parameters)
    rewrite_manifest(path)
    with pytest.raises(RunError, match="scores are not finite"):
        evaluate(run, tiny_dataset, progress=False)


@pytest.mark.parametrize("name", ["config.yaml", "environment.json"])
def test_a_run_without_its_files_is_refused(run, name):
    (run.folder / name).unlink()
    with pytest.raises(RunError, match=name):
        Run.open(run.folder)


def test_overlay_kinds_by_hand():
    box, far = [0, 0, 10, 10], [30, 30, 40, 40]
    assert overlay_kind(image([box], [0], [0.9], [box], [0])) == "hit"
    assert overlay_kind(image([box], [1], [0.9], [box], [0])) == "false positive"
    assert overlay_kind(image([box], [0], [0.4], [box], [0])) == "miss"
    assert overlay_kind(image([box, far], [0, 0], [0.9, 0.9], [box], [0])) == "false positive"
    assert overlay_kind(image([], [], [], [], [])) is None


def test_detections_are_coco_results():
    rows = detections_json([image([[1, 2, 4, 8]], [2], [0.25], [], [])])
    assert rows == [{"image_id": 1, "category_id": 3, "bbox": [1.0, 2.0, 3.0, 6.0], "score": 0.25}]


def test_data_that_do_not_fit_the_run_are_refused(run, tiny_dataset):
    splits = tiny_dataset.splits
    moved = Splits((splits.train[0],), (), splits.train[1:] + splits.test, 0)
    # the same studies imported with another salt: other cases and patients, the same images
    cases = [dataclasses.replace(info, patient="new-" + info.patient) for info in tiny_dataset.cases]
    names = Splits((), (), tuple(info.patient for info in cases), 0)
    for changes, message in (
        (dict(splits=moved), "of 3 studies of the test split 2 belong to patients who were trained on"),
        (dict(cases=cases, splits=names), "of 4 studies of the test split 3"),
        (
            dict(reference_phase="delayed"),
            "reference phase delayed, the run was trained on arterial; .*again with --reference arterial",
        ),
        (dict(classes=("cyst", "hcc")), "classes .* the run was trained on"),
    ):
        with pytest.raises(DatasetError, match=message):
            evaluate(run, dataclasses.replace(tiny_dataset, **changes), progress=False)
    with pytest.raises(DatasetError, match="val split"):
        evaluate(run, tiny_dataset, split="val", progress=False)


def test_a_damaged_log_is_named_and_blank_lines_do_no_harm(run, tiny_dataset):
    path = run.folder / "log.jsonl"
    whole = path.read_text() + '\n{"event": "checkpoint"}\n'
    path.write_text(whole)
    evaluate(run, tiny_dataset, settings=ScoreSettings(5), progress=False)
    for line in ("no JSON", "{}", "[]"):
        path.write_text(whole + line + "\n")
        with pytest.raises(RunError, match="log.jsonl: line"):
            evaluate(run, tiny_dataset, settings=ScoreSettings(5), progress=False)


def test_lesions_are_scored_with_chosen_settings(run, tiny_data, tmp_path, capsys):
    options = ["--froc-rates", "0.5", "32", "--lesion-hit", "centre", "--lesion-bins", "12", "--bootstrap", "5"]
    assert main(["evaluate", "--run", str(run.folder), "--data", str(tiny_data), *options]) == 0
    text = capsys.readouterr().out
    results = json.loads((run.folder / "results.json").read_text())
    lesions = results["summary"]["lesions"]
    assert list(results["summary"]["froc"]["all"]) == list(lesions["froc"]["all"]) == ["0.5", "32"]
    assert lesions["settings"]["hit"] == "centre" and [row["to_mm"] for row in lesions["by_size"]] == [12.0, None]
    assert lesions["slices"] == {"scored": 3, "in_scans": 3, "invented": 0}
    assert "Lesion FROC" in text and set(results["data"]["digests"]) == {"labels", "volumes"}
    detections = str(run.folder / "detections.json")
    score = ["score", "--run", str(run.folder), "--data", str(tiny_data), "--detections", detections, *options]
    assert main(score) == 0
    assert capsys.readouterr().out.strip() == text.split("report: ")[0].strip()
    for wrong, message in ((["--froc-rates", "2", "1"], "rise"), (["--lesion-hit", "dice"], "cannot be 'dice'")):
        assert main(["score", *score[1:7], *wrong]) == 2
        assert message in capsys.readouterr().err


def test_scans_are_studies_with_what_the_import_invented(tiny_data, tiny_config, tmp_path):
    shutil.copytree(str(tiny_data), str(tmp_path / "data"))
    (path,) = (tmp_path / "data" / "studies" / "case-0000000003").glob("study.json")
    change_json(path, source={"images": {"arterial": 2}, "history": {"arterial": {"interpolated": [1]}}})
    dataset = CTDataset.open(tmp_path / "data")
    labels = [label for label in dataset.labels_of("test") if label.slice != 1]
    results = [dataset.result(label, NOTHING) for label in labels]
    (scan,) = scans_of(Scored(tiny_config, dataset, "test", labels, results, ""))
    assert (scan.patient, scan.spacing, scan.slices, scan.invented) == ("patient-0000000003", (5.0, 1.0, 1.0), 3, 1)
    assert [*scan.results] == [0, 2] and scan.results[0] is results[0]


@pytest.mark.parametrize(
    "options", [dict(fp_rates=(1, 0.5)), dict(fp_rates=()), dict(lesion_bins=(0, 5)), dict(lesion_bins=(5, 5))]
)
def test_rates_and_edges_rise(options):
    with pytest.raises(InputError, match="numbers above 0 that rise"):
        ScoreSettings(**options)


def test_an_evaluation_along_the_studies_says_so(make_config, tiny_dataset, tmp_path):
    nine = train(make_config(**{"data.slices": 9, "row": "R-50-2.5D"}), tiny_dataset, tmp_path / "nine", progress=False)
    text, _ = evaluate(nine, tiny_dataset, dense=True, settings=ScoreSettings(5), progress=False)
    results = json.loads((nine.folder / "results.json").read_text())
    assert "read along their studies (--dense)" in results["data"]["note"] and "--dense" in text
    assert results["summary"]["images"] == 3
    evaluate(nine, tiny_dataset, settings=ScoreSettings(5), progress=False)
    assert "--dense" not in json.loads((nine.folder / "results.json").read_text())["data"]["note"]


@pytest.mark.skipif("avx512_bf16" not in cpu_flags(), reason="this CPU lacks avx512_bf16")
def test_an_evaluation_in_bfloat16_says_so(run, tiny_dataset, tmp_path):
    options = dict(settings=ScoreSettings(5), progress=False)
    text, _ = evaluate(
        run, tiny_dataset, choice=EngineChoice(precision="bfloat16"), out=tmp_path / "reduced", **options
    )
    results = json.loads((tmp_path / "reduced" / "results.json").read_text())
    assert results["precision"] == "bfloat16"
    assert "computed in bfloat16 (--precision)" in results["data"]["note"] and "bfloat16" in text
    assert "computed in bfloat16" in (tmp_path / "reduced" / "report.html").read_text()
    evaluate(run, tiny_dataset, out=tmp_path / "usual", **options)
    results = json.loads((tmp_path / "usual" / "results.json").read_text())
    assert results["precision"] == "float32" and "bfloat16" not in results["data"]["note"]


def test_a_precision_that_the_cpu_lacks_is_refused_and_nothing_is_written(run, tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("gluon_liver.nn.folding.cpu_flags", lambda proc: frozenset({"avx2"}))
    with pytest.raises(InputError, match="does not have avx512_bf16"):
        evaluate(run, tiny_dataset, choice=EngineChoice(precision="bfloat16"), out=tmp_path / "reduced", progress=False)
    assert not (tmp_path / "reduced").exists()


def test_single_slices_are_not_read_along_the_studies(run, tiny_dataset):
    (run.folder / "results.json").unlink(missing_ok=True)  # of another test that evaluated the run
    with pytest.raises(RunError, match="one by one"):
        evaluate(run, tiny_dataset, dense=True, progress=False)
    assert not (run.folder / "results.json").exists()


def test_data_of_a_published_set_are_scored_at_its_rates_beside_its_rows(run, tiny_dataset, tmp_path):
    layout = dataclasses.replace(tiny_dataset, layout="deeplesion")
    task, labels = EVALUATIONS["ct"], tiny_dataset.labels_of("test")
    results = [layout.result(label, NOTHING) for label in labels]
    for classes, own in ((("lesion",), True), (layout.classes, False)):
        if own:
            results = [dataclasses.replace(one, gt_labels=np.zeros_like(one.gt_labels)) for one in results]
        data = dataclasses.replace(layout, classes=classes)
        for rates, shown in ((None, ["0.5", "1", "2", "4", "8", "16"]), ((0.25,), ["0.25"])):
            scored = Scored(run.config, data, "test", labels, results, "a note")
            summary = task.summary(scored, ScoreSettings(20, fp_rates=rates))
            assert list(summary["froc"]["all"]) == shown
            assert ("published" in summary) == own == ("3DCE, 27 slices" in task.text(scored, summary))
    plain = Scored(run.config, tiny_dataset, "test", labels, results, "a note")
    assert "published" not in task.summary(plain, ScoreSettings(20))
