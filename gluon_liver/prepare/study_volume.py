"""The phases of one CT study, whatever their files are -> all of them on one grid, on disk or in memory."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Generic, Mapping, Optional, Sequence, TypeVar

import numpy as np

from gluon_liver.data.study import Study, StudyRecord, StudySource, new_volume
from gluon_liver.errors import InputError, PhaseError
from gluon_liver.structures.modality import CT
from gluon_liver.structures.shared_images import Digests, digest_of
from gluon_liver.structures.slice_mapping import SliceHistory
from gluon_liver.structures.volume_stack import PutPlane, VolumeStack

from .align import PlacedPhase, put_air, put_on_grid

Stack = TypeVar("Stack", bound=VolumeStack)
PutSlice = Callable[[int, int, np.ndarray], None]  # phase, place, slice
Refuse = Callable[[str, InputError], None]  # phase, why it is not taken


@dataclass(frozen=True)
class LoadedStudy(Generic[Stack]):
    """A study with the stacks, by phase, that it was put together from, and digests of the slices of each."""

    study: Study
    stacks: Dict[str, Stack]
    digests: Dict[str, Digests]


def put_together(
    stacks: Mapping[str, Stack],
    phases: Sequence[str],
    reference: str,
    refuse: Refuse,
    *,
    case: str,
    patient: str,
    images: Mapping[str, int],
    folder: Optional[Path] = None,
    modality: str = CT,
) -> LoadedStudy[Stack]:
    """Decode the stacks, one phase after the other, and put them on the grid of the reference phase.

    stacks: by phase, the reference phase among them. phases: of the study, also those that it lacks. images: of each
    phase how many slices its source has. The study is stored in ``folder``, slice by slice, or kept in memory: the
    phase that is being resampled is the only one there.

    A phase that fails goes to ``refuse``, with a :class:`PhaseError` where it overlaps the reference phase nowhere. The
    error of the reference phase is raised, and ``folder`` is gone then.
    """
    digests: Dict[str, Digests] = {phase: set() for phase in stacks}
    watched = {phase: _watched(stack, digests[phase]) for phase, stack in stacks.items()}
    grid = watched[reference].geometry
    shape = (len(phases), *grid.size)
    hu = np.empty(shape if folder is None else 0, dtype=np.int16)
    target: ContextManager[PutSlice] = nullcontext(lambda phase, z, plane: hu.__setitem__((phase, z), plane))
    if folder is not None:
        target = new_volume(folder, shape)
    try:
        with target as put:
            placed = _put_phases(watched, phases, reference, refuse, put)
    except InputError:
        if folder is not None:
            folder.rmdir()
        raise
    history = {phase: placed[phase].history for phase in phases if phase in watched}
    source = StudySource({phase: images[phase] for phase in history}, history, watched[reference].mapping, modality)
    present = np.stack([placed[phase].present for phase in phases])
    record: Dict[str, Any] = dict(case=case, patient=patient, phases=tuple(phases), reference_phase=reference)
    record.update(present=present, geometry=grid, source=source)
    if folder is None:
        return LoadedStudy(Study(hu=hu, **record), watched, digests)
    StudyRecord(**record).save_record(folder)
    return LoadedStudy(Study.load(folder, record=StudyRecord(**record)), watched, digests)


def _watched(stack: Stack, digests: Digests) -> Stack:
    """The same stack, of which each slice that is decoded adds its digest to ``digests``."""

    def decode(put: PutPlane) -> None:
        def see(place: int, plane: np.ndarray) -> None:
            digest = digest_of(plane)
            if digest is not None:
                digests.add(digest)
            put(place, plane)

        stack.decode(see)

    return replace(stack, decode=decode)


def _put_phases(
    stacks: Dict[str, Stack], phases: Sequence[str], reference: str, refuse: Refuse, put: PutSlice
) -> Dict[str, PlacedPhase]:
    """Every slice of every phase to ``put``. Phases that fail are absent and no longer among ``stacks``.

    Raises the :class:`InputError` of the reference phase.
    """
    grid = stacks[reference].geometry
    absent = PlacedPhase(np.zeros(grid.size[0], dtype=bool), SliceHistory())
    placed = dict.fromkeys(phases, absent)
    for phase in sorted(stacks, key=lambda phase: phase != reference):
        try:
            placed[phase] = put_on_grid(stacks[phase], grid, partial(put, phases.index(phase)))
            if not placed[phase].present.any():
                raise PhaseError(f"no slice of {phase} overlaps the reference phase {reference}")
        except InputError as error:
            if phase == reference:
                raise
            refuse(phase, error)
            del stacks[phase]
            placed[phase] = absent
    for index, phase in enumerate(phases):
        if phase not in stacks:
            put_air(grid, partial(put, index), absent.present)
    return placed
