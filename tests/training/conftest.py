"""Training on the tiny data, in one call."""

import json
import os
import signal

import mxnet as mx
import pytest

from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from gluon_liver.runs.devices import parse_devices
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.train import train
from gluon_liver.training.trainer import DetectorTrainer


@pytest.fixture
def train_tiny(tiny_dataset, make_config, tmp_path):
    """train_tiny({"train.epochs": 1}, steps=2): a run of the tiny data in ``tmp_path``/run, new or gone on with."""

    def start(changes=(), *, dataset=tiny_dataset, folder=tmp_path / "run", **options):
        return train(make_config(**dict(changes)), dataset, folder, progress=False, **options)

    return start


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


def records(run, event=None):
    """The log of a run as it was written, or its records of one event."""
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    return [record for record in log if event in (None, record["event"])]


def parameters(run):
    """Name -> array of a run's newest checkpoint."""
    saved = mx.nd.load(str(newest_checkpoint(run.checkpoints) / "net.params"))
    return {name: array.asnumpy() for name, array in saved.items()}


def make_trainer(config, dataset, **options):
    """The trainer of a configuration's own devices."""
    return DetectorTrainer(config, classes=dataset.classes, contexts=parse_devices(config.parallel.devices), **options)


def load_batch(trainer, dataset, indices, *, epoch=0):
    """A batch of the trainer's own configuration."""
    inputs = TrainingInputs(trainer.config, dataset)
    return inputs.load(indices, epoch=epoch, anchors=trainer.anchors, random_numbers=trainer.detector.draw_numbers)
