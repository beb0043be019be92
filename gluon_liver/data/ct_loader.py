"""From a prepared dataset to what a network sees: slice stacks of its phases, boxes in network pixels.

Everything random is drawn from (seed, epoch, index), never from a global generator, so that the order in which
images are loaded changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.config.schema import DataConfig
from gluon_liver.errors import DatasetError
from gluon_liver.structures.boxes import scale_boxes

from .ct_dataset import CTDataset
from .ct_labels import CTLabel
from .images import resize_square, slice_stack
from .windowed_images import open_images, prepare_images

OPEN_MAPS = 64  # each holds a file descriptor, of which a process has about a thousand
# what a random number is for; part of its seed, so that no two purposes share a stream
ORDER, AUGMENT, SHUFFLE, TARGETS, DRAWS = range(5)


def generator(seed: int, purpose: int, *place: int) -> np.random.Generator:
    """The generator of one purpose at one place (epoch, index)."""
    return np.random.default_rng([seed, purpose, *place])


@dataclass(frozen=True)
class Sample:
    """One network input.

    Attributes
    ----------
    image: uint8, CT (phase, 1, depth, size, size), the reference phase first; ultrasound (frame, 3, size, size), red,
        green, blue, the current frame last.
    present: bool (phase,), False where the study has no such phase at this slice. Its pixels are then those of the
        reference phase, so that BatchNorm sees nothing foreign; the network masks what it would say.
    boxes: float32 (n, 4) corners in pixels of the network input.
    labels: int32 (n,) indices into the dataset's classes.
    scale: network pixels per stored pixel.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    scale: float
    present: np.ndarray = field(default_factory=lambda: np.ones(1, bool))


class CTLoader:
    """Loads slices of a dataset as the ``data`` section of a configuration says.

    The reference phase alone, or with ``multi_modal`` all phases of the data, the reference phase first and the
    others in the data's order.
    """

    def __init__(
        self,
        dataset: CTDataset,
        config: DataConfig,
        *,
        cases: Sequence[str],
        multi_modal: bool = False,
        progress: bool = False,
    ):
        self._dataset = dataset
        self._config = config
        others = [name for name in dataset.phases if name != dataset.reference_phase] if multi_modal else []
        self._phases = [dataset.reference_index] + [dataset.phases.index(name) for name in others]
        # open memory maps and the presence of phases (P, Z), the latest used last
        self._images: "OrderedDict[str, Tuple[np.ndarray, np.ndarray]]" = OrderedDict()
        prepare_images(dataset, window=config.window, storage=config.storage, cases=cases, progress=progress)

    def labelled(self, label: CTLabel) -> Sample:
        """The input of a labelled slice, with its boxes."""
        return self.load(label.case, label.slice, label=label)

    def load(self, case: str, slice_index: int, *, label: Optional[CTLabel] = None) -> Sample:
        """The stack around ``slice_index`` of ``case``, with the boxes of ``label`` if given."""
        images, present = self._open(case)
        slices = images.shape[1]
        if not 0 <= slice_index < slices:
            raise DatasetError(f"{case} has slices 0 to {slices - 1}, not {slice_index}")
        there = present[self._phases, slice_index]
        phases = [phase if found else self._phases[0] for phase, found in zip(self._phases, there)]
        stacks = [self._stack(images[phase], present[phase], slice_index) for phase in phases]
        stack, scale = resize_square(np.stack(stacks), self._config.size)
        boxes = np.zeros((0, 4), np.float32) if label is None else scale_boxes(label.boxes, scale)
        labels = np.zeros(0, np.int32) if label is None else label.labels
        return Sample(stack[:, None], boxes, labels, scale, there)

    def _stack(self, volume: np.ndarray, present: np.ndarray, slice_index: int) -> np.ndarray:
        """The slices around one, the ends of the phase's own stack repeated."""
        first, last = np.flatnonzero(present)[[0, -1]]
        return slice_stack(volume[first : last + 1], slice_index - first, self._config.slices)

    def _open(self, case: str) -> Tuple[np.ndarray, np.ndarray]:
        if case not in self._images:
            images = open_images(self._dataset, case, self._config.window, self._config.storage)
            self._images[case] = images, self._dataset.study(case).present
            if len(self._images) > OPEN_MAPS:
                self._images.popitem(last=False)
        self._images.move_to_end(case)
        return self._images[case]


def epoch_order(labels: Sequence[CTLabel], *, background_ratio: float, seed: int, epoch: int) -> List[int]:
    """Indices into ``labels`` for one epoch: every image with boxes, and background up to the ratio, shuffled.

    Without any image with boxes the whole background is used. Backgrounds rotate: each epoch draws its own.
    """
    rng = generator(seed, ORDER, epoch)
    foreground = [index for index, label in enumerate(labels) if len(label.boxes)]
    background = [index for index, label in enumerate(labels) if not len(label.boxes)]
    if foreground:
        count = min(len(background), int(round(background_ratio * len(foreground))))
        background = [int(index) for index in rng.permutation(background)[:count]]
    return [int(index) for index in rng.permutation(foreground + background)]


def shuffle_labels(labels: Sequence[CTLabel], *, seed: int) -> List[CTLabel]:
    """The control experiment: boxes and classes dealt to other images at random.

    A network trained on these can learn where lesions tend to lie and nothing of what they look like.
    """
    order = generator(seed, SHUFFLE).permutation(len(labels))
    return [
        dataclasses.replace(label, boxes=labels[other].boxes, labels=labels[other].labels)
        for label, other in zip(labels, order)
    ]
