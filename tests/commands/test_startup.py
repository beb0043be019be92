"""What a command imports before it answers: seconds of imports are for work, not for --help or a wrong path."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_liver.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = "cv2 gluoncv jinja2 matplotlib mxnet PIL pydicom scipy tqdm"
# runs each command line in one process and stops at the first that leaves a library behind which it must not need
CHILD = """
import contextlib, io, json, sys
import gluon_liver
unwanted, lines = json.loads(sys.argv[1])
assert not set(unwanted) & set(sys.modules), "import gluon_liver"
from gluon_liver.commands import main
for line in lines:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main(line.split())
        except SystemExit as stop:
            code = stop.code
    print(code, *sorted(set(unwanted) & set(sys.modules)), "|", line, "|", said.getvalue().strip().replace("\\n", " "))
    if set(unwanted) & set(sys.modules):
        break
"""


def answers(unwanted, lines):
    """(code and unwanted libraries, command line, what it said) of each."""
    child = [sys.executable, "-c", CHILD, json.dumps([unwanted.split(), lines])]
    done = subprocess.run(child, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split(" | ", 2) for line in done.stdout.splitlines()]


def test_help_needs_no_library_but_yaml():
    lines = ["--help", *(" ".join([*words, "--help"]) for words in COMMANDS)]
    found = answers(f"{HEAVY} numpy importlib.metadata gluon_liver.nn", lines)
    assert [(code, line) for code, line, _ in found] == [("0", line) for line in lines]


# {} is an empty folder, {}/none is not there and {}/taken is in the way
REFUSED = [
    ("train --config nope --data {}/none --out {}/new", "no configuration 'nope'"),
    ("train --config r50 --set train.epoch=3 --data {} --out {}/new", "unknown key 'train.epoch'"),
    ("train --config r50 --data {}/none --out {}/new", "no such data folder"),
    ("train --config r50 --data {} --out {}/new", "no dataset.json"),
    ("evaluate --run {}/none", "no run folder"),
    ("evaluate --run {}", "no config.yaml"),
    ("score --run {}/none --detections {}/taken", "no run folder"),
    ("score --run {} --detections {}/none", "none: there is no such file"),
    ("records --run {}/none --split test --out {}/new.rec", "no run folder"),
    ("records --run {} --split test --out {}/taken", "exists: choose another name"),
    ("detect {}/none --run {} --out {}/new", "none: there is no such file or folder"),
    ("detect {} --run {}/none --out {}/../new", "no run folder"),
    ("detect {} --run {} --out {}/new --phases {}/none", "none: there is no such file"),
    ("watch {}/none --run {}/none --out {}/new.mp4", "no run folder"),
    ("import ct {}/none --out {}/new", "none: there is no such folder"),
    ("import ct {} --out {}/taken", "lies inside the folder that is read"),
    ("import ct {} --out {}/new --labels {}/none --phases {}/taken", "none: there is no such file"),
    ("import us {}/none --labels {}/taken --out {}/new", "none: there is no such file or folder"),
    ("import us {} --labels {}/none {} --out {}/new", "none: there is no such file or folder"),
    ("look {}/none", "none: there is no such folder"),
    ("look {}/empty/.. --out {}/taken", "lies inside the folder that is read"),
    ("doctor --data {}/none", "no such data folder"),
    ("convert-flow {}/none --out {}/new", "none: there is no such file"),
    ("convert-flow {}/taken --out {}/taken", "exists; choose another name"),
    ("train-flow --out {}/taken", "exists: choose another folder"),
    ("train-flow --out {}/new --phantoms {}/none", "none: there is no such file or folder"),
    ("memory nope", "no configuration 'nope'"),
    ("export {}/none --legacy --out {}/new", "no run folder"),
    ("export {}/none --onnx --out {}/new", "no run folder"),
    ("import-legacy {}/none --data {}/none --out {}/new", "no such data folder"),
    ("phantom ct --out {}/taken", "exists already"),
    ("phantom us --out {}/taken", "exists already"),
    ("table {}/none", "no such run folder"),
    ("train --config on-lits --data {} --out {}/new", "on-lits is laid over an experiment"),
    ("import ct {}/empty --out {}/new", "is empty: there is no file in it"),
    ("import us {}/empty --labels {}/taken --out {}/new", "is empty: there is no file in it"),
    ("look {}/empty", "is empty: there is no file in it"),
    ("data view {}/empty --out {}/new.html", "is empty: there is no file in it"),
    ("train-flow --out {}/new --phantoms {}/empty", "is no folder of `phantom us`"),
    ("train-flow --out {}/new --device tpu", "--device 'tpu': expected cpu or gpu:N"),
    ("evaluate --run {} --lesion-hit near", "a hit of lesions cannot be 'near'"),
    ("evaluate --run {} --lesion-bins 5 3", "--lesion-bins are 5, 3: numbers above 0 that rise"),
    ("evaluate --run {} --bootstrap 0", "--bootstrap 0: it must be 1 or more"),
    ("evaluate --compare {}", "--compare takes two runs, found 1 run"),
    ("score --run {} --detections {}/taken --froc-rates -1", "--froc-rates are -1"),
    ("records --run {} --split test --out {}/new.txt", "ends in .rec"),
    ("config show nope", "no configuration 'nope'"),
    ("memory r50 --phases 9", "--phases 9"),
    ("train --config r50 --devices gpu:99 --data {}/none --out {}/new", "--devices gpu:99: this machine shows"),
    ("train --config r50 --devices gpu:0,0 --data {}/none --out {}/new", "with each GPU once"),
    ("train --config r50 --amp --data {}/none --out {}/new", "--amp needs GPUs"),
    ("train --config r50 --kvstore dist_sync --data {}/none --out {}/new", "gluon_liver launch"),
    ("train-flow --out {}/new --device gpu:99", "--device gpu:99: this machine shows"),
    ("reproduce --paper ct --size tiny --device cpu,gpu:0 --out {}/new", "--device 'cpu,gpu:0'"),
    ("train-flow --out {}/new --size 33", "size is 33; it must be a multiple of 32"),
    ("train-flow --out {}/new --width 2", "width is 2.0; it must be above 0 and at most 1"),
    ("convert-flow {}/taken --out {}/new", "taken cannot be read as weights"),
    ("convert-flow {}/wrong.caffemodel --out {}/new", "cannot be read as a Caffe model"),
    ("convert-flow {}/empty --out {}/new", "empty is a folder: give the file of weights"),
]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "taken").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.caffemodel").write_text("wrong", encoding="utf-8")
    return tmp_path


def test_a_refused_path_needs_numpy_at_most(place):
    lines = [line.replace("{}", str(place)) for line, _ in REFUSED]
    found = answers(HEAVY, lines)
    assert [(code, line) for code, line, _ in found] == [("2", line) for line in lines]
    assert [said for said, (_, wanted) in zip(found, REFUSED) if wanted not in said[2]] == []
    assert sorted(path.name for path in place.iterdir()) == ["empty", "taken", "wrong.caffemodel"]


def test_runs_that_were_not_scored_are_refused_before_scipy(place):
    ((code, _, said),) = answers("cv2 mxnet scipy pydicom", [f"evaluate --compare {place} {place}/none"])
    assert code == "2" and "results.json" in said


def test_weights_and_a_taken_run_folder_are_refused_before_mxnet(tiny_data, place):
    train = f"train --config demo-ct --data {tiny_data}"
    lines = [
        f"{train} --out {place}/new --pretrained {place}/none",
        f"{train} --out {place}/new --flow {place}/none",
        f"{train} --out {place}/taken",
        f"train --config demo-us-flow --data {tiny_data} --out {place}/new",
        f"{train} --out {place}/new --flow {place}/taken",
        f"{train} --out {place}/new --resume {place}/none",
        f"{train} --out {place}/new --pretrained {place}/empty",
        f"{train} --out {place}/new --pretrained zoo:nope",
        f"{train} --out {place}/new --pretrained zoo:demo-flow",
        f"{train} --out {place}/new --pretrained {place}/text.params",
        f"{train} --out {place}/new --pretrained {place}/cut.params",
        f"{train} --out {place}/new --pretrained {place}/text.params --pretrained-hu 1 0",
        f"import-legacy {place}/none --data {tiny_data} --out {place}/new",
        f"import-legacy {place}/none --config demo-ct --data {tiny_data} --out {place}/new",
        f"import-legacy {place}/net --data {tiny_data} --out {place}/new",
        f"import-legacy {place}/net --config demo-us-flow --data {tiny_data} --out {place}/new",
        f"import-legacy {place}/net --config demo-ct --data {tiny_data} --out {place}/taken",
    ]
    (place / "net-0000.params").touch()
    (place / "text.params").write_text("no weights", encoding="utf-8")
    (place / "cut.params").write_bytes(b"\x12\x01" + bytes(14) + b"\x05")  # what MXNet's begin with
    found = answers(HEAVY, lines)
    assert [code for code, _, _ in found] == ["2"] * len(lines)
    wanted = ["none: no such file of weights, and no run", "none: no such file of weights", "not an empty folder"]
    wanted += ["holds CT data, the model us-flow takes ultrasound", "--flow is for the model us-flow", "no run folder"]
    wanted += [
        "empty is not a run folder: it has no config.yaml",
        "the zoo has no net 'nope'",
        "zoo:demo-flow was not made",
    ]
    wanted += ["which none of MXNet .params", "its 17 bytes end inside a header", "the first below the second"]
    wanted += ["none-0000.params is not there"] * 2 + ["say with --config what the checkpoint's network is"]
    wanted += ["holds CT data, the model us-flow takes ultrasound", "not an empty folder"]
    assert [words for words, (_, _, said) in zip(wanted, found) if words not in said] == []


def test_a_run_that_cannot_be_gone_on_with_is_refused_before_mxnet(tiny_run, tiny_data, place):
    run, config = place / "run", tiny_run.folder / "config.yaml"
    shutil.copytree(str(tiny_run.folder), str(run))
    name = max(path.name for path in (run / "checkpoints").iterdir())
    shutil.copytree(str(run), str(place / "damaged"))
    for checkpoint in (place / "damaged" / "checkpoints").iterdir():
        (checkpoint / "net.params").write_bytes(b"")
    shutil.copytree(str(run), str(place / "without"))
    shutil.rmtree(str(place / "without" / "checkpoints"))
    (place / "without" / "batch.npz").touch()
    train = f"train --config {config} --data {tiny_data}"
    lines = [
        f"{train} --out {run} --resume step-1",
        f"{train} --out {run} --resume auto --set train.batch_size=3",
        f"{train} --out {place}/damaged --resume auto",
        f"{train} --out {place}/damaged --resume {name}",
        f"{train} --out {place}/without --resume {name}",
        f"{train} --out {place}/without --resume auto",
        f"{train} --out {place}/new --pretrained {place}/without",
        f"detect {tiny_data}/studies/case-0000000003 --run {place}/without --out {place}/new",
        f"evaluate --run {place}/without --data {tiny_data} --out {place}/new",
        f"export {place}/without --onnx --out {place}/new",
    ]
    found = answers(HEAVY, lines)
    assert [code for code, _, _ in found] == ["2"] * len(lines)
    wanted = [f"neither a folder nor a checkpoint of {run}; it has {name}, step-", "train.batch_size was"]
    wanted += [
        "no checkpoint is intact",
        "net.params is damaged",
        "it has none: start anew",
        "holds batch.npz and a run",
    ]
    wanted += ["the run was not trained to its first checkpoint"] * 4
    assert [words for words, (_, _, said) in zip(wanted, found) if words not in said] == []


def test_what_a_run_cannot_be_used_for_is_refused_before_mxnet(tiny_run, tiny_data, place):
    run = tiny_run.folder
    (place / "object.json").write_text('{"annotations": []}', encoding="utf-8")
    entry = '[{"image_id": 1, "category_id": "cyst", "bbox": [0, 0, 1, 1], "score": 1}]'
    (place / "texts.json").write_text(entry, encoding="utf-8")
    lines = [
        f"detect {tiny_data}/studies/case-0000000003 --run {run} --out {place}/taken",
        f"export {run} --legacy --out {place}/taken",
        f"watch {place}/none --run {run} --out {place}/taken",
        f"evaluate --run {run} --data {place}/none",
        f"evaluate --run {run} --split val",
        f"records --run {run} --split val --out {place}/new.rec",
        f"detect {place}/taken --run {run} --out {place}/new",
        f"detect {place}/empty --run {run} --out {place}/new",
        f"detect {tiny_data} --run {run} --out {place}/new",
        f"detect {tiny_data}/studies/case-0000000003 --run {run} --out {place}/new --phases {place}/taken",
        f"detect {tiny_data}/studies/case-0000000003 --run {run} --out {place}/new --device tpu",
        f"detect {tiny_data}/studies/case-0000000003 --run {run} --out {place}/new --device gpu:99",
        f"detect {tiny_data}/studies/case-0000000003 --run {run} --out {place}/new --dense",
        f"evaluate --run {run} --dense",
        f"evaluate --run {run} --out {tiny_data}/new",
        f"records --run {run} --split test --out {tiny_data}/studies/new.rec",
        f"records --config demo-ct --data {tiny_data} --split test --out {tiny_data}/new.rec",
        f"evaluate --run {run} --tensorboard {tiny_data}/new",
        f"train --config demo-ct --data {tiny_data} --out {place}/new --tensorboard {tiny_data}/new",
        f"export {run} --onnx --precision int8 --data {tiny_data} --out {tiny_data}/new",
        f"data view {tiny_data}/studies/case-0000000003 --out {tiny_data}/new.html",
        f"data check {tiny_data} --json {tiny_data}/new.json",
        f"watch {place} --run {run} --out {place}/new.mp4",
        f"detect {tiny_data}/studies/case-0000000003 --run {run} --dicom {place} --out {place}/new",
        f"evaluate --run {run} --out {place}",
        f"evaluate --run {run} --out {place}/taken",
        f"watch 0 --run {run} --out {place}/new",
        f"export {run} --safetensors --out {place}/new.txt",
        f"score --run {run} --detections {place}/taken",
        f"score --run {run} --detections {place}/object.json",
        f"score --run {run} --detections {place}/texts.json",
    ]
    found = answers(HEAVY, lines)
    assert [code for code, _, _ in found] == ["2"] * len(lines)
    wanted = ["exists: choose another folder"] * 2 + ["exists: choose another name", "no such data folder"]
    wanted += ["no labelled slice in the val split", "no labelled slice in the val split", "is a file", "is empty"]
    wanted += ["give one of its studies", "prepared data have their phases already", "--device 'tpu'"]
    wanted += ["--device gpu:99: this machine shows"] + ["dense reading is for networks of 9 slices"] * 2
    wanted += ["lies inside the folder that is read"] * 10
    wanted += ["which no evaluation wrote", "exists and is no folder", "is a CT run: watch takes"]
    wanted += ["ends in .safetensors", "taken cannot be read: it is empty", "holds no COCO results: a list of them"]
    wanted += ["category_id is a text in 1 of 1 entries"]
    assert [words for words, (_, _, said) in zip(wanted, found) if words not in said] == []


def test_what_is_written_into_a_linked_folder_of_what_is_read_is_refused(tmp_path):
    """Folders that links name are read too."""
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "one").write_bytes(b"x")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "two").write_bytes(b"x")
    (tmp_path / "scans" / "link").symlink_to(tmp_path / "else")
    lines = [
        f"import ct {tmp_path}/scans --out {tmp_path}/scans/link/data",
        f"look {tmp_path}/scans --out {tmp_path}/scans/link/../link/look",
        f"look {tmp_path}/scans/link --out {tmp_path}/else/look",
    ]
    for code, _, said in answers(HEAVY, lines):
        assert code == "2" and "lies inside the folder that is read" in said
