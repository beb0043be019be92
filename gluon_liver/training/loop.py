"""Steps over epochs, what is logged and saved between them, and what ends them early."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import mxnet as mx
import numpy as np

from gluon_liver.cluster import heartbeat
from gluon_liver.errors import TrainingError
from gluon_liver.files.atomic import whole_file, write_json
from gluon_liver.runs.checkpoint import save_checkpoint
from gluon_liver.runs.checkpoint_folder import BEST, prune
from gluon_liver.runs.run import Run
from gluon_liver.runs.training_state import TrainingState, optimizer_state

from .batches import Batch
from .inputs import TrainingInputs
from .progress import TrainingProgress, plan_text
from .resume import ResumePoint
from .schedule import learning_rate
from .signals import StopRequest
from .staging import StagedBatch
from .step_counts import StepCounts
from .trainer import DetectorTrainer
from .validation import Score, Validation

WORTH_A_NOTE, SECONDS_WORTH_A_NOTE = 0.1, 10.0  # share of the time that training waited for images, and how long


class TrainingLoop:
    """Trains from one place of the sampler to the end.

    validation: scores epochs, in the worker that leads. steps: where to end instead of after the configured epochs.
    """

    def __init__(
        self,
        trainer: DetectorTrainer,
        inputs: TrainingInputs,
        *,
        validation: Optional[Validation] = None,
        steps: Optional[int] = None,
        progress: bool = True,
    ):
        self.trainer, self.inputs, self.config = trainer, inputs, trainer.config
        self._validation, self._per_epoch = validation, inputs.steps_per_epoch
        self._total = steps if steps is not None else self.config.train.epochs * self._per_epoch
        self._progress = progress and trainer.worker.leads
        self._epoch = self._batch = 0
        self._meter, self._waiting = LossMeter(), Waiting()
        self._run: Optional[Run] = None

    def plan_text(self, *, done: int) -> str:
        """What will be done, in a line; so many steps were done before."""
        workers = self.trainer.worker.count
        return plan_text(self.config, steps=self._total, per_epoch=self._per_epoch, done=done, workers=workers)

    def run(self, folder: Path, *, run: Optional[Run] = None, point: Optional[ResumePoint] = None) -> None:
        """All steps that are left. ``run`` is written to where it is given, in the worker that leads.

        Raises :class:`TrainingError` when a loss is not finite; the batch is then in the folder.
        """
        self._folder, self._run = folder, run
        if point is not None:
            state = point.state
            self.trainer.step_count, self._epoch, self._batch = state.step, state.epoch, state.batch
            if self._validation is not None:
                self._validation.record = state.best
        if point is None or self.trainer.step_count < self._total:
            start = dict(images=len(self.inputs.labels), steps=self._total, notes=self.inputs.notes)
            self._log("start", an_epoch=self.inputs.first_epoch(), **start)
        done, per_epoch = self.trainer.step_count, self._per_epoch
        self._told = TrainingProgress(
            self.config, total=self._total, done=done, per_epoch=per_epoch, show=self._progress
        )
        with StopRequest() as stop, self._told:
            while self.trainer.step_count < self._total:
                if not self._epoch_of_steps(stop):
                    self._stop(stop)
                    return
        if self._run is not None and not self._run.progress()[2]:
            self._log("end", waited_for_images=self._waiting.share)
        if self._waiting.share > WORTH_A_NOTE and self._waiting.waited > SECONDS_WORTH_A_NOTE:
            self.inputs.notes.append(self._waiting.note(self.inputs.workers))

    def _epoch_of_steps(self, stop: StopRequest) -> bool:
        """Whether the epoch, or what was left of it, came to its end, or training to its own."""
        trainer, train = self.trainer, self.config.train
        batches = self.inputs.batches(epoch=self._epoch)
        left = batches[self._batch :][: self._total - trainer.step_count]
        shares = [trainer.share(indices) for indices in left]
        with contextlib.ExitStack() as streams:  # an error would leave their threads to the garbage collector
            loaded = self.inputs.stream(
                shares, epoch=self._epoch, anchors=trainer.anchors, random_numbers=trainer.detector.draw_numbers
            )
            streams.callback(loaded.close)
            staged = trainer.ahead(loaded)
            streams.callback(staged.close)
            for share, images in zip(shares, map(len, left)):
                if trainer.worker.any(stop.name is not None):
                    return False
                self._step(staged, share, images)
                self._batch += 1
                ended = self._batch == len(batches) or trainer.step_count == self._total
                if not ended and train.checkpoint_steps and trainer.step_count % train.checkpoint_steps == 0:
                    self._save()
        number = self._epoch + 1
        if self._batch == len(batches):  # --steps may end inside an epoch
            self._epoch, self._batch = self._epoch + 1, 0
        last, score = trainer.step_count == self._total, None
        if last or self._due(self._epoch):
            score = self._score()
        if last or score is not None or self._epoch % train.checkpoint_every == 0:
            self._save()
        elif train.checkpoint_steps and trainer.step_count % train.checkpoint_steps == 0:
            self._save()
        self._told.epoch(number, score, scorings_left=self._scorings_left())
        return True

    def _due(self, epoch: int) -> bool:
        """Whether the network is scored after so many epochs; after the last step it is in any case."""
        return epoch % (self.config.train.validate_every or self.config.train.checkpoint_every) == 0

    def _scorings_left(self) -> int:
        ends = range(self._epoch + 1, -(-self._total // self._per_epoch))
        return sum(map(self._due, ends)) + 1 if self._validation is not None else 0

    def _score(self) -> Optional[Score]:
        """Of the network as it is, where epochs are scored, by the worker that does."""
        self.trainer.average_statistics()  # by all workers
        if self._validation is None or self._run is None:
            return None
        return self._validation.score(self._run, step=self.trainer.step_count, epoch=self._epoch)

    def _step(self, staged: Iterator[StagedBatch], share: List[int], images: int) -> None:
        """The next batch holds this worker's ``share`` of the step's ``images``."""
        trainer, began = self.trainer, time.monotonic()
        batch = next(staged)
        loaded = time.monotonic()
        rate = learning_rate(self.config.train, step=trainer.step_count, per_epoch=self._per_epoch)
        try:
            losses = trainer.step(batch, learning_rate=rate)
        except TrainingError as error:
            path = self._save_failed_batch(batch.batch, share)
            raise TrainingError(f"{error}. What it was fed is in {path}") from error
        waited, worked = loaded - began, time.monotonic() - loaded
        self._waiting.add(waited, worked)
        self._meter.add(losses, counts=trainer.counts, images=images, waited=waited, worked=worked)
        self._told.step(losses["total"], counts=trainer.counts, images=images, seconds=waited + worked)
        if trainer.step_count % self.config.train.log_every == 0 or trainer.step_count == self._total:
            record = self._meter.flush()
            self._log("step", learning_rate=rate, **record)
            self._told.note(record, self._epoch)

    def _save(self) -> None:
        """A checkpoint of the place between two steps; the best and the newest ones stay."""
        self.trainer.average_statistics()  # by all workers
        if self._run is None:
            return
        run, trainer, train = self._run, self.trainer, self.config.train
        best = self._validation.record if self._validation is not None else None
        place: Dict[str, Any] = {"step": trainer.step_count, "epoch": self._epoch}
        counts: Dict[str, int] = {}
        arrays: Dict[str, mx.nd.NDArray] = {}
        if not trainer.worker.updates_on_server:
            counts, arrays = optimizer_state(trainer.optimizer, trainer.detector.collect_learned())
        optimizer: Dict[str, Any] = {"optimizer": train.optimizer, "update_counts": counts, "arrays": arrays}
        state = TrainingState(batch=self._batch, seed=train.seed, best=best, **place, **optimizer)
        path = save_checkpoint(run.checkpoints, trainer.detector, state=state, config=self.config, **place)
        if best is not None and best["step"] == state.step:
            write_json(run.folder / BEST, best)
        heartbeat.tell(checkpoint=path)
        self._log("checkpoint", folder=path.name)
        spare = [best["checkpoint"]] if best else []
        prune(run.checkpoints, keep=train.keep_checkpoints, step=state.step, spare=spare)

    def _stop(self, stop: StopRequest) -> None:
        self._save()
        self._log("interrupted", signal=stop.name or "another worker's")
        if self._run is not None:
            what = f"{stop.name or 'another worker was asked to stop'}: stopped after step {self.trainer.step_count}"
            print(f"{what} and saved; --resume auto goes on from there, and so does the same make", file=sys.stderr)

    def _save_failed_batch(self, batch: Batch, indices: List[int]) -> Path:
        """Save what a step was fed: the arrays of the batch, and which image each row is."""
        names = [f"{one.case} {one.place}" for one in map(self.inputs.label, indices)]
        path = self._folder / f"failed-step-{self.trainer.step_count + 1:08d}-rank-{self.trainer.worker.rank}.npz"
        arrays = dict(vars(batch))
        arrays["draws"] = arrays.pop("random_numbers")  # its name in the files of earlier versions
        with whole_file(path, "wb") as stream:
            np.savez_compressed(stream, labels=np.array(names), **arrays)
        return path

    def _log(self, event: str, **values: Any) -> None:
        if self._run is not None:
            self._run.log(event, step=self.trainer.step_count, epoch=self._epoch, **values)


class Waiting:
    """How long training waited for images, and how long its steps took beside that, in seconds."""

    def __init__(self) -> None:
        self.waited = self.worked = 0.0

    def add(self, waited: float, worked: float) -> None:
        """One step."""
        self.waited += waited
        self.worked += worked

    @property
    def share(self) -> float:
        """Of the time of the steps that was spent waiting."""
        return round(self.waited / max(self.waited + self.worked, 1e-9), 4)

    def note(self, workers: int) -> str:
        """What to do about it."""
        what = f"training waited for images {self.share:.0%} of its time ({self.waited / 60:.1f} minutes)"
        return (
            f"{what}: load them in more threads (train.loader_workers, {workers} here) where there are more cores, and "
            "keep them on a faster disk (of CT with --cache); docs/data.md, Loading"
        )


class LossMeter:
    """Means of what the steps since the last record lost, and of what they had to learn from."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._sums: Dict[str, float] = {}
        self._steps, self._images = 0, 0
        self._waiting, self._counts = Waiting(), StepCounts()

    def add(
        self,
        losses: Dict[str, float],
        *,
        images: int,
        waited: float,
        worked: float,
        counts: StepCounts = StepCounts(),  # noqa: B008, it is frozen
    ) -> None:
        """One step, with the seconds that it waited for its images and worked on them."""
        self._counts = self._counts + counts
        self._waiting.add(waited, worked)
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1
        self._images += images

    def flush(self) -> Dict[str, Any]:
        """``losses`` (means over the steps), ``images_per_second``, ``waited_for_images`` and what
        :meth:`StepCounts.rates` says; starts anew."""
        # of the steps alone, without the time of scoring and saving between them
        speed = self._images / max(self._waiting.waited + self._waiting.worked, 1e-9)
        means = {name: value / self._steps for name, value in self._sums.items()}
        record = {"losses": means, "images_per_second": round(speed, 3), "waited_for_images": self._waiting.share}
        record.update(self._counts.rates())
        self._start()
        return record
