"""What the steps of a job take: training steps, hours, memory and disk, before any of it is done.

Nothing is guessed silently: hours on this machine are measured on a few real steps of the first row and carried over to
the other rows by their multiplications; those on another device rest on an assumption that is printed.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import mxnet as mx

from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.nn.build import make_detector
from gluon_liver.speed.measure import measure_step, step_arithmetic
from gluon_liver.training.inputs import training_labels
from gluon_liver.training.memory_plan import MemoryPlan, memory_plan
from gluon_liver.training.sampler import EpochSampler, lesion_images

from .job import Trainings

# name, multiplications with additions a second at its peak in float32, share of it that training is taken to reach
DEVICES: Tuple[Tuple[str, float, float], ...] = (("GTX 1080", 4.4e12, 0.3), ("Tesla V100", 7.8e12, 0.3))
MEASURED_IMAGES = 2  # of the steps that are timed: live BatchNorm needs two
SECONDS = 2.0


@dataclass(frozen=True)
class RowEstimate:
    """One row's training. images: of all steps, None where that is not known before the import.

    multiplications: of one image's step. seconds: of one image on this machine, None where it was not measured.
    memory: of a step on one device. run_bytes: of the run folder's checkpoints.
    """

    row: str
    steps: Optional[int]
    images: Optional[int]
    multiplications: float
    seconds: Optional[float]
    memory: MemoryPlan
    run_bytes: int

    def hours_here(self) -> Optional[float]:
        """On this machine, by the measured step."""
        return None if self.images is None or self.seconds is None else self.images * self.seconds / 3600

    def hours_on(self, peak: float, share: float) -> Optional[float]:
        """On a device that reaches a share of its peak."""
        return None if self.images is None else self.images * self.multiplications / (peak * share) / 3600


def estimate_rows(
    job: Trainings, dataset: Optional[Dataset], *, measure: bool, boxed: Optional[int] = None
) -> List[RowEstimate]:
    """Of one training of each row of a job. dataset: the prepared data, None before the import.

    measure: time a few steps of the first row. boxed: training images with boxes, where the layout tells before the
    import.
    """
    configs = {member.row: member.config for member in reversed(job.members)}
    rows = [row for row in dict.fromkeys(member.row for member in job.members)]
    classes, phases = _classes_and_phases(job, dataset)
    work = {row: _multiplications(configs[row], classes, phases) for row in rows}
    here = _measured(configs[rows[0]]) / work[rows[0]] if measure else None
    found = []
    for row in rows:
        config = configs[row]
        count = phases if config.network.multi_modal else 1
        plan = memory_plan(config, classes=classes, phases=count, mirror=config.train.mirror)
        steps = training_steps(config, dataset, boxed=boxed)
        images = None if steps is None else steps * config.train.batch_size
        kept = config.train.keep_checkpoints + config.train.best_epoch
        size = kept * (plan.parameters + plan.optimizer)
        seconds = None if here is None else here * work[row]
        found.append(RowEstimate(row, steps, images, work[row], seconds, plan, size))
    return found


def training_steps(config: Config, dataset: Optional[Dataset], *, boxed: Optional[int] = None) -> Optional[int]:
    """Steps of a whole training; None where an epoch is one pass over data that are not there yet.

    boxed: before the import, training images with boxes, each of which a pass then shows, and no background.
    """
    images = config.train.images_per_epoch
    if images is None:
        images = boxed
        if dataset is not None:
            labels = training_labels(config, dataset)
            images = EpochSampler(config, labels, lesions=lesion_images(config, dataset, labels)).images
        if images is None:
            return None
    return config.train.epochs * -(-images // config.train.batch_size)


def disk_bytes(job: Trainings, rows: Sequence[RowEstimate]) -> Dict[str, int]:
    """Bytes that are needed: of runs by their checkpoints; of data what they take, once they are there."""
    seeds = len({member.seed for member in job.members})
    found = {"runs": seeds * sum(row.run_bytes for row in rows)}
    if job.data.is_dir():
        found["data"] = sum(path.stat().st_size for path in job.data.rglob("*") if path.is_file())
    return found


def free_bytes(folder: Path) -> int:
    """What is free where a folder lies or will lie."""
    while not folder.exists():
        folder = folder.absolute().parent
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _classes_and_phases(job: Trainings, dataset: Optional[Dataset]) -> Tuple[int, int]:
    if dataset is not None:
        return len(dataset.classes), len(getattr(dataset, "phases", ("",)))
    return job.classes_and_phases()


def _multiplications(config: Config, classes: int, phases: int) -> float:
    count = phases if config.network.multi_modal else 1
    names = [f"class{number}" for number in range(classes)]
    detector = make_detector(config, classes=names, phases=count, context=mx.cpu())
    return step_arithmetic(config, detector).step


def _measured(config: Config) -> float:
    """Seconds of one image of a step on the configuration's device, on random images."""
    train = dataclasses.replace(config.train, batch_size=MEASURED_IMAGES)
    parallel = dataclasses.replace(config.parallel, accumulate=1)
    figures = measure_step(dataclasses.replace(config, train=train, parallel=parallel), seconds=SECONDS)
    times = sorted(figures["seconds"])
    return float(times[len(times) // 2]) / MEASURED_IMAGES
