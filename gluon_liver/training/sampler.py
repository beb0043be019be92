"""Which images an epoch shows, and how often: slices of each lesion, classes in balance, epochs of a chosen length."""

from __future__ import annotations

import bisect
from collections import Counter
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.coco import Label
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.samples import BALANCE, SLICES, epoch_order, generator, with_boxes
from gluon_liver.structures.lesions import SliceBox, join_drawn

STARTS = 2**16  # places between two slices at which evenly spaced ones may begin


class EpochSampler:
    """The images of each epoch, from seed and number of the epoch alone.

    A pass shows the data once: of each lesion ``data.slices_per_lesion`` images (or every image with boxes), each as
    often as ``data.class_balance`` asks, and background up to the ratio, shuffled. Passes follow each other, and an
    epoch is the next ``train.images_per_epoch`` images of them: without that key as many as the first pass has, which
    is one pass where passes are equally long.

    An image is known by a number: its index into ``labels``, and ``len(labels)`` more each further time that the epoch
    shows it, so that whatever is drawn from the number differs.

    lesions: indices into ``labels`` of the images of each lesion, see :func:`lesion_images`; None takes all images.
    images: of an epoch, which is the same for all.
    """

    def __init__(self, config: Config, labels: Sequence[Label], *, lesions: Optional[Sequence[Sequence[int]]] = None):
        self._config, self._labels, self.lesions = config, labels, lesions
        self._classes: List[FrozenSet[int]] = [frozenset(map(int, label.labels)) for label in labels]
        starts = generator(config.train.seed, SLICES).integers(STARTS, size=(len(lesions or ()), 2))
        self._starts = [(int(turn), int(start)) for turn, start in starts]
        self._ends = [0]  # of the passes that were looked at, in images from the first one
        self.images: int = config.train.images_per_epoch or len(self._pass(0))

    def epoch(self, number: int) -> List[int]:
        """Numbers of the images of one epoch, in their order."""
        at, skipped = self._place(number * self.images)
        order = self._pass(at)[skipped:]
        while len(order) < self.images:
            at += 1
            order += self._pass(at)
        shown: Counter[int] = Counter()
        numbers = []
        for index in order[: self.images]:
            numbers.append(index + len(self._labels) * shown[index])
            shown[index] += 1
        return numbers

    def _place(self, image: int) -> Tuple[int, int]:
        """The pass in which an image of the whole sequence lies, and how many of the pass come before it."""
        if self.lesions is None and not self._config.data.class_balance:  # passes are equally long
            return divmod(image, len(self._pass(0)))
        while self._ends[-1] <= image:
            self._ends.append(self._ends[-1] + len(self._pass(len(self._ends) - 1)))
        at = bisect.bisect_right(self._ends, image) - 1
        return at, image - self._ends[at]

    def _pass(self, number: int) -> List[int]:
        """Indices of the images of one pass over the data, in their order."""
        data, seed = self._config.data, self._config.train.seed
        images = self._chosen(number)
        if data.class_balance and images:
            classes = [self._classes[index] for index in images]
            times = balance(classes, data.class_balance, rng=generator(seed, BALANCE, number))
            images = np.repeat(images, times).tolist()
        ratio = data.background_ratio
        return epoch_order(self._labels, background_ratio=ratio, seed=seed, epoch=number, foreground=images)

    def _chosen(self, number: int) -> List[int]:
        """Images with boxes of one pass, each once: those of one lesion may show others too."""
        count = self._config.data.slices_per_lesion
        if self.lesions is None or count is None:
            return with_boxes(self._labels)
        places = zip(self.lesions, self._starts)
        return sorted(
            {
                images[place]
                for images, (turn, start) in places
                for place in spaced(len(images), count, turn=turn + number, start=start)
            }
        )

    def summary(self, classes: Sequence[str]) -> Dict[str, Any]:
        """What the first epoch shows of the data, for the log.

        images: of an epoch. with_boxes: those of the first epoch with a box, and all of the data. lesions: in the data,
        None where all slices are taken. class_images: by class the images with it, in the first epoch and in the data.
        """
        indices = [number % len(self._labels) for number in self.epoch(0)]
        shown, there = (
            Counter(label for index in some for label in self._classes[index])
            for some in (indices, range(len(self._labels)))
        )
        return {
            "images": self.images,
            "with_boxes": [sum(bool(self._classes[index]) for index in indices), len(with_boxes(self._labels))],
            "lesions": None if self.lesions is None else len(self.lesions),
            "class_images": {name: [shown[label], there[label]] for label, name in enumerate(classes)},
        }


