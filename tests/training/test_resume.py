"""A run that was interrupted and gone on with is, byte for byte, the run that was not."""

import json
import os
import shutil
import signal

import numpy as np
import pytest

from gluon_liver.config.load import Choice
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import ConfigError, DatasetError, RunError, TrainingError
from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from gluon_liver.runs.log import read_log
from gluon_liver.runs.run import Run
from gluon_liver.system.command_line import typed_command
from gluon_liver.training import validation
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.signals import StopRequest
from gluon_liver.training.train import train
from gluon_liver.training.trainer import DetectorTrainer
from tests.conftest import write_dataset

from .conftest import parameters, records

pytestmark = pytest.mark.slow

HARD = {"data.augment": {"flip": True, "scale": 0.2, "noise": 5.0}, "network.head.dropout": 0.5}  # 10 steps, 5 an epoch


def same(first, second):
    """Whether two runs ended with the same bytes."""
    first, second = parameters(first), parameters(second)
    return set(first) == set(second) and all(first[name].tobytes() == second[name].tobytes() for name in first)


def checkpoints(run):
    """Steps of a run's checkpoints."""
    return sorted(int(path.name[len("step-") :]) for path in run.checkpoints.iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_data):
    """Uninterrupted runs by configuration."""
    runs = {}

    def make(config):
        key = json.dumps(config.to_dict(), sort_keys=True)
        if key not in runs:
            out = tmp_path_factory.mktemp("whole") / "run"
            runs[key] = train(config, CTDataset.open(str(tiny_data)), out, progress=False)
        return runs[key]

    return make


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("stop", [1, 3, 5, 7, 10])  # mid-epoch, at an epoch's end, at the end of all
def test_interrupted_anywhere_it_ends_at_the_same_bytes(train_tiny, stop_after, whole, optimizer, stop):
    changes = {**HARD, "train.optimizer": optimizer, "train.warmup_steps": 4, "train.decay_epochs": [1]}
    stop_after(stop)
    run = train_tiny(changes, resume="auto")  # there is nothing to resume
    assert run.progress() == (stop, 10, stop == 10)
    run, reference = train_tiny(changes, resume="auto"), whole(run.config)
    assert same(run, reference) and run.progress() == (10, 10, True)
    logs = [read_log(one.folder / "log.jsonl") for one in (run, reference)]
    logged, expected = ([r["losses"] for r in log if r["event"] == "step"] for log in logs)
    assert logged == expected
    assert same(train_tiny(changes, resume="auto"), reference)  # finished: nothing happens


def test_from_one_device_to_four(train_tiny, stop_after, whole):
    changes = {**HARD, "train.optimizer": "sgd", "network.batch_norm": "frozen", "train.batch_size": 4}
    changes["train.epochs"] = 3
    stop_after(4)
    expected = parameters(whole(train_tiny(changes).config))
    run = train_tiny({**changes, "parallel.devices": "cpu:4"}, resume="auto")
    assert records(run)[-1]["event"] == "end" and "parallel.devices" in str(records(run))
    moved = parameters(run)
    assert max(np.abs(value - moved[name]).max() for name, value in expected.items()) <= 1e-6


def test_the_best_epoch_is_remembered(train_tiny, stop_after, monkeypatch):
    scores = iter([0.5, 0.2, 0.5, 0.2, 0.1, 0.1])
    monkeypatch.setattr(validation, "detect_labelled", lambda *args, **options: [])
    monkeypatch.setattr(
        validation, "coco_average_precision", lambda *args: {"ap": {"mean": next(scores)}, "ap50": {"mean": 0.6}}
    )
    changes = {"train.best_epoch": True, "train.epochs": 4, "train.keep_checkpoints": 1}
    stop_after(12)  # epochs end after steps 5, 10, 15 and 20
    run = train_tiny(changes)
    assert checkpoints(run) == [5, 12]
    # the checkpoint of the stop is lost: the one before it is the best one, of the first epoch
    (run.checkpoints / "step-00000012" / "net.params").write_bytes(b"")
    run = train_tiny(changes, resume="auto")
    chosen = json.loads((run.folder / "best.json").read_text())
    assert chosen["step"] == 5 and chosen["map"] == 0.5
    assert checkpoints(run) == [5, 20]  # a damaged one is no reason to remove a good one, and goes itself


def test_a_damaged_checkpoint_is_named_and_passed_over(train_tiny, capfd, whole):
    run = train_tiny(HARD, steps=5)
    train_tiny(HARD, steps=7, resume="auto")
    newest = newest_checkpoint(run.checkpoints)
    content = bytearray((newest / "optimizer.params").read_bytes())
    content[-3] ^= 16
    (newest / "optimizer.params").write_bytes(bytes(content))
    run = train_tiny(HARD, resume="auto")
    assert "passed over: step-00000007: optimizer.params" in capfd.readouterr().err
    assert [r["step"] for r in records(run, "resume")] == [5, 5]
    assert same(run, whole(run.config))
    for path in run.checkpoints.iterdir():
        (path / "manifest.json").unlink()
    with pytest.raises(RunError, match="no checkpoint is intact: step-00000010: "):
        train_tiny(HARD, resume="auto")


