import json
import os
import signal
import time

import pytest

from experiments import archive
from experiments.records import ABSOLUTE


def wait_for(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.02)


def processes_of(folder):
    """Numbers of processes whose command names the folder."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as stream:
                if str(folder).encode() in stream.read():
                    found.append(int(name))
        except OSError:
            pass
    return found


def test_a_killed_study_goes_on_and_repeats_nothing(study):
    process = study.start("--jobs", "2", FAKE_STEP="0.05")
    wait_for(lambda: len(study.records()) >= 2 and 0 < max(study.steps(), default=0) < 6)
    process.kill()
    process.communicate(timeout=20)
    wait_for(lambda: not processes_of(study.work), seconds=5)  # the kernel ended what ran
    there = {path: path.read_bytes() for path in study.records()}
    said = study.run("--jobs", "2")
    assert f"{len(there)} of 8 runs are there" in said
    assert len(study.records()) == 8 and all(path.read_bytes() == before for path, before in there.items())
    begun = [line.split()[1:] for line in study.calls("train ")]
    steps = {}
    for run, seed, step in begun:
        steps.setdefault((run, seed), []).append(int(step))
    assert len(steps) == 8 and all(tried == sorted(tried) and len(tried) <= 2 for tried in steps.values())
    # of the two that ran when it was killed one had begun its steps, and went on from there
    assert any(tried[-1] > 0 for tried in steps.values())
    assert len(study.calls("evaluate")) == 8 and len(study.calls("train-flow")) == 1
    assert study.run("--jobs", "2").count("0 to make") == 1 and len(study.calls("evaluate")) == 8


def test_a_signal_stops_after_checkpoints_with_code_75(study):
    process = study.start("--jobs", "2", FAKE_STEP="0.05")
    wait_for(lambda: max(study.steps(), default=0))
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 75 and "stopped by signal 15" in said and "8 runs are left" in said
    assert not (study.work / "failed").exists() and not processes_of(study.work)
    study.run()
    assert any(int(line.split()[3]) > 0 for line in study.calls("train "))


def test_every_arm_has_its_first_seed_before_a_second_one(study):
    study.run()
    assert [line.split()[2] for line in study.calls("train ")] == ["1"] * 4 + ["2"] * 4


def test_data_are_made_once_and_bulk_is_removed(study):
    study.run("--jobs", "4")
    # two conditions: the test patients of each once, the training patients of each seed
    assert len(study.calls("import us")) == len(study.calls("phantom us")) - 1 == 6
    kept = [path.name for path in (study.work / "data").iterdir()]
    assert len(kept) == 1 and kept[0].startswith("flow-")
    assert not list((study.work / "runs").rglob("seed-*"))


def test_a_record_holds_values_counts_and_a_thin_log_and_no_path(study):
    study.run("--only", "tiny/on/new/2")
    (path,) = study.records()
    record = json.loads(path.read_text())
    assert record["results"]["sensitivity.tumor.mean"] == pytest.approx(0.724)
    assert record["results"]["images"] == 2 and "settings.sd" not in record["results"]
    assert record["counts"] == {"scenes": ["a", "b"], "tumor": {"n": [1000, 0], "found": [724, 0]}}
    assert len(record["log"]) == 20 and record["log"][-1] == {"step": 100, "total": 0.01} and record["steps"] == 100
    assert set(record["seconds"]) == {"train", "evaluate", "cpu"} and record["revision"] == "abc"
    assert not ABSOLUTE.search(path.read_text()) and ABSOLUTE.search("in /tmp/x/y.json")
    assert path.stat().st_size < 5000


def test_a_failing_run_is_said_tried_twice_and_left_out(study):
    said = study.run("--jobs", "2", code=1, FAKE_FAILS="off/new")
    assert said.count("FAILED tiny/off/new/1 (train, code 3)") == 2 and "weights.params" in said
    failure = json.loads((study.work / "failed/tiny/off/new/seed-1.json").read_text())
    assert (
        failure["attempts"] == 2
        and not ABSOLUTE.search(failure["said"])
        and "no such file weights.params" in failure["said"]
    )
    assert len(study.records()) == 6
    assert "2 failed 2 times and are left out" in study.run("--dry-run", code=1, FAKE_FAILS="off/new")
    assert "2 to make" in study.run("--retry-failed", "--jobs", "2")
    assert len(study.records()) == 8 and not list((study.work / "failed").rglob("*.json"))


def test_a_run_that_fails_again_is_no_further_task(study):
    """The last three failures are of two runs: what broke is the arm, and neither the machine nor the code."""
    said = study.run(code=1, FAKE_FAILS="off/old")
    assert said.count("FAILED") == 4 and "one after the other" not in said


def test_where_everything_fails_it_stops_soon(study):
    said = study.run(code=1, FAKE_FAILS="runs")
    assert "3 tasks failed one after the other" in said and said.count("FAILED") == 3


def test_two_runs_that_fail_twice_each_are_no_four_in_a_row(study):
    said = study.run("--only", "tiny/off/new", code=1, FAKE_FAILS="off/new")
    assert said.count("FAILED") == 4 and "one after the other" not in said


def test_a_second_try_begins_anew_and_one_that_works_is_no_failure(study):
    folder = study.work / "runs/tiny/on/old"
    process = study.start("--only", "tiny/on/old/1", FAKE_STEP="0.1")
    wait_for(lambda: study.steps() and study.steps()[0] > 1)
    process.kill()
    process.communicate(timeout=20)
    next(folder.rglob("step")).write_text("damaged")
    said = study.run("--only", "tiny/on/old/1")
    assert said.count("FAILED") == 1 and len(study.records()) == 1


def test_a_full_disk_stops_it_with_a_message(study, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("experiments.runner._add_seconds", full)
        said = study.run("--jobs", "2", code=2)
    assert "No space left on device; what is finished is kept" in said and not processes_of(study.work)
    assert "0 of 8 runs are there" in study.run("--jobs", "2") and len(study.records()) == 8


def test_another_setting_is_made_anew_and_another_text_is_not(study, tree):
    study.run("--only", "tiny/on")
    tree["arms"]["old"]["text"] = "other words"
    study.write(tree)
    assert "0 to make" in study.run("--only", "tiny/on")
    tree["arms"]["old"]["set"] = ["train.epochs=2"]
    study.write(tree)
    assert "2 finished run(s) are of another setting" in study.run("--only", "tiny/on")
    assert len(study.calls("evaluate")) == 6


def test_dry_run_says_what_is_left_by_what_runs_took(study, tree):
    tree["arms"]["new"]["seconds"] = 3600
    study.write(tree)
    said = study.run("--dry-run", "--jobs", "2")
    assert "0 of 8 runs are there, 8 to make" in said and "4.1 hours of one thread, with 2 jobs 2.0" in said
    assert not study.work.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "tiny/no"], "no run is called so"),
        (["--jobs", "0"], "1 or more"),
        (["other"], "the claims are tiny"),
    ],
)
def test_wrong_options_are_refused(study, words, said):
    assert said in study.run(*words, code=2)


def test_two_runners_do_not_share_a_folder(study):
    process = study.start(FAKE_STEP="0.1")
    wait_for(lambda: study.calls("train "))
    assert "is in use by process" in study.run(code=2)
    process.terminate()
    process.communicate(timeout=20)


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"set": ["network.widht=0.1"]}, "tiny/on/old/1: unknown key 'network.widht'"),
        ({"config": "demo-ct"}, "tiny/on/old/1: demo-ct is of ct, its data of us"),
    ],
)
def test_a_configuration_that_cannot_be_is_told_before_any_run(study, tree, arm, said):
    tree["arms"]["old"].update(arm)
    study.write(tree)
    assert said in study.run(code=2) and not study.calls()


@pytest.mark.parametrize(
    ("options", "said"),
    [({"sise": 64}, "tiny/off/new/1: phantoms: "), ({"size": 63}, "size is 63; it must be a multiple of 8")],
)
def test_phantoms_that_cannot_be_are_told_before_any_run(study, tree, options, said):
    tree["conditions"]["off"]["phantom"] = options
    study.write(tree)
    assert said in study.run(code=2) and not study.calls()


def test_an_old_folder_does_not_undo_a_newer_archive(study, tree):
    study.run("--only", "tiny/on")
    old = {path: path.read_bytes() for path in study.records()}
    tree["set"] = ["train.epochs=2"]
    study.write(tree)
    study.run("--only", "tiny/on")
    assert archive.main(study.folders) == 0
    before = (study.archive / "tiny.jsonl.xz").read_bytes()
    for path, content in old.items():
        path.write_bytes(content)
    assert "0 to make" in study.run("--only", "tiny/on")
    assert archive.main(study.folders) == 0 and (study.archive / "tiny.jsonl.xz").read_bytes() == before


def test_what_is_archived_stays_and_another_record_of_its_setting_is_named(study, capsys):
    study.run("--only", "tiny/on/old")
    assert archive.main(study.folders) == 0
    before = (study.archive / "tiny.jsonl.xz").read_bytes()
    path = study.records()[0]
    path.write_text(path.read_text().replace('"steps":10', '"steps":11').replace('"steps": 10', '"steps": 11'))
    capsys.readouterr()
    assert archive.main(study.folders) == 0 and (study.archive / "tiny.jsonl.xz").read_bytes() == before
    said = capsys.readouterr().out
    assert "1 run(s) of the work folder differ from the archived ones, which stay: tiny/on/old/1" in said


def test_what_is_damaged_can_be_mended_as_the_message_says(study):
    study.run("--only", "tiny/on/old")
    assert archive.main(study.folders) == 0
    kept = study.archive / "tiny.jsonl.xz"
    kept.write_bytes(kept.read_bytes()[:-9])
    assert "or remove it: python -m experiments.archive" in study.run(code=2)
    kept.unlink()
    assert archive.main(study.folders) == 0 and kept.is_file()
    path = study.records()[0]
    path.write_text("{")
    assert "remove the file" in study.run(code=2)
    path.unlink()
    assert "0 to make" in study.run("--only", "tiny/on/old")
