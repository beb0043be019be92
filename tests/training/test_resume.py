"""A run that was interrupted and gone on with is, byte for byte, the run that was not."""

import json
import os
import signal

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import ConfigError, DatasetError, RunError, TrainingError
from gluon_liver.runs.checkpoint import newest_checkpoint
from gluon_liver.runs.log import read_log
from gluon_liver.runs.run import Run
from gluon_liver.training.signals import StopRequest
from gluon_liver.training.train import train
from gluon_liver.training.trainer import DetectorTrainer
from tests.conftest import write_dataset

pytestmark = pytest.mark.slow

HARD = {"data.augment": {"flip": True, "scale": 0.2, "noise": 5.0}, "network.head.dropout": 0.5}  # 10 steps, 5 an epoch


def parameters(run):
    return mx.nd.load(str(newest_checkpoint(run.checkpoints) / "net.params"))


def same(first, second):
    return set(first) == set(second) and all(
        first[name].asnumpy().tobytes() == second[name].asnumpy().tobytes() for name in first
    )


def events(run):
    return [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def stop_after(monkeypatch):
    """Send this process a signal inside of a step."""
    step = DetectorTrainer.step

    def arm(count, number=signal.SIGTERM):
        def stopping(self, batch, *, learning_rate):
            losses = step(self, batch, learning_rate=learning_rate)
            if self.step_count == count:
                monkeypatch.setattr(DetectorTrainer, "step", step)
                os.kill(os.getpid(), number)
            return losses

        monkeypatch.setattr(DetectorTrainer, "step", stopping)

    return arm


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
def test_interrupted_anywhere_it_ends_at_the_same_bytes(
    tiny_dataset, make_config, tmp_path, stop_after, whole, optimizer, stop
):
    config = make_config(**{**HARD, "train.optimizer": optimizer, "train.warmup_steps": 4, "train.decay_epochs": [1]})
    reference = whole(config)
    stop_after(stop)
    run = train(config, tiny_dataset, tmp_path / "run", resume="auto", progress=False)  # there is nothing to resume
    assert run.progress() == (stop, 10, stop == 10)
    run = train(config, tiny_dataset, tmp_path / "run", resume="auto", progress=False)
    assert same(parameters(run), parameters(reference)) and run.progress() == (10, 10, True)
    logged, expected = (
        [r["losses"] for r in read_log(one.folder / "log.jsonl") if r["event"] == "step"] for one in (run, reference)
    )
    assert logged == expected
    again = train(config, tiny_dataset, tmp_path / "run", resume="auto", progress=False)  # finished: nothing happens
    assert same(parameters(again), parameters(reference))


def test_from_one_device_to_four(tiny_dataset, make_config, tmp_path, stop_after, whole):
    options = {
        **HARD,
        "train.optimizer": "sgd",
        "network.batch_norm": "frozen",
        "train.batch_size": 4,
        "train.epochs": 3,
    }
    config = make_config(**options)
    expected = parameters(whole(config))
    stop_after(4)
    train(config, tiny_dataset, tmp_path / "run", progress=False)
    moved = make_config(**{**options, "parallel.devices": "cpu:4"})
    run = train(moved, tiny_dataset, tmp_path / "run", resume="auto", progress=False)
    assert events(run)[-1]["event"] == "end" and "parallel.devices" in str(events(run))
    found = parameters(run)
    assert max(np.abs(value.asnumpy() - found[name].asnumpy()).max() for name, value in expected.items()) <= 1e-6


def test_the_best_epoch_is_remembered(tiny_data, make_config, tmp_path, stop_after, monkeypatch):
    from gluon_liver.training import best_epoch

    scores = iter([0.5, 0.2, 0.5, 0.2, 0.1, 0.1])
    monkeypatch.setattr(best_epoch, "detect_labelled", lambda *args, **options: [])
    monkeypatch.setattr(best_epoch, "coco_average_precision", lambda *args: {"ap": {"mean": next(scores)}})
    config = make_config(**{"train.best_epoch": True, "train.epochs": 4, "train.keep_checkpoints": 1})
    dataset = CTDataset.open(str(tiny_data))
    stop_after(12)  # epochs end after steps 5, 10, 15 and 20
    train(config, dataset, tmp_path / "run", progress=False)
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {"step-00000005", "step-00000012"}
    # the checkpoint of the stop is lost: the one before it is the best one, of the first epoch
    (tmp_path / "run" / "checkpoints" / "step-00000012" / "net.params").write_bytes(b"")
    run = train(config, dataset, tmp_path / "run", resume="auto", progress=False)
    chosen = json.loads((run.folder / "best.json").read_text())
    assert chosen["step"] == 5 and chosen["map"] == 0.5
    # a damaged one is no reason to remove a good one, and goes itself
    assert {path.name for path in run.checkpoints.iterdir()} == {"step-00000005", "step-00000020"}


def test_a_damaged_checkpoint_is_named_and_passed_over(tiny_dataset, make_config, tmp_path, capfd, whole):
    config = make_config(**HARD)
    run = train(config, tiny_dataset, tmp_path / "run", steps=5, progress=False)
    train(config, tiny_dataset, tmp_path / "run", steps=7, resume="auto", progress=False)
    newest = newest_checkpoint(run.checkpoints)
    content = bytearray((newest / "optimizer.params").read_bytes())
    content[-3] ^= 16
    (newest / "optimizer.params").write_bytes(bytes(content))
    run = train(config, tiny_dataset, tmp_path / "run", resume="auto", progress=False)
    assert "passed over: step-00000007: optimizer.params" in capfd.readouterr().err
    assert [r["step"] for r in events(run) if r["event"] == "resume"] == [5, 5]
    assert same(parameters(run), parameters(whole(config)))
    for path in run.checkpoints.iterdir():
        (path / "manifest.json").unlink()
    with pytest.raises(RunError, match="no checkpoint is intact: step-00000010: "):
        train(config, tiny_dataset, tmp_path / "run", resume="auto", progress=False)


def test_a_changed_rate_takes_effect_and_is_logged(tiny_dataset, make_config, tmp_path):
    train(make_config(), tiny_dataset, tmp_path / "run", steps=4, progress=False)
    config = make_config(**{"train.learning_rate": 0.0001})
    run = train(config, tiny_dataset, tmp_path / "run", resume="auto", progress=False)
    record = next(r for r in events(run) if r["event"] == "resume")
    assert record["changed"] == {"train.learning_rate": [0.0005, 0.0001]}
    rates = [r["learning_rate"] for r in events(run) if r["event"] == "step"]
    assert np.allclose(rates, [0.001] * 4 + [0.0002] * 6)
    assert Run.open(run.folder).config == config


@pytest.mark.parametrize(
    "change, value",
    [
        ("network.width", 0.25),
        ("train.optimizer", "sgd"),
        ("train.seed", 1),
        ("train.batch_size", 4),
        ("data.size", 96),
    ],
)
def test_changes_that_a_run_does_not_survive(tiny_dataset, make_config, tmp_path, change, value):
    run = train(make_config(), tiny_dataset, tmp_path / "run", steps=2, progress=False)
    before = (run.folder / "log.jsonl").read_bytes()
    with pytest.raises(ConfigError, match=f"--resume: {change} was"):
        train(make_config(**{change: value}), tiny_dataset, tmp_path / "run", resume="auto", progress=False)
    assert (run.folder / "log.jsonl").read_bytes() == before


def test_other_data_are_refused(tiny_dataset, make_config, tmp_path):
    train(make_config(), tiny_dataset, tmp_path / "run", steps=2, progress=False)
    other = CTDataset.open(str(write_dataset(tmp_path / "data", patients=5)))
    with pytest.raises(DatasetError, match="differs in training patients"):
        train(make_config(), other, tmp_path / "run", resume="auto", progress=False)


def test_a_named_checkpoint(tiny_dataset, make_config, tmp_path):
    run = train(make_config(), tiny_dataset, tmp_path / "run", progress=False)
    for choice in ("step-00000005", str(run.checkpoints / "step-00000005")):
        train(make_config(), tiny_dataset, run.folder, resume=choice, steps=6, progress=False)
        assert [r["step"] for r in events(run) if r["event"] == "resume"][-1] == 5
    for choice, message in (("step-00000009", "neither a folder"), (str(tmp_path), "not a checkpoint of")):
        with pytest.raises(RunError, match=message):
            train(make_config(), tiny_dataset, run.folder, resume=choice, progress=False)


def test_a_run_that_died_before_its_first_checkpoint_starts_again(tiny_dataset, make_config, tmp_path):
    run = Run.create(tmp_path / "run", make_config(), dataset=tiny_dataset)
    run.log("start", step=0, epoch=0, steps=10)
    run = train(make_config(), tiny_dataset, tmp_path / "run", resume="auto", steps=2, progress=False)
    assert [record["event"] for record in events(run)] == ["start", "step", "step", "checkpoint", "end"]


def test_two_at_once(tiny_dataset, make_config, tmp_path, monkeypatch):
    run = train(make_config(), tiny_dataset, tmp_path / "run", steps=2, progress=False)
    step = DetectorTrainer.step

    def second(self, batch, *, learning_rate):
        monkeypatch.setattr(DetectorTrainer, "step", step)
        with pytest.raises(RunError, match=f"is in use by process {os.getpid()}"):
            train(make_config(), tiny_dataset, run.folder, resume="auto", progress=False)
        return step(self, batch, learning_rate=learning_rate)

    monkeypatch.setattr(DetectorTrainer, "step", second)
    train(make_config(), tiny_dataset, run.folder, resume="auto", progress=False)
    assert run.progress() == (10, 10, True)


def test_what_broke_a_step_is_kept(tiny_dataset, make_config, tmp_path, monkeypatch):
    from gluon_liver.training.inputs import TrainingInputs

    load = TrainingInputs.load

    def poisoned(self, indices, *, epoch, **options):
        batch = load(self, indices, epoch=epoch, **options)
        if epoch == 1:
            batch.images[0, 0, 0, 0, 3, 4] = np.nan
        return batch

    monkeypatch.setattr(TrainingInputs, "load", poisoned)
    with pytest.raises(TrainingError, match=r"step 6: .* not finite.*failed-step-00000006-rank-0.npz"):
        train(make_config(), tiny_dataset, tmp_path / "run", progress=False)
    with np.load(str(tmp_path / "run" / "failed-step-00000006-rank-0.npz")) as kept:
        assert np.isnan(kept["images"]).sum() == 1 and kept["labels"][0].startswith("case-")
        assert kept["gt_boxes"].shape == (2, 4, 4)
    monkeypatch.setattr(TrainingInputs, "load", load)
    run = train(make_config(), tiny_dataset, tmp_path / "run", resume="auto", progress=False)
    assert run.progress() == (10, 10, True)


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


def test_an_earlier_checkpoint_leaves_the_later_ones_behind(tiny_dataset, make_config, tmp_path):
    options = {"train.checkpoint_steps": 2, "train.checkpoint_every": 100, "train.keep_checkpoints": 2}
    run = train(make_config(**options), tiny_dataset, tmp_path / "run", steps=8, progress=False)
    assert {path.name for path in run.checkpoints.iterdir()} == {"step-00000006", "step-00000008"}
    train(
        make_config(**options, **{"train.learning_rate": 0.0001}),
        tiny_dataset,
        run.folder,
        resume="step-00000006",
        steps=7,
        progress=False,
    )
    assert {path.name for path in run.checkpoints.iterdir()} == {"step-00000006", "step-00000007"}


def test_a_last_record_that_was_cut_off(tiny_dataset, make_config, tmp_path):
    run = train(make_config(), tiny_dataset, tmp_path / "run", steps=5, progress=False)
    with open(str(run.folder / "log.jsonl"), "a") as stream:
        stream.write('{"event": "step", "ste')
    run = train(make_config(), tiny_dataset, tmp_path / "run", resume="auto", progress=False)
    assert run.progress() == (10, 10, True)


def test_what_ended_a_run_before_its_first_checkpoint_is_not_thrown_away(tiny_dataset, make_config, tmp_path):
    config = make_config(**{"train.learning_rate": 1e30, "train.optimizer": "sgd"})
    with pytest.raises(TrainingError, match="failed-step-"):
        train(config, tiny_dataset, tmp_path / "run", progress=False)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    with pytest.raises(RunError, match="holds failed-step-.* a run that ended before its first checkpoint"):
        train(config, tiny_dataset, tmp_path / "run", resume="auto", progress=False)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


def test_a_start_that_was_killed_between_its_first_files(tiny_dataset, make_config, tmp_path):
    run = Run.create(tmp_path / "run", make_config(), dataset=tiny_dataset)
    (run.folder / "config.yaml").rename(run.folder / "config.yaml.partial")
    assert train(make_config(), tiny_dataset, run.folder, resume="auto", steps=1, progress=False).progress()[0] == 1


def test_the_refused_one_of_two_starts_takes_nothing_away(tiny_dataset, make_config, tmp_path, monkeypatch):
    """The second finds an empty folder, and the first begins before the second has it."""
    check = Run.check_new

    def late(folder, *, dataset):
        monkeypatch.setattr(Run, "check_new", staticmethod(check))
        check(folder, dataset=dataset)
        train(make_config(), tiny_dataset, folder, steps=2, progress=False)

    monkeypatch.setattr(Run, "check_new", staticmethod(late))
    with pytest.raises(RunError, match="is not an empty folder"):
        train(make_config(), tiny_dataset, tmp_path / "run", steps=2, progress=False)
    assert Run.open(tmp_path / "run").progress() == (2, 2, True)


@pytest.mark.parametrize("before, after", [(0.9, 0.0), (0.0, 0.9)])
def test_momentum_may_not_come_or_go(tiny_dataset, make_config, tmp_path, before, after):
    options = {"train.optimizer": "sgd", "train.momentum": before}
    train(make_config(**options), tiny_dataset, tmp_path / "run", steps=2, progress=False)
    with pytest.raises(ConfigError, match=f"train.momentum was {before}"):
        train(
            make_config(**{**options, "train.momentum": after}),
            tiny_dataset,
            tmp_path / "run",
            resume="auto",
            progress=False,
        )