def test_a_changed_rate_takes_effect_and_is_logged(train_tiny, make_config):
    train_tiny(steps=4)
    slower = {"train.learning_rate": 0.0001}
    run = train_tiny(slower, resume="auto")
    assert records(run, "resume")[0]["changed"] == {"train.learning_rate": [0.0005, 0.0001]}
    rates = [r["learning_rate"] for r in records(run, "step")]
    assert np.allclose(rates, [0.001] * 4 + [0.0002] * 6)
    assert Run.open(run.folder).config == make_config(**slower)


@pytest.mark.parametrize(
    "start, change",
    [
        ({}, {"network.width": 0.25}),
        ({}, {"train.optimizer": "sgd"}),
        ({}, {"train.seed": 1}),
        ({}, {"train.batch_size": 4}),
        ({}, {"data.size": 96}),
        # the optimiser's state may not come or go
        ({"train.optimizer": "sgd", "train.momentum": 0.9}, {"train.momentum": 0.0}),
        ({"train.optimizer": "sgd", "train.momentum": 0.0}, {"train.momentum": 0.9}),
    ],
)
def test_changes_that_a_run_does_not_survive(train_tiny, start, change):
    run = train_tiny(start, steps=2)
    before, (key,) = (run.folder / "log.jsonl").read_bytes(), change
    with pytest.raises(ConfigError, match=f"--resume: {key} was {start.get(key, '')}"):
        train_tiny({**start, **change}, resume="auto")
    assert (run.folder / "log.jsonl").read_bytes() == before


def test_other_data_are_refused(train_tiny, tmp_path):
    train_tiny(steps=2)
    other = CTDataset.open(str(write_dataset(tmp_path / "data", patients=5)))
    with pytest.raises(DatasetError, match="differs in training patients"):
        train_tiny(dataset=other, resume="auto")


def test_a_named_checkpoint(train_tiny, tmp_path):
    run = train_tiny()
    for choice in ("step-00000005", str(run.checkpoints / "step-00000005")):
        train_tiny(resume=choice, steps=6)
        assert [r["step"] for r in records(run, "resume")][-1] == 5
    for choice, message in (("step-00000009", "neither a folder"), (str(tmp_path), "not a checkpoint of")):
        with pytest.raises(RunError, match=message):
            train_tiny(resume=choice)


def test_a_run_that_died_before_its_first_checkpoint_starts_again(train_tiny, tiny_dataset, make_config, tmp_path):
    run = Run.create(tmp_path / "run", make_config(), dataset=tiny_dataset)
    run.log("start", step=0, epoch=0, steps=10)
    run = train_tiny(resume="auto", steps=2)
    assert [record["event"] for record in records(run)] == ["start", "step", "step", "checkpoint", "end"]


def test_two_at_once(train_tiny, monkeypatch):
    run = train_tiny(steps=2)
    step = DetectorTrainer.step

    def second(self, batch, *, learning_rate):
        monkeypatch.setattr(DetectorTrainer, "step", step)
        with pytest.raises(RunError, match=f"is in use by process {os.getpid()}"):
            train_tiny(resume="auto")
        return step(self, batch, learning_rate=learning_rate)

    monkeypatch.setattr(DetectorTrainer, "step", second)
    train_tiny(resume="auto")
    assert run.progress() == (10, 10, True)


def test_what_broke_a_step_is_kept(train_tiny, tmp_path, monkeypatch):
    stream = TrainingInputs.stream

    def poisoned(self, batches, *, epoch, **options):
        for batch in stream(self, batches, epoch=epoch, **options):
            if epoch == 1:
                batch.images[0, 0, 0, 0, 3, 4] = np.nan
            yield batch

    monkeypatch.setattr(TrainingInputs, "stream", poisoned)
    with pytest.raises(TrainingError, match=r"step 6: .* not finite.*failed-step-00000006-rank-0.npz"):
        train_tiny()
    with np.load(str(tmp_path / "run" / "failed-step-00000006-rank-0.npz")) as kept:
        assert np.isnan(kept["images"]).sum() == 1 and kept["labels"][0].startswith("case-")
        assert kept["gt_boxes"].shape == (2, 4, 4)
    monkeypatch.setattr(TrainingInputs, "stream", stream)
    assert train_tiny(resume="auto").progress() == (10, 10, True)


def test_the_second_signal_ends_the_process(monkeypatch):
    killed, before = [], signal.getsignal(signal.SIGINT)  # ignored in a shell's background job
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.name == "SIGINT"
        now[0] += 0.5
        os.kill(os.getpid(), signal.SIGINT)  # the launcher passes on what the terminal sent already
        now[0] += 5
        monkeypatch.setattr("os.kill", lambda pid, number: killed.append(number))
        signal.raise_signal(signal.SIGTERM)
        assert killed == [signal.SIGTERM] and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == before


