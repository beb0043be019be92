"""The chosen series of one CT study -> all phases on one grid, on disk or in memory, one phase after the other."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, List, Optional

import numpy as np

from gluon_liver.archive.damage import advice_on
from gluon_liver.data.study import Study, StudyRecord, StudySource, new_volume
from gluon_liver.errors import DicomError
from gluon_liver.phases.choice import PhaseChoice
from gluon_liver.phases.rules import PhaseRules
from gluon_liver.readers.dicom.series import Rejection, SeriesFiles
from gluon_liver.readers.dicom.volume import SeriesStack, open_series
from gluon_liver.structures.shared_images import Digests, digest_of
from gluon_liver.structures.slice_mapping import SliceHistory
from gluon_liver.structures.volume_stack import PutPlane

from .align import PlacedPhase, put_air, put_on_grid

PutSlice = Callable[[int, int, np.ndarray], None]  # phase, place, slice


@dataclass(frozen=True)
class LoadedStudy:
    """A study with the series, by phase, that it was put together from, and digests of the slices of each."""

    study: Study
    stacks: Dict[str, SeriesStack]
    digests: Dict[str, Digests]


def load_study(
    choice: PhaseChoice,
    rules: PhaseRules,
    left_out: List[Rejection],
    *,
    case: str,
    patient: str,
    regrid: bool,
    folder: Optional[Path] = None,
) -> Optional[LoadedStudy]:
    """Decode the chosen series and put them on one grid; None where the reference phase cannot be used.

    The study is stored in ``folder``, slice by slice, or kept in memory. Series that fail and slices that are left out
    are added to ``left_out`` with the reason; the study lives as long as its reference phase does.
    """
    stacks = _open_phases(choice, rules, left_out, regrid)
    if rules.reference not in stacks:
        return None
    digests: Dict[str, Digests] = {phase: set() for phase in stacks}
    stacks = {phase: _watched(stack, digests[phase]) for phase, stack in stacks.items()}
    grid = stacks[rules.reference].geometry
    shape = (len(rules.order), *grid.size)
    hu = np.empty(shape if folder is None else 0, dtype=np.int16)
    target: ContextManager[PutSlice] = nullcontext(lambda phase, z, plane: hu.__setitem__((phase, z), plane))
    if folder is not None:
        target = new_volume(folder, shape)
    try:
        with target as put:
            placed = _put_phases(stacks, choice, rules, left_out, put)
    except DicomError as error:
        _reject_reference(error, choice, rules, left_out)
        if folder is not None:
            folder.rmdir()
        return None
    for stack in stacks.values():
        left_out.extend(stack.left_out.values())
    images = {phase: len(choice.taken[phase].slices) for phase in rules.order if phase in stacks}
    history = {phase: placed[phase].history for phase in rules.order if phase in stacks}
    source = StudySource(images, history, stacks[rules.reference].mapping)
    present = np.stack([placed[phase].present for phase in rules.order])
    record: Dict[str, Any] = dict(case=case, patient=patient, phases=rules.order, reference_phase=rules.reference)
    record.update(present=present, geometry=grid, source=source)
    if folder is None:
        return LoadedStudy(Study(hu=hu, **record), stacks, digests)
    StudyRecord(**record).save_record(folder)
    return LoadedStudy(Study.load(folder, record=StudyRecord(**record)), stacks, digests)


def _watched(stack: SeriesStack, digests: Digests) -> SeriesStack:
    """The same series, of which each slice that is decoded adds its digest to ``digests``."""

    def decode(put: PutPlane) -> None:
        def see(place: int, plane: np.ndarray) -> None:
            digest = digest_of(plane)
            if digest is not None:
                digests.add(digest)
            put(place, plane)

        stack.decode(see)

    return replace(stack, decode=decode)


def _open_phases(
    choice: PhaseChoice, rules: PhaseRules, left_out: List[Rejection], regrid: bool
) -> Dict[str, SeriesStack]:
    """The grids of the series by their headers, the reference phase first; nothing where that has none."""
    stacks: Dict[str, SeriesStack] = {}
    for phase in sorted(choice.taken, key=lambda phase: phase != rules.reference):
        try:
            stacks[phase] = open_series(choice.taken[phase], regrid=regrid)
        except DicomError as error:
            if phase == rules.reference:
                _reject_reference(error, choice, rules, left_out)
                return {}
            left_out.append(_failed(choice.taken[phase], error))
    return stacks


def _put_phases(
    stacks: Dict[str, SeriesStack], choice: PhaseChoice, rules: PhaseRules, left_out: List[Rejection], put: PutSlice
) -> Dict[str, PlacedPhase]:
    """Every slice of every phase to ``put``. Phases that fail are absent and no longer among ``stacks``.

    Raises the :class:`DicomError` of the reference phase.
    """
    grid = stacks[rules.reference].geometry
    absent = PlacedPhase(np.zeros(grid.size[0], dtype=bool), SliceHistory())
    placed = dict.fromkeys(rules.order, absent)
    for phase in [*stacks]:
        try:
            placed[phase] = put_on_grid(stacks[phase], grid, partial(put, rules.order.index(phase)))
        except DicomError as error:
            if phase == rules.reference:
                raise
            left_out.append(_failed(choice.taken[phase], error))
            del stacks[phase]
            continue
        if not placed[phase].present.any():
            reason = f"no slice of {phase} overlaps the reference phase {rules.reference}"
            left_out.append(choice.taken[phase].rejection(reason, "no-overlap"))
            del stacks[phase]
    for index, phase in enumerate(rules.order):
        if phase not in stacks:
            put_air(grid, partial(put, index), absent.present)
    return placed


def _reject_reference(error: DicomError, choice: PhaseChoice, rules: PhaseRules, left_out: List[Rejection]) -> None:
    left_out.append(_failed(choice.taken[rules.reference], error))
    reason = f"the reference phase {rules.reference} of its study cannot be used"
    others = (other for phase, other in choice.taken.items() if phase != rules.reference)
    left_out.extend(other.rejection(reason, "no-reference") for other in others)


def _failed(series: SeriesFiles, error: DicomError) -> Rejection:
    return series.rejection(str(error) + advice_on(error, series), type(error).__name__)
