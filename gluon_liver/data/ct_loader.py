"""From a prepared dataset to what a network sees: slice stacks of its phases, boxes in network pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Callable, List, Optional, Sequence

import numpy as np

from gluon_liver.config.inputs import DataConfig
from gluon_liver.config.schema import Config
from gluon_liver.errors import DatasetError
from gluon_liver.structures.boxes import scale_boxes

from .ct_dataset import CTDataset
from .ct_labels import CTLabel
from .images import resize_square, stack_places, stack_positions
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
    the study's order. With ``data.slice_step_mm`` the neighbours lie so far apart, between stored slices too. Raises
    :class:`DatasetError` for a slice that the study has not.
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
        around = _positions(last + 1 - first, slice_index - first, study.geometry.spacing[0], config.data)
        places.append([(int(phase), first + place) for place in around])
    planes = {place: _plane(case, *place, config.data) for stack in places for place in dict.fromkeys(stack)}
    stack, scale = resize_square(np.stack([[planes[place] for place in one] for one in places]), config.data.size)
    boxes = np.zeros((0, 4), np.float32) if label is None else scale_boxes(label.boxes, scale)
    labels = np.zeros(0, np.int32) if label is None else label.labels
    return Sample(stack[:, None], boxes, labels, scale, there)


def _positions(slices: int, centre: int, spacing: float, data: DataConfig) -> List[float]:
    """Where the slices of a stack lie among those of a phase, ``spacing`` mm apart."""
    if data.repeat_centre:
        return [float(centre)] * data.slices
    if data.slice_step_mm is None:
        return list(map(float, stack_places(slices, centre, data.slices)))
    return stack_positions(slices, centre, data.slices, data.slice_step_mm / spacing)


def _plane(case: OpenCase, phase: int, position: float, data: DataConfig) -> np.ndarray:
    """uint8 (Y, X) of a phase at a place: the stored image, or between two slices what their HU become, windowed.

    Values between are rounded to whole HU, as stored slices have them.
    """
    low = int(position)
    share = np.float32(position - low)
    if not share:
        return case.images[phase, low]
    below, above = case.study.hu[phase, low : low + 2].astype(np.float32)
    hu = np.rint(below + share * (above - below)).astype(np.int16)
    return windowed(hu, data.window, data.storage)


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