def test_an_earlier_checkpoint_leaves_the_later_ones_behind(train_tiny):
    options = {"train.checkpoint_steps": 2, "train.checkpoint_every": 100, "train.keep_checkpoints": 2}
    run = train_tiny(options, steps=8)
    assert checkpoints(run) == [6, 8]
    train_tiny({**options, "train.learning_rate": 0.0001}, resume="step-00000006", steps=7)
    assert checkpoints(run) == [6, 7]


def test_a_last_record_that_was_cut_off(train_tiny):
    run = train_tiny(steps=5)
    with open(str(run.folder / "log.jsonl"), "a") as stream:
        stream.write('{"event": "step", "ste')
    assert train_tiny(resume="auto").progress() == (10, 10, True)


def test_what_ended_a_run_before_its_first_checkpoint_is_not_thrown_away(train_tiny, tmp_path):
    changes = {"train.learning_rate": 1e30, "train.optimizer": "sgd"}
    with pytest.raises(TrainingError, match="failed-step-"):
        train_tiny(changes)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    with pytest.raises(RunError, match="holds failed-step-.* a run that ended before its first checkpoint"):
        train_tiny(changes, resume="auto")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


def test_a_start_that_was_killed_between_its_first_files(train_tiny, tiny_dataset, make_config, tmp_path):
    run = Run.create(tmp_path / "run", make_config(), dataset=tiny_dataset)
    (run.folder / "config.yaml").rename(run.folder / "config.yaml.partial")
    assert train_tiny(resume="auto", steps=1).progress()[0] == 1


def test_the_refused_one_of_two_starts_takes_nothing_away(train_tiny, tmp_path, monkeypatch):
    """The second finds an empty folder, and the first begins before the second has it."""
    check = Run.check_new

    def late(folder, *, dataset):
        monkeypatch.setattr(Run, "check_new", staticmethod(check))
        check(folder, dataset=dataset)
        train_tiny(steps=2)

    monkeypatch.setattr(Run, "check_new", staticmethod(late))
    with pytest.raises(RunError, match="is not an empty folder"):
        train_tiny(steps=2)
    assert Run.open(tmp_path / "run").progress() == (2, 2, True)


def test_changed_labels_of_the_training_patients_are_refused_and_then_logged(train_tiny, tiny_data, tmp_path):
    data = tmp_path / "copy"
    shutil.copytree(str(tiny_data), str(data))
    run = train_tiny(dataset=CTDataset.open(str(data)), steps=2)
    assert run.environment["digests"]["training_labels"] and run.environment["digests"]["volumes"] is None
    labels = json.loads((data / "labels.json").read_text())
    labels["annotations"][0]["bbox"][2] -= 2
    (data / "labels.json").write_text(json.dumps(labels))
    changed = CTDataset.open(str(data))
    with pytest.raises(DatasetError, match="labels of the training patients are not what .* go on with --changed-data"):
        train_tiny(dataset=changed, steps=3, resume="auto")
    run = train_tiny(dataset=changed, steps=3, resume="auto", changed_data=True)
    logged = [record["data_changed"] for record in records(run) if record["event"] == "resume"][-1]
    assert set(logged) == {"labels", "training_labels"} and logged["training_labels"][0] != logged["training_labels"][1]
    train_tiny(dataset=changed, steps=4, resume="auto")  # it was accepted
    data.rename(tmp_path / "moved")
    run = train_tiny(dataset=CTDataset.open(str(tmp_path / "moved")), steps=5, resume="auto")
    assert Run.open(run.folder).data_folder == (tmp_path / "moved").resolve()


def test_a_run_of_an_older_version_goes_on(train_tiny, capsys):
    run = train_tiny(steps=2)
    environment = json.loads((run.folder / "environment.json").read_text())
    del environment["digests"]
    (run.folder / "environment.json").write_text(json.dumps(environment))
    for steps, said in ((3, True), (4, False)):
        run = train_tiny(steps=steps, resume="auto")
        assert ("whether labels or volumes have changed since is not known" in capsys.readouterr().err) == said
        assert json.loads((run.folder / "environment.json").read_text())["digests"]["training_labels"]


def test_a_run_and_each_part_of_it_say_which_command_made_them(train_tiny, stop_after):
    first, second = Choice(["r50", "mine.yaml"], ["train.epochs=2"]), Choice(["r50"], ["train.epochs=3"])
    stop_after(2)
    with typed_command(["train.py", "--config", "r50"]):
        run = train_tiny(chosen=first)
    with typed_command(["train.py", "--resume", "auto"]):
        train_tiny({"train.epochs": 3}, resume="auto", chosen=second)
    environment = Run.open(run.folder).environment
    assert environment["command"] == ["train.py", "--config", "r50"] and environment["version"]
    assert environment["configuration"] == {"names": ["r50", "mine.yaml"], "set": ["train.epochs=2"]}
    (part,) = records(run, "resume")
    assert part["environment"]["command"] == ["train.py", "--resume", "auto"]
    assert part["environment"]["configuration"] == {"names": ["r50"], "set": ["train.epochs=3"]}
