"""A detector in place of one with a network."""

from types import SimpleNamespace

import numpy as np

from gluon_liver.errors import RunError
from gluon_liver.inference.stream import StreamResult
from gluon_liver.structures.detections import Detections

CLASSES = ("tumor", "vessel")
CHECKPOINT = "step-00000007"


def fake_run(folder, *, trained=(), checkpoint=CHECKPOINT):
    """A run in an empty folder, with an empty checkpoint or none; trained: what it says of its training data."""
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    if checkpoint is not None:
        (checkpoints / checkpoint).mkdir()
    config = SimpleNamespace(controls=())
    return SimpleNamespace(
        folder=folder, checkpoints=checkpoints, environment=dict(trained), config=config, check_frames=lambda: None
    )


class FakeStream:
    """Finds one tumor in every frame and a flow that points to the right."""

    classes = CLASSES

    def __init__(self, flow=True, fail_at=None, interrupt_at=None):
        self.flow, self.fail_at, self.interrupt_at, self.count = flow, fail_at, interrupt_at, 0
        self.needs_previous, self.alone, self.numbers = flow, 1, []

    def restart(self):
        self.numbers.append("restart")

    def detect(self, frame, number=0):
        self.count += 1
        self.numbers.append(number)
        if self.count == self.interrupt_at:
            raise KeyboardInterrupt
        if self.count == self.fail_at:
            raise RunError("no numbers")
        tumor = Detections(np.array([[20, 30, 60, 70]], np.float32), np.array([0.9]), np.array([0]))
        return StreamResult(tumor, np.zeros((16, 20, 2)) + np.array([40.0, 0.0]) if self.flow else None)
