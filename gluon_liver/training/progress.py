"""What training says of itself on stderr: what it will do, how long it takes by its first steps, a line an epoch."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from gluon_liver.config.schema import Config
from gluon_liver.system.runtime import compute_threads
from gluon_liver.system.terminal import duration, progress_bar, say

from .step_counts import StepCounts
from .validation import Score

MEASURED = 10  # steps of this process before it says how long training takes
WARM = 2  # steps at its beginning that are not measured: they make arrays and choose kernels
EVERY = 600.0  # seconds between lines within a long epoch, where there is no terminal


class TrainingProgress:
    """Of one part of a run, from its first step or a checkpoint to its end; says nothing without ``show``.

    A context manager: the bar ends with it. total, done: steps of the whole run, and of them before this part.
    """

    def __init__(self, config: Config, *, total: int, done: int, per_epoch: int, show: bool):
        self._batch, self._total, self._done, self._per_epoch = config.train.batch_size, total, done, per_epoch
        self._show, self._steps = show, 0
        self._measured, self._seconds = 0, 0.0
        self._scorings: List[float] = []
        self._bar = progress_bar(total=total, done=done, text="training", unit="step", show=show, every=EVERY)
        self._start_epoch()

    def _start_epoch(self) -> None:
        self._losses: List[float] = []
        self._counts, self._images, self._spent = StepCounts(), 0, 0.0

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def step(self, loss: float, *, counts: StepCounts, images: int, seconds: float) -> None:
        """One more step is done, which took so long, waiting for images included."""
        self._losses.append(loss)
        self._counts, self._images, self._spent = self._counts + counts, self._images + images, self._spent + seconds
        self._steps += 1
        if self._steps > WARM:
            self._measured, self._seconds = self._measured + 1, self._seconds + seconds
        self._bar.update()
        if self._steps == MEASURED and self._left():
            each, epoch = self._seconds / self._measured, self._per_epoch
            text = f"{self._batch / max(each, 1e-9):.1f} images a second by the first {MEASURED} steps: an epoch takes "
            self._tell(f"{text}about {duration(epoch * each)}, all that is left about {duration(self._left() * each)}")

    def note(self, record: Dict[str, Any], epoch: int) -> None:
        """Show a record of the log beside the bar."""
        loss, waited = f"{record['losses']['total']:.3f}", f"{record['waited_for_images']:.0%}"
        self._bar.note(loss=loss, rpn_recall=recall_text(record["rpn_recall"]), epoch=epoch, waited=waited)

    def epoch(self, epoch: int, score: Optional[Score], *, scorings_left: int = 0) -> None:
        """Say what an epoch came to, from 1. scorings_left: how often the network will still be scored."""
        mean = sum(self._losses) / max(len(self._losses), 1)
        text = f"epoch {epoch} of {-(-self._total // self._per_epoch)}: loss {mean:.3f}"
        text += f", rpn recall {recall_text(self._counts.rates()['rpn_recall'])}"
        text += f", {self._images / max(self._spent, 1e-9):.1f} images/s"
        if score is not None:
            self._scorings.append(score.seconds)
            cost = f"{score.images} images in {duration(score.seconds)}, {score.share:.0%} of the time"
            text += f", {score.text} ({cost})"
        if self._left() and self._losses:
            scoring = scorings_left * sum(self._scorings) / max(len(self._scorings), 1)
            each = self._spent / len(self._losses)  # of this epoch: what slowed an earlier one may be gone
            text += f", about {duration(self._left() * each + scoring)} left"
        self._tell(text)
        self._bar.restart()
        self._start_epoch()

    def _left(self) -> int:
        return self._total - self._done - self._steps

    def _tell(self, text: str) -> None:
        if self._show:
            say(text)


def plan_text(config: Config, *, steps: int, per_epoch: int, done: int, workers: int = 1) -> str:
    """What training will do, in a line. steps, done: of the whole run, and of them before; workers: processes."""
    train, devices = config.train, config.parallel.devices
    epochs, odd = divmod(steps, per_epoch)
    what = f"{steps} steps" if odd else f"{epochs} epoch{'s' * (epochs != 1)} of {per_epoch} steps"
    where = f"on {devices}" + (f" of {workers} processes each" if workers > 1 else "")
    if devices.startswith("cpu"):
        where += f" with {compute_threads()} thread{'s' * (compute_threads() != 1)}"
    text = f"training: {what}, {train.batch_size} images a step, {where}"
    return text + (f"; {done} steps are done" if done else "")


def recall_text(recall: Optional[float]) -> str:
    """The share of the boxes that proposals reach, of which there may be none."""
    return "no boxes" if recall is None else f"{recall:.2f}"
