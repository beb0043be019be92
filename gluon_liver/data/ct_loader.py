"""From a prepared dataset to what a network sees: slice stacks of its phases, boxes in network pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Callable, Optional, Sequence

import numpy as np

from gluon_liver.config.schema import Config, DataConfig
from gluon_liver.errors import DatasetError
from gluon_liver.structures.boxes import scale_boxes

from .ct_dataset import CTDataset
from .ct_labels import CTLabel
from .images import resize_square, stack_places
from .samples import Sample
from .study import Study, StudyRecord
from .windowed_images import Images, open_images, prepare_images, windowed

OPEN_MAPS = 64  # cases; each holds two file descriptors, of which a process has about a thousand


@dataclass(frozen=True)
class OpenCase:
    """A study and its windowed images at stored size, in memory or in a file."""

    study: Study
    images: Images

    @classmethod
    def in_memory(cls, study: Study, config: DataConfig) -> OpenCase:
        """A study that is not part of prepared data: its images are windowed here and stored nowhere."""
        return cls(study, windowed(study.hu, config.window, config.storage))


def ct_sample(case: OpenCase, slice_index: int, config: Config, *, label: Optional[CTLabel] = None) -> Sample:
    """The stack around a slice as a configuration's network takes it, with the boxes of ``label`` if given.

    The reference phase alone, or with a ``network.relation`` all phases, the reference phase first and the others in
    the study's order. Raises :class:`DatasetError` for a slice that the study has not.
    """
    study, slices = case.study, case.images.shape[1]
    if not 0 <= slice_index < slices:
        raise DatasetError(f"{study.case} has slices 0 to {slices - 1}, not {slice_index}")
    reference, phases = study.reference_index, phases_read(study, config)
    there = study.present[phases, slice_index]
    places = []
    for phase in np.where(there, shown_phases(study, config), reference):
        # the ends of the phase's own stack repeat, not those of the reference phase
        first, last = (int(end) for end in np.flatnonzero(study.present[phase])[[0, -1]])
        around = stack_places(last + 1 - first, slice_index - first, config.data.slices)
        if config.data.repeat_centre:
            around = around[len(around) // 2 :][:1] * len(around)
        places.append([(int(phase), first + place) for place in around])
    planes = {place: case.images[place] for stack in places for place in dict.fromkeys(stack)}
    stack, scale = resize_square(np.stack([[planes[place] for place in one] for one in places]), config.data.size)
    boxes = np.zeros((0, 4), np.float32) if label is None else scale_boxes(label.boxes, scale)
    labels = np.zeros(0, np.int32) if label is None else label.labels
    return Sample(stack[:, None], boxes, labels, scale, there)


def phases_read(study: StudyRecord, config: Config) -> np.ndarray:
    """Indices of the phases that a configuration's network reads, the reference phase first, the others in order."""
    others = [index for index in range(len(study.phases)) if index != study.reference_index]
    return np.array([study.reference_index, *(others if config.network.multi_modal else [])])


def shown_phases(study: StudyRecord, config: Config) -> np.ndarray:
    """Whose pictures stand for :func:`phases_read`: their own, or the reference phase's with data.repeat_reference."""
    phases = phases_read(study, config)
    return np.full_like(phases, study.reference_index) if config.data.repeat_reference else phases


class CTLoader:
    """Loads labelled slices of a dataset for a network, see :func:`ct_sample`."""

    def __init__(self, dataset: CTDataset, config: Config, *, cases: Sequence[str], progress: bool = False):
        self._dataset, self._config = dataset, config
        self.open: Callable[[str], OpenCase] = lru_cache(OPEN_MAPS)(self._open)  # one of the cases
        data = config.data
        prepare_images(dataset, window=data.window, storage=data.storage, cases=cases, progress=progress)

    def labelled(self, label: CTLabel) -> Sample:
        """The input of a labelled slice, with its boxes."""
        return ct_sample(self.open(label.case), label.slice, self._config, label=label)

    def _open(self, case: str) -> OpenCase:
        images = open_images(self._dataset, case, self._config.data.window, self._config.data.storage)
        return OpenCase(self._dataset.study(case), images)
