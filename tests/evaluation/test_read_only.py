"""Data and runs that are read-only: a cache for images, another folder for results, and errors that name both."""

import ctypes
import errno
import json
import os
import shutil
import subprocess

import pytest

from gluon_liver.commands import main
from gluon_liver.data import windowed_images
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.windowed_images import prepare_images, use_cache
from gluon_liver.errors import DatasetError, InputError, RunError
from gluon_liver.evaluation.run_folder import evaluate, evaluation_folder
from gluon_liver.evaluation.task import ScoreSettings
from tests.conftest import write_dataset
from tests.in_turn import in_turn

OTHER_USER = 65534  # nobody's number
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1  # linux/prctl.h, linux/capability.h
CANNOT = 77


@pytest.fixture(autouse=True)
def no_cache():
    yield
    use_cache(None)


def contents(folder):
    return sorted((path.relative_to(folder).as_posix(), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def read_only_error(*_, **__):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_images_are_kept_in_the_cache_a_folder_for_each_data_set(tiny_data, tmp_path):
    use_cache(tmp_path / "cache")
    ours = CTDataset.open(tiny_data)
    other = CTDataset.open(write_dataset(tmp_path / "other", patients=3, phases=("arterial", "delayed")))
    before = contents(tiny_data)
    folders = [prepare_images(dataset, window="liver") for dataset in (ours, other)]
    assert contents(tiny_data) == before and not (tmp_path / "other" / "images").exists()
    assert [len(list(folder.iterdir())) for folder in folders] == [4, 3]
    assert {folder.parents[1] for folder in folders} == {tmp_path / "cache"} and folders[0].parent != folders[1].parent
    moved = shutil.copytree(tiny_data, tmp_path / "moved")
    assert prepare_images(CTDataset.open(moved), window="liver") == folders[0]


def test_read_only_data_name_the_option(tmp_path, monkeypatch):
    dataset = CTDataset.open(write_dataset(tmp_path / "data"))
    monkeypatch.setattr(windowed_images, "whole_file", read_only_error)
    with pytest.raises(DatasetError, match="Read-only file system; --cache FOLDER"):
        prepare_images(dataset, window="liver")
    use_cache(tmp_path / "cache")
    with pytest.raises(DatasetError, match="Read-only file system; give --cache another folder"):
        prepare_images(dataset, window="liver")


def test_a_read_only_run_names_the_option(tiny_run, monkeypatch):
    monkeypatch.setattr("gluon_liver.evaluation.run_folder.file_lock", read_only_error)
    with pytest.raises(RunError, match="Read-only file system; evaluate --out DIR"), evaluation_folder(tiny_run):
        pass


@pytest.mark.slow
def test_a_run_is_evaluated_elsewhere_and_read_there(tiny_run, tiny_dataset, tmp_path, capsys):
    before, out = contents(tiny_run.folder), tmp_path / "scored"
    for _ in range(2):  # a second time it is replaced
        text, report = evaluate(tiny_run, tiny_dataset, out=out, settings=ScoreSettings(10), progress=False)
        assert report == out / "report.html" and report.is_file()
    assert contents(tiny_run.folder) == before
    environment = json.loads((out / "environment.json").read_text())
    assert (out / environment["data"]).resolve() == tiny_run.data_folder.resolve()
    assert main(["table", str(out)]) == 0 and "scored" in capsys.readouterr().out
    foreign = out / "mine.txt"
    foreign.write_text("mine")
    with pytest.raises(InputError, match="holds 'mine.txt'"):
        evaluate(tiny_run, tiny_dataset, out=out, progress=False)
    with pytest.raises(InputError, match="which no evaluation wrote"):
        evaluate(tiny_run, tiny_dataset, out=tiny_dataset.folder, progress=False)


def unprivileged():
    """Root without the right to write what belongs to others (CAP_DAC_OVERRIDE), from the next exec on."""
    if os.getuid() == 0 and ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
        os._exit(CANNOT)


@pytest.mark.slow
def test_what_may_not_be_written_is_read(tiny_run, tiny_data, tmp_path):
    """Every command that takes a run, by somebody who may write neither it nor the data."""
    data, run = shutil.copytree(tiny_data, tmp_path / "data"), shutil.copytree(tiny_run.folder, tmp_path / "run")
    shutil.rmtree(data / "images", ignore_errors=True)
    for path in [data, run, *data.rglob("*"), *run.rglob("*")]:
        if os.getuid() == 0:
            os.chown(path, OTHER_USER, OTHER_USER)
        path.chmod(0o555 if path.is_dir() else 0o444)
    before, case = (contents(run), contents(data)), next((data / "studies").iterdir())
    scored, cache = ["--run", str(run), "--data", str(data)], ["--cache", "cache"]
    training = ["--config", str(run / "config.yaml"), "--data", str(data), "--out", "trained"]
    refused = [
        (["evaluate", *scored], "evaluate --out DIR"),
        (["evaluate", *scored, "--out", "early"], "--cache FOLDER"),
        (["train", *training], "--cache FOLDER"),
    ]
    taken = [
        ["evaluate", *scored, "--out", "scored", *cache, "--bootstrap", "10"],
        ["table", "scored"],
        ["score", *scored, "--detections", "scored/detections.json", "--bootstrap", "10"],
        ["detect", str(case), "--run", str(run), "--out", "detected", *cache],
        ["export", str(run), "--legacy", "--out", "exported"],
        ["records", *scored, *cache, "--split", "test", "--out", "test.rec"],
        ["train", *training, *cache, "--steps", "1"],
    ]
    commands = [*(words for words, _ in refused), *taken]
    try:
        ended = in_turn(commands, folder=tmp_path, environment=os.environ, preexec_fn=unprivileged)
    except subprocess.CalledProcessError as error:
        if error.returncode == CANNOT:
            pytest.skip("root cannot give up its rights here")
        raise
    for (words, name), one in zip(refused, ended):
        assert one.code == 2 and name in one.err.decode(), (words, one)
    for words, one in zip(taken, ended[len(refused) :]):
        assert one.code == 0, (words, one)
    assert (contents(run), contents(data)) == before
    for path in [data, run, *data.rglob("*"), *run.rglob("*")]:
        path.chmod(0o755)  # for whoever clears up
