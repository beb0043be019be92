"""What became of a study that was stored: sizes, digests, and the way of its slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, TypeVar

import numpy as np

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.study import fingerprint, stored_slices
from gluon_liver.files.digest import digest
from gluon_liver.readers.volumes.hu_check import MOST_AIR_HU
from gluon_liver.structures.volume_stack import VolumeStack

from .grid_report import grid_record
from .study_log import StudyResult
from .study_volume import LoadedStudy

Stack = TypeVar("Stack", bound=VolumeStack)


def note_stored(
    result: StudyResult, loaded: LoadedStudy[Stack], folder: Path, said: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write down in ``result`` that the study was taken and stands in ``folder``.

    said: what the record of each phase begins with.
    """
    study = loaded.study
    result.phases = phase_records(loaded, said)
    result.stored = digest(folder / CTDataset.files[0])
    result.taken, result.slices = True, study.geometry.size[0]
    lowest: List[int] = []
    result.fingerprint = fingerprint(_noting_lowest(stored_slices(folder, study.reference_index), lowest))
    result.airless = min(lowest) > MOST_AIR_HU
    result.digests = loaded.digests


def note_read(result: StudyResult, loaded: LoadedStudy[Stack], said: Mapping[str, Mapping[str, Any]]) -> None:
    """As :func:`note_stored`, of a study in memory."""
    study = loaded.study
    result.phases, result.digests = phase_records(loaded, said), loaded.digests
    result.taken, result.slices = True, study.geometry.size[0]
    result.airless = int(study.hu[study.reference_index].min()) > MOST_AIR_HU


def phase_records(loaded: LoadedStudy[Stack], said: Mapping[str, Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """What was taken for each phase that is there. said: what its record begins with."""
    study = loaded.study
    return {
        phase: {
            **said[phase],
            "absent_slices": int((~present).sum()),
            **grid_record(loaded.stacks[phase], study.source.history[phase], int(present.sum())),
        }
        for phase, present in zip(study.phases, study.present)
        if phase in loaded.stacks
    }


def _noting_lowest(planes: Iterable[np.ndarray], lowest: List[int]) -> Iterator[np.ndarray]:
    """The slices themselves, whose lowest values are added to ``lowest`` as they pass: they are read once."""
    for plane in planes:
        lowest.append(int(plane.min()))
        yield plane
