"""From prepared data of either kind to batches: what is trained on, in which order, and what of it the network sees."""

from __future__ import annotations

import functools
import warnings
from typing import Any, Callable, Dict, Generator, List, Sequence

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.augment import augment
from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import check_task, make_loader
from gluon_liver.data.samples import AUGMENT, RANDOM_NUMBERS, TARGETS, generator, shuffle_labels
from gluon_liver.errors import DatasetError, GluonLiverError

from .batches import Batch, BatchArrays
from .image_workers import default_workers, load_ahead
from .sampler import EpochSampler, lesion_images

Draw = Callable[[np.random.Generator], np.ndarray]  # an image's random numbers (N,)


class TrainingInputs:
    """The training patients' labelled images, as batches.

    Raises :class:`DatasetError` when the data are of another kind than the model's, there is no labelled image, or
    one with more boxes than ``network.head.max_boxes``. Warns of what :func:`training_notes` says and of controls,
    under ``notes``.
    """

    def __init__(self, config: Config, dataset: Dataset, *, progress: bool = False):
        check_task(config, dataset)
        self.config = config
        self.workers = config.train.loader_workers or default_workers()
        self._dataset = dataset
        self.labels = training_labels(config, dataset)
        self.notes: List[str] = []
        self.note([*config.controls, *training_notes(self.labels, dataset.classes)])
        self.note(dataset.input_notes(self.labels, config, "training images"))
        self.sampler = EpochSampler(config, self.labels, lesions=lesion_images(config, dataset, self.labels))
        cases = sorted({label.case for label in self.labels})
        self._load_labelled = make_loader(config, dataset, cases=cases, progress=progress)

    def note(self, notes: Sequence[str]) -> None:
        """Warn of what a reader of the run's results must know, and keep it."""
        self.notes += notes
        for note in notes:
            warnings.warn(note, stacklevel=3)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, the last one filled."""
        return -(-self.sampler.images // self.config.train.batch_size)

    def batches(self, *, epoch: int) -> List[List[int]]:
        """Numbers of an epoch's images (see :class:`EpochSampler`), batch by batch.

        The graph has a fixed batch, so the last one is filled from the epoch's beginning.
        """
        order, size = self.sampler.epoch(epoch), self.config.train.batch_size
        order = [order[place % len(order)] for place in range(self.steps_per_epoch * size)]
        return [order[first : first + size] for first in range(0, len(order), size)]

    def first_epoch(self) -> Dict[str, Any]:
        """:meth:`EpochSampler.summary` of these data."""
        return self.sampler.summary(self._dataset.classes)

    def epoch_text(self) -> str:
        """What an epoch shows, in a line."""
        first, count = self.first_epoch(), self.config.data.slices_per_lesion
        text = "an epoch: {} images of {}, {} of {} with boxes".format(
            first["images"], len(self.labels), *first["with_boxes"]
        )
        if first["lesions"] is not None:
            text += f", {count} slice{'s' if count != 1 else ''} a pass of each of {first['lesions']} lesions"
        counts = ", ".join(f"{name} {shown} of {there}" for name, (shown, there) in first["class_images"].items())
        return f"{text}; images of {counts}"

    def label(self, number: int) -> Any:
        """What is labelled on the image of one of the numbers of :meth:`batches`."""
        return self.labels[number % len(self.labels)]

    def load(self, indices: Sequence[int], *, epoch: int, anchors: np.ndarray, random_numbers: Draw) -> Batch:
        """The batch of some numbers as ``epoch`` has them: augmented, with targets and drawn ``random_numbers``."""
        arrays = self._arrays(len(indices), anchors)
        for row, index in enumerate(indices):
            self._load_image(arrays, row, index, epoch=epoch, random_numbers=random_numbers)
        return arrays.batch()

    def stream(
        self, batches: Sequence[Sequence[int]], *, epoch: int, anchors: np.ndarray, random_numbers: Draw
    ) -> Generator[Batch, None, None]:
        """:meth:`load` of each of the batches, in threads and ahead of use: see :func:`load_ahead`."""
        fill = functools.partial(self._load_image, epoch=epoch, random_numbers=random_numbers)
        start = functools.partial(self._arrays, anchors=anchors)
        return load_ahead(batches, start=start, fill=fill, workers=self.workers)

    def _arrays(self, images: int, anchors: np.ndarray) -> BatchArrays:
        return BatchArrays(images, anchors=anchors, network=self.config.network, to_input=self._dataset.network_input)

    def _load_image(self, arrays: BatchArrays, row: int, index: int, *, epoch: int, random_numbers: Draw) -> None:
        label, seed = self.label(index), self.config.train.seed
        try:
            sample = augment(
                self._load_labelled(label),
                self.config.data.augment,
                grey_per_noise=self._dataset.grey_per_noise(self.config),
                rng=generator(seed, AUGMENT, epoch, index),
            )
            drawn = random_numbers(generator(seed, RANDOM_NUMBERS, epoch, index))
            arrays.put(row, sample, rng=generator(seed, TARGETS, epoch, index), random_numbers=drawn)
        except GluonLiverError as error:
            raise type(error)(f"{label.title} cannot be loaded: {error}") from error
        except Exception as error:  # a defect, which a thread would leave without the image that it is about
            raise RuntimeError(f"{label.title} cannot be loaded") from error


def training_labels(config: Config, dataset: Dataset) -> List[Any]:
    """Labelled images of the training patients, see :class:`TrainingInputs`."""
    labels = dataset.labels_of("train")
    if not labels:
        studies = len(dataset.cases_of("train"))
        where = f"{studies} training studies of {dataset.folder}"
        elsewhere = "the labels are of patients of other splits: move one of them to train in splits.json"
        raise DatasetError(
            f"no labelled slice among the {where}: "
            + (elsewhere if dataset.labels else "import the studies with --labels")
        )
    most, limit = max(len(label.boxes) for label in labels), config.network.head.max_boxes
    if most > limit:
        raise DatasetError(f"a training slice has {most} boxes, network.head.max_boxes is {limit}: raise it")
    return shuffle_labels(labels, seed=config.train.seed) if config.data.shuffled_labels else labels


def training_notes(labels: Sequence[Label], classes: Sequence[str]) -> List[str]:
    """What a network cannot learn of these images: to find anything, or to tell classes apart."""
    learned = {int(label) for one in labels for label in one.labels}
    absent = [name for label, name in enumerate(classes) if label not in learned]
    if not learned:
        return [f"none of the {len(labels)} training images has a box: training on background alone"]
    if len(classes) == 1:
        return [f"the data have one class, {classes[0]}: the network finds it and has nothing to tell apart"]
    if not absent:
        return []
    alone = f"all training boxes are {classes[learned.pop()]}: " if len(learned) == 1 else ""
    return [f"{alone}no training image has a box of {', '.join(absent)}, which the network cannot learn"]
