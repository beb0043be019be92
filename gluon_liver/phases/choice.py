"""Which series of a case is which contrast phase. Nothing is guessed: what cannot be told is left out, with why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from gluon_liver.readers.dicom.series import Rejection, SeriesFiles
from gluon_liver.readers.dicom.slice_grid import SAME_POSITION_MM, SPACING_TOLERANCE, file_of, project_positions
from gluon_liver.structures.enumerations import first_of

from .rules import PhaseRules, match_description, match_folders
from .words import none_of_the_phases, with_and_without

NAME_IT = "name it under 'series' of a phase file"
KINDS = ("", "derived", "projection", "labels")  # what a folder or a bare UID means first
EXACT, BARE, FOLDER, PATTERN = range(4)
MAX_NAMED = 6


class Claim(NamedTuple):
    """That a series is a phase: by which rule, and how much that rule counts (less is more)."""

    series: SeriesFiles
    phase: str
    rule: str
    rank: int


@dataclass
class PhaseChoice:
    """The series taken for each phase and by which rule, and the series left out."""

    taken: Dict[str, SeriesFiles]
    rule: Dict[str, str]
    left_out: List[Rejection]


def choose_phases(series: Sequence[SeriesFiles], rules: PhaseRules) -> PhaseChoice:
    """One series for each phase of one case.

    A UID of the phase file wins over a folder, and a folder over patterns, which never take derived images nor one of
    several acquisitions. A series that matches no phase or several, and series that compete for one phase, are left out
    with the reason and what to do.
    """
    choice = PhaseChoice({}, {}, [])
    claims = [claim for one in series for claim in _claim(one, rules, choice.left_out)]
    claims = _plain_first(claims, choice.left_out)
    for phase in rules.order:
        of_phase = [claim for claim in claims if claim.phase == phase]
        best = min((claim.rank for claim in of_phase), default=EXACT)
        exact = {claim.series.number for claim in of_phase if claim.rank == EXACT}
        rivals = [claim for claim in of_phase if claim.rank == best]
        if exact:  # a bare UID names what no address of its series does
            rivals += [claim for claim in of_phase if claim.rank == BARE and claim.series.number not in exact]
        for claim in of_phase:
            if claim not in rivals:
                reason = f"the phase file names another series for {phase}"
                choice.left_out.append(claim.series.rejection(reason, "other-series-named"))
        if best == PATTERN and any(one.series.acquisition and not one.series.own_description for one in rivals):
            # A description of the whole series does not tell its acquisitions, not even one that is left alone.
            choice.left_out += _competing([claim.series for claim in rivals], phase)
        elif len(rivals) == 1:
            choice.taken[phase], choice.rule[phase] = rivals[0].series, rivals[0].rule
        elif rivals:
            choice.left_out += _competing([claim.series for claim in rivals], phase)
    return choice


def _claim(one: SeriesFiles, rules: PhaseRules, left_out: List[Rejection]) -> List[Claim]:
    """What the rules say of one series, nothing where it is left out."""
    named = rules.series.get(one.address)
    if named:
        return [Claim(one, named, "named in the phase file", EXACT)]
    part = f"{one.series_uid} part {one.part}" if one.part else one.series_uid
    named = rules.series.get(part) or rules.series.get(one.series_uid)
    if named:
        return [Claim(one, named, "named in the phase file", BARE)]
    folders, words = match_folders(one, rules), match_description(one.description, rules)
    matches = folders or words
    reason, kind = "", ""
    if len(matches) > 1:
        where = "folder" if folders else "description"
        reason, kind = f"its {where} matches several phases ({', '.join(matches)}); {NAME_IT}", "several-phases"
    elif folders:
        ((phase, rule),) = folders.items()
        return [Claim(one, phase, rule, FOLDER)]
    elif one.kind:
        would = f" (its description says {', '.join(words)})" if words else ""
        reason, kind = f"{one.kind_reason}{would}; if it is needed, {NAME_IT}", one.kind
    elif words and len(one.slices) == 1 and not one.defects:
        reason, kind = f"one image (its description says {', '.join(words)}) is no volume", "one-image"
    elif words:
        ((phase, rule),) = words.items()
        return [Claim(one, phase, rule, PATTERN)]
    else:
        said = ""
        if rules.has_default_patterns:
            said = none_of_the_phases(one.description) or with_and_without(one.description)
        why = f"its description says {said}" if said else "no rule says which phase it is"
        reason, kind = f"{why}; if it is needed, {NAME_IT}", "no-phase"
    left_out.append(one.rejection(reason, kind))
    return []


def _plain_first(claims: List[Claim], left_out: List[Rejection]) -> List[Claim]:
    """Without derived images where a rule that names more than one series means plain ones, too."""

    def entry(claim: Claim) -> Tuple[str, str, int]:
        return claim.phase, claim.rule, claim.series.number if claim.rank == BARE else -1

    best: Dict[Tuple[str, str, int], int] = defaultdict(lambda: len(KINDS))
    claims_by_entry = [claim for claim in claims if claim.rank in (BARE, FOLDER)]
    for claim in claims_by_entry:
        best[entry(claim)] = min(best[entry(claim)], KINDS.index(claim.series.kind))
    kept = []
    for claim in claims:
        one = claim.series
        if claim in claims_by_entry and KINDS.index(one.kind) > best[entry(claim)]:
            reason = f"{one.kind_reason}, beside others that the same entry of the phase file means; {NAME_IT}"
            left_out.append(one.rejection(reason, one.kind))
        else:
            kept.append(claim)
    return kept


def _competing(rivals: Sequence[SeriesFiles], phase: str) -> List[Rejection]:
    """Why several series for one phase are left out, and what to write."""
    if len(rivals) == 1:
        reason = f"its series holds several acquisitions, and its description is that of all; {NAME_IT}"
        return [one.rejection(f"{reason}, as 'UID{one.place}'", "several-acquisitions") for one in rivals]
    if len({one.number for one in rivals}) == 1 and all(one.acquisition for one in rivals):
        return several_acquisitions(rivals, phase)
    result = []
    for one in rivals:
        others = [other.name for other in rivals if other is not one]
        named = first_of(others, MAX_NAMED)
        joined = " of another study that was joined" * any(other.study_uid != one.study_uid for other in rivals)
        write = f" (as 'UID{one.place}')" * bool(one.place)
        reason = f"it competes with {named}{joined} for {phase}; name one of them{write} under 'series' of a phase file"
        result.append(one.rejection(reason, "competing-series"))
    return result


def several_acquisitions(rivals: Sequence[SeriesFiles], phase: str) -> List[Rejection]:
    """Why the acquisitions of one series are left out; the same words for all of them."""
    stacks = []
    for one in rivals:
        z = project_positions(one.slices)[1]
        stacks.append(f"{one.place.strip()} ({len(one.slices)} slices, z {z.min():.0f} to {z.max():.0f} mm)")
    what = f"series {rivals[0].number:02d} holds {len(rivals)} acquisitions (by {rivals[0].told_by}): "
    reason = (
        f"{what}{first_of(stacks, MAX_NAMED)}; nothing says which of them is {phase}: write its address, as "
        f"'UID{rivals[0].place}', under 'series' of a phase file"
    )
    twice = _seen_twice(rivals)
    if twice:
        reason += f". They continue each other: without {twice} (--exclude) they are one volume"
    return [one.rejection(reason, "several-acquisitions") for one in rivals]


def _seen_twice(rivals: Sequence[SeriesFiles]) -> str:
    """The files of slices at borders that two acquisitions share, where all others make one even stack; else ""."""
    slices = [header for one in rivals for header in one.slices]
    z = project_positions(slices)[1]
    order = np.argsort(z, kind="stable")
    steps = np.diff(z[order])
    again = np.flatnonzero(steps < SAME_POSITION_MM) + 1
    steps = np.diff(np.delete(z[order], again))
    if not 0 < len(again) < len(rivals) or np.ptp(steps) > SPACING_TOLERANCE * steps.mean():
        return ""
    return first_of((file_of(slices[index]) for index in order[again]), MAX_NAMED)
