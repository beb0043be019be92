"""What finished runs say of a claim, by a rule that is the same for all and was written before the runs.

A difference is taken seed by seed: the two arms of a seed have the same training patients, test patients and first
random numbers. Of a comparison that expects ``higher`` (``lower`` likewise, mirrored), with the 95 % interval over
seeds and the claim's smallest difference worth speaking of:

- shown: the interval lies above 0.
- refuted: the interval lies below that smallest difference: a gain that large is excluded.
- open: neither.

One that expects ``same`` is shown where the interval lies within the smallest difference either way, else refuted where
it excludes 0, else open.

A claim agrees where all comparisons of role ``claim`` are shown and each ``control`` excludes a gain of the smallest
difference (a loss does, too), or its gain is smaller than the claim's: the difference of both, seed by seed, lies above
0 with its interval. That the gain of a control is smaller excuses one that is open, which says nothing of itself; one
that is refuted by a gain it excuses with the same arms and endpoint alone. It disagrees where one of role ``claim`` is
refuted and there was room: the arm compared with is not within the smallest difference of 1, and not both are within it
of 0, where nothing was learned. Else nobody can tell: nor of a claim whose control had no room, where the arm compared
with is within the smallest difference of 1 or all arms of the condition are within it of 0, unless it gains all the
same: no gain could have shown there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.metrics.comparison import Comparison
from gluon_liver.metrics.seeds import SeedTest, holm, paired_over_seeds

from .patients import over_patients
from .plan import Key
from .records import Runs
from .spec import LEAST_SEEDS, Claim, Endpoint
from .spec import Comparison as Planned

AGREES, DISAGREES, CANNOT_TELL = "agrees", "disagrees", "cannot tell"
NOT_YET, UNFINISHED = "not run yet", "not finished"
SHOWN, REFUTED, OPEN, TOO_FEW = "shown", "refuted", "open", "too few seeds"
Values = Dict[int, float]  # by seed


@dataclass(frozen=True)
class Compared:
    """A comparison with its difference over seeds, None before there is a seed of both arms.

    holm: P adjusted over all comparisons of the claim that were planned before its runs. patients: the difference with
    an interval over seeds and test patients both, of endpoints that the counts by patient make; the rule does not read
    it.
    """

    comparison: Planned
    endpoint: Endpoint
    difference: Optional[SeedTest]
    holm: Optional[float]
    patients: Optional[Comparison]
    outcome: str


AllCompared = Mapping[str, Sequence[Compared]]  # by claim


@dataclass(frozen=True)
class Verdict:
    """word: one of the five. why: in words."""

    word: str
    why: str


def values_of(claim: Claim, records: Runs, condition: str, arm: str, path: Optional[str] = None) -> Values:
    """An endpoint by seed, of finished runs where it is defined."""
    path = path or claim.endpoint.path
    found: Values = {}
    for seed in claim.seeds:
        record = records.get(Key(claim.claim, condition, arm, seed))
        value = record.value(path) if record is not None else None
        if value is not None:
            found[seed] = value
    return found


def over_seeds(values: Sequence[float]) -> Optional[SeedTest]:
    """Mean and interval of figures, one a seed; None without any."""
    return paired_over_seeds(values, [0.0] * len(values)) if len(values) else None


def compare(claim: Claim, records: Runs) -> List[Compared]:
    """All comparisons of a claim."""
    differences, patients = [], []
    for one in claim.comparisons:
        gains = _gains(claim, records, one)
        differences.append(over_seeds(list(gains.values())))
        ours, others = (
            [records[Key(claim.claim, one.condition, name, seed)] for seed in gains] for name in (one.arm, one.against)
        )
        patients.append(over_patients(ours, others, claim.endpoint_at(one.endpoint).path))
    planned = [one.role != "afterwards" for one in claim.comparisons]
    tests = enumerate(zip(differences, planned))
    adjusted = holm({place: one.p if one and known else None for place, (one, known) in tests}).values()
    return [
        Compared(one, claim.endpoint_at(one.endpoint), difference, p, over, outcome(one, difference, claim))
        for one, difference, p, over in zip(claim.comparisons, differences, adjusted, patients)
    ]


def outcome(comparison: Planned, difference: Optional[SeedTest], claim: Claim) -> str:
    """Shown, refuted or open, see above."""
    if difference is None or too_few(difference, claim):
        return TOO_FEW
    low, high = ends_of(difference)
    if comparison.expects == "lower":
        low, high = -high, -low
    if comparison.expects == "same":
        if -claim.smallest < low and high < claim.smallest:
            return SHOWN
        return REFUTED if low > 0 or high < 0 else OPEN
    if low > 0:
        return SHOWN
    return REFUTED if high < claim.smallest else OPEN


def too_few(difference: SeedTest, claim: Claim) -> bool:
    """Whether nothing is to be said of it yet."""
    return difference.n < min(LEAST_SEEDS, len(claim.seeds))


def ends_of(difference: SeedTest) -> Tuple[float, float]:
    """Of the interval; the mean, twice, where all seeds are alike and there is none."""
    low, high = (difference.mean if end is None else end for end in (difference.low, difference.high))
    return low, high


def up_of(one: Planned) -> int:
    """The sign of a gain: -1 of a comparison that expects ``lower``."""
    return -1 if one.expects == "lower" else 1


def verdict(claim: Claim, compared: Sequence[Compared], records: Runs) -> Verdict:
    """What the comparisons say together."""
    ours = [one for one in compared if one.comparison.role == "claim"]
    controls = [one for one in compared if one.comparison.role == "control"]
    if any(one.outcome == TOO_FEW for one in (*ours, *controls)):
        return _unfinished(claim, [*ours, *controls])
    refuted, unsure = [one for one in ours if one.outcome == REFUTED], _named(ours, OPEN)
    told = [one for one in refuted if _has_room(claim, records, one.comparison)]
    if told:
        return Verdict(DISAGREES, f"a gain of {claim.smallest:g} is excluded: {_names(told)}")
    if refuted:
        return Verdict(CANNOT_TELL, f"nothing was learned, or nothing left to gain: {_names(refuted)}")
    if unsure:
        return Verdict(CANNOT_TELL, f"the interval holds 0 and a gain of {claim.smallest:g}: {unsure}")
    up = up_of(ours[0].comparison)
    gaining = [one for one in controls if one.outcome == REFUTED and one.difference and up * one.difference.mean > 0]
    unknown = [one for one in controls if one.outcome == OPEN and not _excludes_gain(one.difference, claim, up)]
    larger = [control for _, control, more in beyond_controls(claim, records) if more and lies_beyond(more, up)]
    same = [control for _, control, _ in without_mechanism(claim, records)]
    elsewhere = [one for one in gaining if not (one.comparison in larger and one.comparison in same)]
    if elsewhere:
        return Verdict(CANNOT_TELL, f"a control gains too: {_names(elsewhere)}")
    without_room = [
        one for one in controls if one not in gaining and not _could_gain(claim, records, one.comparison, up)
    ]
    if without_room:
        why = "without the mechanism no gain could have shown, for nothing was learned or nothing left to gain"
        return Verdict(CANNOT_TELL, f"{why}: {_names(without_room)}")
    unknown, smaller = [one for one in unknown if one.comparison not in larger], [*gaining, *unknown]
    if unknown:
        return Verdict(CANNOT_TELL, f"whether the gain is there without the mechanism too is open: {_names(unknown)}")
    small = (
        " (below what is worth speaking of)" if any(_excludes_gain(one.difference, claim, up) for one in ours) else ""
    )
    if smaller:
        why = f"the gain with the mechanism{small} is larger than the one without it: {_names(smaller)}"
        return Verdict(AGREES, why)
    return Verdict(AGREES, f"the gain is there with the mechanism{small}, and not without it")


def _unfinished(claim: Claim, deciding: List[Compared]) -> Verdict:
    """How many seeds are in, and of what where not all have as many."""
    seeds = [one.difference.n if one.difference else 0 for one in deciding]
    said = f"{min(seeds)} of {len(claim.seeds)} seeds are in"
    if len(set(seeds)) > 1:
        said += f" of {_names([one for one, count in zip(deciding, seeds) if count == min(seeds)])}"
    return Verdict(UNFINISHED if any(seeds) else NOT_YET, said)


def _excludes_gain(difference: Optional[SeedTest], claim: Claim, up: int) -> bool:
    """Whether the interval excludes a gain of the smallest difference."""
    ends = (difference.low, difference.high) if difference else (None, None)
    return all(end is not None for end in ends) and max(up * end for end in ends if end is not None) < claim.smallest


def lies_beyond(difference: SeedTest, up: int) -> bool:
    """Whether the interval lies above 0, where ``up`` is -1 below it."""
    return all(up * end > 0 for end in ends_of(difference))


def _has_room(claim: Claim, records: Runs, one: Planned) -> bool:
    """Whether a gain could have been seen: see above."""
    if one.expects == "same":
        return True
    arm, against = (_mean(claim, records, one, name) for name in (one.arm, one.against))
    best = 0.0 if one.expects == "lower" else 1.0
    return abs(best - against) >= claim.smallest and max(arm, against) >= claim.smallest


def _could_gain(claim: Claim, records: Runs, one: Planned, up: int) -> bool:
    """Whether a control could have shown a gain; of arms of its condition that nothing is of, nothing is asked."""
    arms = [_mean(claim, records, one, name) for name in claim.arms_of(one.condition)]
    best = 0.0 if up < 0 else 1.0
    return abs(best - _mean(claim, records, one, one.against)) >= claim.smallest and np.nanmax(arms) >= claim.smallest


def _mean(claim: Claim, records: Runs, one: Planned, arm: str) -> float:
    """Of an arm in the condition of a comparison at its endpoint, NaN without runs."""
    values = list(values_of(claim, records, one.condition, arm, one.endpoint).values())
    return float(np.mean(values)) if values else np.nan


def beyond_controls(claim: Claim, records: Runs) -> List[Tuple[Planned, Planned, Optional[SeedTest]]]:
    """The difference of each claim's comparison minus that of each control, seed by seed."""
    return [
        (one, other, over_seeds(list(_minus(_gains(claim, records, one), _gains(claim, records, other)).values())))
        for one in claim.comparisons
        for other in claim.comparisons
        if one.role == "claim" and other.role == "control"
    ]


def without_mechanism(claim: Claim, records: Runs) -> List[Tuple[Planned, Planned, Optional[SeedTest]]]:
    """Of :func:`beyond_controls` those with the same arms and endpoint."""
    return [
        (one, other, difference)
        for one, other, difference in beyond_controls(claim, records)
        if (one.arm, one.against, one.endpoint) == (other.arm, other.against, other.endpoint)
    ]


def _gains(claim: Claim, records: Runs, one: Planned) -> Values:
    return _minus(*(values_of(claim, records, one.condition, name, one.endpoint) for name in (one.arm, one.against)))


def _minus(arm: Values, against: Values) -> Values:
    """Of the seeds that both have."""
    return {seed: arm[seed] - against[seed] for seed in arm if seed in against}


def _named(compared: List[Compared], outcome_word: str) -> str:
    return _names([one for one in compared if one.outcome == outcome_word])


def _names(compared: List[Compared]) -> str:
    names = []
    for one in compared:
        comparison, of = one.comparison, f" ({one.endpoint.text})" if one.comparison.endpoint else ""
        names.append(f"{comparison.arm} against {comparison.against} in {comparison.condition}{of}")
    return "; ".join(names)
