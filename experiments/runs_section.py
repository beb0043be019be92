"""The end of the page: how it was made, the rule, and where the runs come from."""

from __future__ import annotations

from collections import Counter
from typing import Callable, Collection, Dict, Iterator, List, Mapping, Sequence, Set, Tuple

from .plan import digest
from .printed import counted
from .records import Failure, RunRecord, Runs, line_of

METHOD = """## How it was made

Each claim has a file in `experiments/`, written before its runs: conditions with the mechanism on and off, arms, one
endpoint, the expected direction, and the smallest difference worth speaking of. All runs of a condition are scored on
the same held-out phantom patients; each seed has training patients, first weights, order and augmentation of its own,
which its arms share, so arms are compared seed by seed, over the seeds that both have. Intervals are 95 % t intervals
over seeds: they hold for other trainings and training patients, not for other test patients; those of means end at 0
and 1. They take differences for normal, of which five tell little: P of the signs alone cannot be below 0.06 with five
seeds. P is of the paired t-test over seeds, Holm's P of all comparisons of the claim together that were planned before
its runs. "Would be seen" is the true difference that P < 0.05 would show in four of five studies of as many seeds, by
the SD over these. "Over patients too" is an interval that holds for other test patients as well, from two seeds on,
where the endpoint is made of counts by patient: those of the detections as the run wrote them, rounded, and of an
average precision those of score 0.05 and more. Its degrees of freedom are those of seeds and patients together, more
than those of the seeds, so that it can be the narrower one. The rule does not read it, nor P.

**The rule**, the same for all claims. A comparison is *shown* where its interval lies beyond 0 in the expected
direction, *refuted* where the interval excludes even the smallest difference worth speaking of, and *open* otherwise;
one that expects no difference is shown where the interval lies within it, else refuted where it excludes 0. A claim
**agrees** where all comparisons of role claim are shown and each control excludes a gain worth speaking of, or gains
less: the claim's difference minus the control's, seed by seed, lies above 0 with its interval (of a control that is
refuted by a gain, with the same arms and endpoint alone). A control that is open and not shown to gain less leaves the
claim open: no difference seen is not no difference. So does one that had no room to gain: the arm compared with within
that smallest difference of 1, or all arms of the condition within it of 0. It **disagrees** where one of role claim is
refuted though there was room: the arm compared with was not within that smallest difference of 1, nor both arms within
it of 0. It **cannot tell** otherwise. "Does not gain" in the rule of a claim is read so. "Shown" is said of further
trainings, scored on these test patients, and not of other patients. What stands behind a verdict with "Also" is no part
of the rule: arms that the claim's arm is not shown to be better than, in its condition and at its endpoint, and losses
of the same arms in a control, which counts there as no gain. Of role *afterwards* is what was thought of when results
had been seen.

What is asked of controls took this form when five runs were in, all of one seed, but that they need room, which was
added when two of five seeds were in; then, too, the rule of flow was made to name a control that its comparisons had
from the beginning. No claim had a verdict then. The rest of the rule is older than the runs. What is said with "Also",
what is of role afterwards, the words below the tables and the column "would be seen" came when four of five seeds were
in, of depth all five.
"""


def failed_lines(failed: Collection[Failure]) -> Iterator[str]:
    """Runs that failed and were never finished."""
    for one in failed:
        times = counted(one.attempts, "time")
        yield f"- The run {one.key} failed {times} ({one.stage}, code {one.code}): {one.said}"
    if failed:
        yield ""


def runs_lines(archived: Sequence[RunRecord], records: Runs) -> Iterator[str]:
    """What the archive holds, and which code and machines made it. records: those that the page shows."""
    yield "## The runs\n"
    yield (
        "`experiments/archive` has a line of JSON a run: its setting, the code's revision, every value of the "
        "evaluation, counts by patient, the losses, thinned, and the seconds it took."
    )
    by_claim: Dict[str, List[str]] = {}
    for one in archived:
        by_claim.setdefault(one.claim, []).append(line_of(one))
    if by_claim:
        yield f"\nDigests of the records: {', '.join(f'{name} {digest(lines)}' for name, lines in by_claim.items())}."
    if len(archived) > len(records):
        others = len(archived) - len(records)
        yield f"\n{others} archived run(s) are of other settings than the files have now and are not shown."
    for what, found in (
        ("Revisions of the code (of a run that was resumed, the one it began with)", _count(records, _revision)),
        ("Machines", _count(records, _machine)),
    ):
        if found:
            texts = (f"{name} ({counted(count, 'run')})" for name, count in sorted(found.items()))
            yield f"\n{what}: {', '.join(texts)}."
    yield from _mixed_lines(records)


def _mixed_lines(records: Runs) -> Iterator[str]:
    """Where runs that are compared were made by different code, or with different defaults."""
    revisions: Dict[str, Set[str]] = {}
    configurations: Dict[Tuple[str, ...], Dict[str, List[int]]] = {}
    for key, one in sorted(records.items()):
        revisions.setdefault(f"{key.claim}/{key.condition}/seed {key.seed}", set()).add(_revision(one))
        of_arm = configurations.setdefault((key.claim, key.condition, key.arm), {})
        of_arm.setdefault(one.config, []).append(key.seed)
    mixed = [place for place, names in revisions.items() if len(names) > 1]
    if mixed:
        yield f"\nSeeds whose arms are of more than one revision: {', '.join(mixed)}."
    parts = Counter(
        " | ".join(sorted(", ".join(map(str, seeds)) for seeds in of_arm.values()))
        for of_arm in configurations.values()
        if len(of_arm) > 1
    )
    if parts:
        listed = "; ".join(f"{seeds} ({counted(count, 'arm')})" for seeds, count in sorted(parts.items()))
        yield (
            "\nSeeds of an arm whose configurations differ in more than the seed, since the code had other keys or "
            f"defaults by then (the bar parts them): {listed}. `experiments/archive/README.md` says which keys."
        )


def _count(records: Runs, name: Callable[[RunRecord], str]) -> Mapping[str, int]:
    return Counter(name(one) for one in records.values())


def _revision(record: RunRecord) -> str:
    return str(record.revision)


def _machine(record: RunRecord) -> str:
    machine, packages = record.environment.get("machine", {}), record.environment.get("packages", {})
    mxnet = packages.get("mxnet") or packages.get("mxnet-cu112")
    return (
        f"{machine.get('system')} {machine.get('processor')}, MXNet {mxnet}, Python {record.environment.get('python')}"
    )