def lesion_images(config: Config, dataset: Dataset, labels: Sequence[Any]) -> Optional[List[List[int]]]:
    """Indices into ``labels`` of the images of each lesion, from the feet up; None where all of them are taken.

    Boxes are joined to lesions as :mod:`gluon_liver.metrics.lesions` joins what was drawn; an image is in the list of
    every lesion that it shows.
    """
    if config.data.slices_per_lesion is None or not isinstance(dataset, CTDataset):
        return None
    of_case: Dict[str, Dict[int, int]] = {}
    for index, label in enumerate(labels):
        of_case.setdefault(label.case, {})[label.slice] = index
    lesions = []
    for case, places in of_case.items():
        boxes = [
            SliceBox(place, box, dataset.classes[kind], 1.0, labels[index].lesion_of(row))
            for place, index in places.items()
            for row, (box, kind) in enumerate(zip(labels[index].boxes, labels[index].labels))
        ]
        joined = join_drawn(boxes, spacing=dataset.record(case).geometry.spacing, seen=list(places))
        lesions += [[places[place] for place in dict.fromkeys(box.slice for box in lesion)] for lesion in joined]
    return lesions


def spaced(total: int, count: int, *, turn: int, start: int) -> List[int]:
    """``count`` of ``total`` places in a row (all, if they are fewer), evenly spaced, rising.

    Turns that follow each other begin at other places, far from each other: in ``ceil(total / count)`` turns each place
    is there once or twice. ``start`` (0 to below :data:`STARTS`) moves all places by a part of the distance between two
    turns, which decides what is there twice.
    """
    count = min(count, total)
    turns = -(-total // count)
    # a fraction of the distance total / count; whole numbers, so that no rounding leaves a place out
    begin = spread(turns)[turn % turns] * STARTS + start
    whole = turns * STARTS
    return [(step * whole + begin) * total // (count * whole) for step in range(count)]


def spread(count: int) -> List[int]:
    """0 to below ``count`` in an order of which every beginning is spread over the whole: 4, 2, 6, 1, 5, 3, 7, 0 of 8.

    It is van der Corput's sequence, which halves the widest gap.
    """
    bits = count.bit_length()
    halves = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(1, 2**bits))
    return list(dict.fromkeys(half * count >> bits for half in halves))


def balance(classes: Sequence[FrozenSet[int]], exponent: float, *, rng: np.random.Generator) -> np.ndarray:
    """How often to show each image (n,) int64, of which ``classes`` says what is on it.

    The mean over generators is (images of the commonest class / images of the image's rarest class) ** exponent. Each
    draw rounds up or down such that images of one mean are shown that often together, to within one. So repeats
    detectron2 (RepeatFactorTrainingSampler, of LVIS): its factor ``max(1, sqrt(threshold / frequency))`` is this mean
    with exponent 0.5 where the threshold is the frequency of the commonest class.
    """
    images = Counter(label for one in classes for label in one)
    most = max(images.values())
    factors = np.array([max((most / images[label]) ** exponent for label in one) for one in classes])
    order = rng.permutation(len(classes))
    order = order[np.argsort(factors[order], kind="stable")]  # images of one factor share what rounding leaves
    ends = np.floor(np.cumsum(factors[order]) + rng.random()).astype(np.int64)
    times = np.empty(len(classes), np.int64)
    times[order] = np.diff(ends, prepend=0)
    return times
