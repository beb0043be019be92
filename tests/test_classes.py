"""Data of one class, of five, of ultrasound's one and three: from training to tables, pages, modules and pictures."""

import json
import os
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.load import build_config
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.inference.study import detect_study
from gluon_liver.legacy.record_file import write_records
from gluon_liver.report.comparison.us_compare import compare_text, read_us_run
from gluon_liver.report.tables.table4 import read_run, rows_text
from gluon_liver.runs.run import Run
from gluon_liver.training.train import train
from symbols.predict import load_module, predict
from tests.conftest import TINY, make_us_data, us_config, write_dataset
from tests.report.test_ct_page import Page
from tests.report.test_other_classes import FIVE
from tests.symbols.test_export import gluon_rows, network_inputs, same_parameters, same_rows
from tests.symbols.test_legacy import LEGACY_PYTHON
from tests.symbols.test_legacy import run as run_python
from tests.symbols.test_module_refusals import one_step

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[("lesion",), FIVE], ids=["one", "five"])
def ct(request, tmp_path_factory):
    """(run, dataset, classes) of a CT network with a texture stage."""
    folder = tmp_path_factory.mktemp("classes")
    dataset = CTDataset.open(write_dataset(folder / "data", patients=6, classes=request.param))
    tree = json.loads(json.dumps({**TINY, "row": "R-50"}))
    tree["network"].update(texture_head=True)
    tree["network"]["head"].update(score_threshold=0.0, dropout=0.0)
    return train(build_config(tree), dataset, folder / "run", progress=False, steps=12), dataset, request.param


def test_ct_is_scored_and_shown(ct):
    run, dataset, classes = ct
    predictor = mx.nd.load(str(next(run.checkpoints.iterdir()) / "net.params"))["class_predictor.weight"]
    assert predictor.shape[0] == len(classes) + 1
    text, report = evaluate(run, dataset, settings=ScoreSettings(20), progress=False)
    page = Page(report.read_text(encoding="utf-8"))
    results = json.loads((run.folder / "results.json").read_text(encoding="utf-8"))
    assert results["classes"] == [*classes] == [*results["summary"]["boxes"]]
    for shown in (text, page.text, rows_text([read_run(run.folder)])):
        assert "Not comparable with Table 4" in shown and "69.23" in shown and all(name in shown for name in classes)
    assert main(["score", "--run", str(run.folder), "--detections", str(run.folder / "detections.json")]) == 0


def test_ct_lesions_are_of_the_datas_classes(ct, tmp_path, capsys):
    run, dataset, classes = ct
    study = dataset.folder / "studies" / dataset.cases[-1].case
    result = detect_study(run, study, tmp_path / "out", score_threshold=0.0, explain=True, progress=False)
    assert result["lesions"] and {one["class"] for one in result["lesions"]} <= set(classes)
    assert json.loads((tmp_path / "out" / "lesions.json").read_text(encoding="utf-8"))["classes"] == [*classes]
    command = ["detect", str(study), "--run", str(run.folder), "--out", str(tmp_path / "again"), "--score", "0.001"]
    assert main(command) == 0 and classes[0] in capsys.readouterr().out


def test_ct_goes_to_a_module_and_back(ct, tmp_path):
    run, dataset, classes = ct
    assert main(["export", str(run.folder), "--legacy", "--out", str(tmp_path / "out")]) == 0
    assert all(f"`{name}`" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8") for name in classes)
    inputs = network_inputs(run, dataset)
    prefix, wanted = str(tmp_path / "out" / "detector"), gluon_rows(run, inputs)
    assert {*wanted[..., 0].ravel()} <= {-1, *range(len(classes))}
    same_rows(predict(load_module(prefix), inputs)["detections"], wanted)
    back = ["import-legacy", prefix, "--data", str(dataset.folder), "--out", str(tmp_path / "back")]
    assert main(back) == 0 and same_parameters(tmp_path / "back", run.folder)
    write_records(run.config, dataset, "train", tmp_path / "train.rec")
    one_step(str(tmp_path / "train.rec"), tmp_path / "m/m", f"--weights {prefix}-0000.params --lr 0.001")
    if LEGACY_PYTHON:
        np.savez(tmp_path / "in.npz", **inputs)
        run_python(LEGACY_PYTHON, tmp_path / "out/predict.py", prefix, tmp_path / "in.npz", tmp_path / "found.npz")
        same_rows(np.load(str(tmp_path / "found.npz"))["detections"], wanted)
        options = f"--prefix {tmp_path}/old --weights {prefix}-0000.params --lr 0.001 --epochs 1 --epoch-steps 1"
        run_python(LEGACY_PYTHON, "-m", "symbols.module_train", "--records", tmp_path / "train.rec", *options.split())
        assert (tmp_path / "old-0001.params").is_file()


def test_data_of_other_classes_are_refused_with_both_lists(ct, tiny_data, tmp_path, capsys):
    run, dataset, classes = ct
    assert main(["evaluate", "--run", str(run.folder), "--data", str(tiny_data)]) == 2
    error = capsys.readouterr().err
    assert "hemangioma" in error and classes[0] in error
    config = str(run.folder / "config.yaml")
    command = ["train", "--config", config, "--data", str(tiny_data), "--out", str(run.folder), "--resume", "auto"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "hemangioma" in error and classes[0] in error


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_the_letters_gets_escapes(encoding):
    script = "import sys; from gluon_liver.commands import main; sys.exit(main(['evaluate', '--run', '囊肿']))"
    variables = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = subprocess.run([sys.executable, "-c", script], env=variables, stderr=subprocess.PIPE)
    shown = "囊肿" if encoding == "utf-8" else r"\u56ca\u80bf"
    assert ended.returncode == 2 and f"error: no run folder {shown}" in ended.stderr.decode(encoding)


@pytest.mark.parametrize("classes", [("Läsion",), ("tumor", "vessel", "gallbladder / 胆囊")], ids=["one", "three"])
def test_ultrasound(classes, us_flow, tmp_path, capsys):
    dataset = make_us_data(tmp_path, classes)
    assert dataset.classes == classes
    runs = []
    for model, flow in (("us-faster-rcnn", None), ("us-flow", us_flow)):
        config = us_config(model, epochs=2, best_epoch=True)
        runs.append(train(config, dataset, tmp_path / model, progress=False, flow=flow))
        text, report = evaluate(runs[-1], dataset, progress=False)
        page = Page(report.read_text(encoding="utf-8"))
        for shown in (text, page.text):
            assert "Not comparable with the paper" in shown and all(name in shown for name in classes)
    compared = compare_text(*(read_us_run(run.folder) for run in runs))
    assert "Not comparable" in compared and "A and B" in compared
    source, run = str(next((tmp_path / "in").iterdir())), str(runs[0].folder)
    assert main(["watch", source, "--run", run, "--out", str(tmp_path / "seen.mp4"), "--score", "0.05"]) == 0
    assert (tmp_path / "seen.mp4").stat().st_size > 1000
    assert main(["export", run, "--legacy", "--out", str(tmp_path / "out")]) == 0
    inputs = network_inputs(Run.open(run), dataset)
    found = predict(load_module(str(tmp_path / "out" / "detector")), inputs)["detections"]
    assert {*found[..., 0].ravel()} <= {-1, *range(len(classes))}
