"""The command line: bad input gets one line that helps, exit code 2 and nothing half-written."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from gluon_liver.cluster import heartbeat
from gluon_liver.commands import COMMANDS, doctor, main
from gluon_liver.errors import InputError, TrainingError
from gluon_liver.flow import training as flow_training

ROOT = Path(__file__).resolve().parents[2]


def run(capsys, *arguments):
    """(exit code, standard error) of one command in this process."""
    capsys.readouterr()
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse
        code = stop.code
    return code, capsys.readouterr().err


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def place(tiny_data, tiny_run, tmp_path):
    """A folder with everything that the commands take, to be broken."""
    shutil.copytree(str(tiny_data), str(tmp_path / "data"))
    shutil.copytree(str(tiny_run.folder), str(tmp_path / "run"))
    for name in ("empty", "taken", "words"):
        (tmp_path / name).mkdir()
    texts = {"taken/mine.txt": "mine", "text.yaml": "just text", "text.txt": "no DICOM", "words/note.txt": "no DICOM"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


FLOW = "--width 0.125 --size 64 --steps 1 --matching-steps 1 --batch-size 1"

# arguments ({} is the folder of the test), what the message must say
BAD_INPUT = [
    ("train --config nope --data {}/data --out {}/new", "no configuration 'nope'"),
    ("train --config {}/text.yaml --data {}/data --out {}/new", "expected keys and values"),
    ("train --config demo-ct --set network.wdith=1 --data {}/data --out {}/new", "unknown key 'network.wdith'"),
    ("train --config demo-ct --set train.epochs=0 --data {}/data --out {}/new", "train.epochs is 0"),
    ("train --config demo-ct --steps 0 --data {}/data --out {}/new", "--steps 0"),
    ("train --config demo-ct --data {}/nowhere --out {}/new", "no such data folder"),
    ("train --config demo-ct --data {}/empty --out {}/new", "no dataset.json"),
    ("train --config demo-ct --data {}/data --out {}/taken", "not an empty folder"),
    ("train --config demo-ct --devices gpu:7 --data {}/data --out {}/new", "this machine shows"),
    ("train --config demo-ct --devices tpu --data {}/data --out {}/new", "cpu, cpu:N or gpu:0,1,..."),
    ("train --config demo-ct --pretrained-hu 0 1 --data {}/data --out {}/new", "give both"),
    ("train --config demo-ct --pretrained {}/text.txt --data {}/data --out {}/new", "which none of MXNet .params"),
    ("evaluate --run {}/nowhere", "no run folder"),
    ("evaluate --run {}/empty", "no config.yaml"),
    ("evaluate --run {}/run --split train", "--allow-train"),
    ("evaluate --run {}/run --split val --data {}/data", "no labelled slice"),
    ("evaluate --run {}/run --bootstrap 0 --data {}/data", "--bootstrap 0"),
    ("detect {}/empty --run {}/run --out {}/new", "is empty"),
    ("detect {}/words --run {}/run --out {}/new", "not a DICOM file"),
    ("detect {}/data/studies/case-0000000000 --run {}/run --out {}/taken", "exists"),
    ("detect {}/data/studies/case-0000000000 --run {}/run --out {}/new --score 2", "--score 2"),
    ("import ct {}/nowhere --out {}/new", "no such folder"),
    ("import ct {}/text.txt --out {}/new", "is a file"),
    ("import ct {}/words --out {}/words/new", "lies inside"),
    ("import ct {}/words --out {}/new --phases {}/text.yaml", "expected keys, found a text"),
    ("import ct {}/words --out {}/new --labels {}/text.txt", "not JSON"),
    (f"train-flow --out {{}}/new --phantoms {{}}/empty {FLOW}", "is no folder of `phantom us`"),
    ("phantom ct --out {}/new --studies 0", "studies"),
    ("phantom ct --out {}/new --matrix 7", "matrix"),
    ("phantom ct --out {}/taken", "exists"),
    ("nonsense", "no command"),
]


@pytest.mark.parametrize("arguments, message", BAD_INPUT, ids=[arguments for arguments, _ in BAD_INPUT])
def test_bad_input(capsys, place, arguments, message):
    before = left_behind(place)
    code, error = run(capsys, *[word.replace("{}", str(place)) for word in arguments.split()])
    assert code == 2
    assert message in error and "Traceback" not in error
    assert left_behind(place) == before
    assert left_behind(place / "taken") == ["mine.txt"] and left_behind(place / "empty") == []


SMALL = "--set data.size=64 --set network.rpn.train_post_nms=64 --set network.rpn.test_post_nms=20"


@pytest.mark.slow
def test_training_that_diverges_exits_with_three(capsys, place):
    wild = "--set train.learning_rate=1e12 --set train.optimizer=sgd --set train.warmup_steps=0"
    train = f"train --config demo-ct --data {place}/data --out {place}/new --steps 20 {wild} {SMALL}"
    code, error = run(capsys, *train.split())
    assert code == 3 and "not finite; nothing was updated" in error


@pytest.mark.slow
def test_train_evaluate_detect_from_the_command_line(capsys, place):
    train = f"train --config demo-ct --data {place}/data --out {place}/new --seed 5 --steps 2 {SMALL}"
    assert run(capsys, *train.split())[0] == 0
    assert main(["evaluate", "--run", str(place / "new"), "--bootstrap", "10"]) == 0
    printed = capsys.readouterr().out
    assert "as printed" in printed and "report.html" in printed
    study = place / "data" / "studies" / "case-0000000003"
    assert main(f"detect {study} --run {place}/new --out {place}/found --explain".split()) == 0
    printed = capsys.readouterr().out
    assert "3 slices" in printed and "figure 4: no relation map: the configuration relates no phases" in printed
    assert "explain/examples.png: 0 hits" in printed and (place / "found" / "explain" / "examples.png").is_file()


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_every_command_explains_itself(capsys, words):
    with pytest.raises(SystemExit) as stop:
        main(list(words) + ["--help"])
    assert stop.value.code == 0
    assert "usage: python -m gluon_liver " + " ".join(words) in capsys.readouterr().out


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_the_scripts_run_from_anywhere(script, tmp_path):
    command = [sys.executable, str(ROOT / script), "--help"]
    done = subprocess.run(command, cwd=str(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "usage: " + script in done.stdout


def test_the_console_script_is_the_command_line(capsys, monkeypatch):
    module, name = re.search(r"gluon-liver = ([\w.]+):(\w+)", (ROOT / "setup.py").read_text(encoding="utf-8")).groups()
    monkeypatch.setattr(sys, "argv", ["gluon-liver", "--help"])
    assert getattr(importlib.import_module(module), name)() == 0
    assert capsys.readouterr().out.startswith("usage: gluon-liver COMMAND")


@pytest.mark.parametrize("error, left", [(TrainingError("diverged"), (3, 5.0)), (InputError("no file"), (2, 0.0))])
def test_the_other_workers_get_time_where_training_failed(monkeypatch, error, left):
    calls = []
    monkeypatch.setattr(doctor, "run", Mock(side_effect=error))
    monkeypatch.setattr(heartbeat, "leave", lambda code, grace: calls.append((code, grace)))
    assert main(["doctor"]) == left[0] and calls == [left]


@pytest.mark.slow
def test_train_flow_prints_the_table_and_takes_its_options(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(flow_training, "HELD_OUT_PAIRS", 1)
    command = f"train-flow --out {tmp_path}/flow {FLOW}".split()
    assert main([*command, "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-3:] == ["zero", "/", "net"] and lines[1].split()[:2] == ["flying", "1"]
    options = json.loads((tmp_path / "flow" / "results.json").read_text())["options"]
    assert [options[name] for name in ("seed", "width", "steps", "matching_steps")] == [3, 0.125, 1, 1]
    code, error = run(capsys, *command)
    assert code == 2 and "exists: choose another folder" in error
