"""docs/evidence.md, made of the archive and the claims' files alone.

python -m experiments.page            write the page and its pictures
python -m experiments.page --check    read the archive, compute the page anew, and fail where docs/ has another one
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections import Counter
from pathlib import Path
from typing import Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_text
from gluon_liver.files.json_records import read_text

from .patients import contradictions
from .picture import OVERVIEW, overview_is_of, picture_is_of, write_overview, write_picture
from .plan import Key, digest, plan_runs
from .printed import difference_text, interval_text, mean_text, p_text
from .records import ARCHIVE, Failure, RunRecord, line_of, read_archive, read_failures
from .spec import FOLDER, Claim, Comparison, Endpoint, load_claims
from .summary import summary_lines
from .tasks import ROOT
from .verdict import TOO_FEW, AllCompared, Compared, compare, over_seeds, values_of, verdict, without_mechanism

DOCS = ROOT / "docs"
PAGE = "evidence.md"
INTRODUCTION = """# Evidence: what the papers claim, with the mechanism on and off

Written by `python -m experiments.page` from `experiments/archive`; do not edit. `make evidence` makes the runs that are
missing. `make evidence-check` computes this page anew and compares it, and the endpoints of each run with its counts by
patient.

Neither paper's data are public. Every figure below is of generated phantoms and of networks of an eighth of the
channels, trained for minutes from scratch: it tells whether a mechanism *can* do what the paper says of it where the
data hold what it rests on, and whether this code lets it. It says nothing about patients, and nothing about the papers'
own networks, which were larger, pretrained and trained for longer. Whatever came out is here.

A claim **agrees** where the gain is there with the mechanism, and its controls, where none belongs, do not gain or gain
less; it **disagrees** where a gain worth speaking of is excluded though there was room for it; else this study **cannot
tell**. There is no verdict before all seeds are in: what stands beside "not finished" is interim.
"""
METHOD = """## How it was made

Each claim has a file in `experiments/`, written before its runs: conditions with the mechanism on and off, arms, one
endpoint, the expected direction, and the smallest difference worth speaking of. All runs of a condition are scored on
the same held-out phantom patients; each seed has training patients, first weights, order and augmentation of its own,
which its arms share, so arms are compared seed by seed, over the seeds that both have. Intervals are 95 % t intervals
over seeds: they hold for other trainings and training patients, not for other test patients. P is of the paired t-test
over seeds, Holm's P of all comparisons of the claim together. "Over patients too" is an interval that holds for other
test patients as well, from two seeds on, where the endpoint is made of counts by patient: those of the detections as
the run wrote them, rounded, and of an average precision those of score 0.05 and more. Its degrees of freedom are those
of seeds and patients together. The rule does not read it, nor P.

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
trainings, scored on these test patients, and not of other patients. What is asked of controls took this form when five
runs were in, all of one seed, but that they need room, which was added when two of five seeds were in. No claim had a
verdict then. The rest is older than the runs.
"""
Records = Mapping[Key, RunRecord]
Kept = TypeVar("Kept", RunRecord, Failure)


def page_text(
    claims: Mapping[str, Claim], archived: Sequence[RunRecord], failures: Sequence[Failure], compared: AllCompared
) -> str:
    """The page."""
    by_claim, failed = _current(claims, archived), _current(claims, failures)
    parts = [INTRODUCTION, *summary_lines(claims, by_claim, compared)]
    for name, claim in claims.items():
        parts += [*_claim_lines(claim, by_claim[name], compared[name]), *_failed_lines(failed[name].values())]
    parts += [METHOD, *_closing(archived, _together(by_claim))]
    return "\n".join(parts).rstrip() + "\n"


def _current(claims: Mapping[str, Claim], made: Sequence[Kept]) -> Dict[str, Dict[Key, Kept]]:
    """Claim -> what was made of it with the settings that the files have now."""
    setting = {run.key: run.setting for run in plan_runs(claims)}
    current = [one for one in made if setting.get(one.key) == one.setting]
    return {name: {one.key: one for one in current if one.claim == name} for name in claims}


def _compared(claims: Mapping[str, Claim], by_claim: Mapping[str, Records]) -> Tuple[AllCompared, AllCompared]:
    """The comparisons of all claims, and of those alone that have runs."""
    compared = {name: compare(claim, by_claim[name]) for name, claim in claims.items()}
    return compared, {name: some for name, some in compared.items() if by_claim[name]}


def _together(by_claim: Mapping[str, Records]) -> Records:
    return {key: one for ours in by_claim.values() for key, one in ours.items()}


def _claim_lines(claim: Claim, records: Records, compared: Sequence[Compared]) -> Iterator[str]:
    said = verdict(claim, compared, records)
    yield f"## {claim.title}\n"
    yield f"> {' '.join(claim.paper.sentence.split())}\n>\n> ({claim.paper.place})\n"
    yield " ".join(claim.question.split()) + "\n"
    yield f"**Endpoint, fixed beforehand:** {claim.endpoint.text} (`{claim.endpoint.path}`); differences below"
    yield f"{claim.smallest:g} are not worth speaking of. **Rule:** {' '.join(claim.rule.split())}\n"
    yield f"**Verdict: {said.word}** ({said.why}).\n"
    yield "| condition | mechanism | |\n| --- | --- | --- |"
    for name, condition in claim.conditions.items():
        yield f"| {name} | {'on' if condition.mechanism else 'off'} | {' '.join(condition.text.split())} |"
    yield "\n| arm | |\n| --- | --- |"
    for name, arm in claim.arms.items():
        yield f"| {name} | {' '.join(arm.text.split())} |"
    yield ""
    if records:
        yield f"![{claim.title}: every run]({picture_name(claim)})\n"
        for endpoint in claim.endpoints:
            yield from _endpoint_table(claim, endpoint, records)
        yield from _comparison_table(compared)
        yield from _mechanism_lines(claim, records)
    if claim.notes:
        yield " ".join(claim.notes.split()) + "\n"


def _endpoint_table(claim: Claim, endpoint: Endpoint, records: Records) -> Iterator[str]:
    """A row an arm, a column a condition: the mean over seeds with its interval."""
    first = endpoint is claim.endpoint
    kind = "the endpoint" if first else "secondary"
    yield f"{endpoint.text} (`{endpoint.path}`, {kind}), mean over seeds and 95 % interval:\n"
    yield f"| arm | {' | '.join(claim.conditions)} |\n| --- |{' --- |' * len(claim.conditions)}"
    for arm in claim.arms:
        cells = []
        for condition in claim.conditions:
            values = values_of(claim, records, condition, arm, endpoint.path)
            cells.append(mean_text(over_seeds(list(values.values())), seeds=len(claim.seeds)))
        yield f"| {arm} | {' | '.join(cells)} |"
    yield ""


def _comparison_table(compared: Sequence[Compared]) -> Iterator[str]:
    yield "Differences seed by seed:\n"
    yield "| | condition | arms | of | expected | difference | seeds | P | Holm's P | over patients too | |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for one in compared:
        comparison = one.comparison
        p = [one.difference.p if one.difference else None, one.holm]
        cells = [
            comparison.role,
            comparison.condition,
            f"{comparison.arm} minus {comparison.against}",
            f"`{one.endpoint.path}`",
            comparison.expects,
            difference_text(one.difference),
            str(one.difference.n if one.difference else 0),
            *(p_text(None if one.outcome == TOO_FEW else each) for each in p),  # two seeds agree by chance
            interval_text(one.patients),
            one.outcome,
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    for one in compared:
        if one.comparison.note:
            yield f"- {_named(one.comparison)}: {' '.join(one.comparison.note.split())}"
    if any(one.comparison.note for one in compared):
        yield ""


def _mechanism_lines(claim: Claim, records: Records) -> Iterator[str]:
    """How much larger the claim's difference is than that of a control of the same arms."""
    rows = without_mechanism(claim, records)
    for one, other, difference in rows:
        if difference is None:
            continue
        p = f"; P {p_text(difference.p)}" if difference.p is not None else ""
        yield (
            f"- With the mechanism ({one.condition}) {one.arm} minus {one.against} is {difference_text(difference)} "
            f"more than without ({other.condition}){p}."
        )
    if rows:
        yield ""


def _failed_lines(failed: Collection[Failure]) -> Iterator[str]:
    for one in failed:
        yield f"- The run {one.key} failed {one.attempts} times ({one.stage}, code {one.code}): {one.said}"
    if failed:
        yield ""


def _closing(archived: Sequence[RunRecord], records: Records) -> Iterator[str]:
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
        ("Revisions of the code", Counter(str(one.revision) for one in records.values())),
        ("Machines", Counter(_machine(one) for one in records.values())),
    ):
        if found:
            yield f"\n{what}: {', '.join(f'{name} ({count} runs)' for name, count in sorted(found.items()))}."
    mixed = sorted({str(key).rpartition("/")[0] for key in _of_mixed_configurations(records)})
    if mixed:
        yield f"\nSeeds whose configuration differs in more than the seed, by other defaults: {', '.join(mixed)}."


def _of_mixed_configurations(records: Records) -> List[Key]:
    digests: Dict[Tuple[str, ...], set] = {}
    for key, one in records.items():
        digests.setdefault((key.claim, key.condition, key.arm), set()).add(one.config)
    return [key for key in records if len(digests[key.claim, key.condition, key.arm]) > 1]


def _machine(record: RunRecord) -> str:
    machine, packages = record.environment.get("machine", {}), record.environment.get("packages", {})
    mxnet = packages.get("mxnet") or packages.get("mxnet-cu112")
    return (
        f"{machine.get('system')} {machine.get('processor')}, MXNet {mxnet}, Python {record.environment.get('python')}"
    )


def _named(comparison: Comparison) -> str:
    return f"{comparison.condition}, {comparison.arm} minus {comparison.against}"


def picture_name(claim: Claim) -> str:
    """Of the picture, beside the page."""
    return f"evidence-{claim.claim}.png"


def write_page(claims: Mapping[str, Claim], archive: Path, docs: Path) -> None:
    """Write the page, and a picture of every claim that has runs."""
    records, failures = read_archive(archive), read_failures(archive)
    by_claim = _current(claims, records)
    compared, begun = _compared(claims, by_claim)
    for name in begun:
        write_picture(docs / picture_name(claims[name]), claims[name], by_claim[name])
    if begun:
        write_overview(docs / OVERVIEW, claims, begun)
    write_text(docs / PAGE, page_text(claims, records, failures, compared))


def check_page(claims: Mapping[str, Claim], archive: Path, docs: Path) -> List[str]:
    """What is wrong with the page in ``docs``: lines that differ, pictures of other runs; and endpoints of runs that
    their counts by patient contradict. Empty where nothing is.
    """
    records, failures = read_archive(archive), read_failures(archive)
    by_claim = _current(claims, records)
    compared, begun = _compared(claims, by_claim)
    wanted = page_text(claims, records, failures, compared).splitlines()
    found = read_text(docs / PAGE, remedy="python -m experiments.page writes it").splitlines()
    wrong = list(difflib.unified_diff(found, wanted, PAGE, "of the archive", lineterm="", n=0))
    pictures = [
        (picture_name(claims[name]), picture_is_of(docs / picture_name(claims[name]), claims[name], by_claim[name]))
        for name in begun
    ]
    if begun:
        pictures.append((OVERVIEW, overview_is_of(docs / OVERVIEW, claims, begun)))
    for name, ours in by_claim.items():
        paths = [endpoint.path for endpoint in claims[name].endpoints]
        wrong += [line for record in ours.values() for line in contradictions(record, paths)]
    wrong += [f"{name} is missing or shows other runs than the archive holds" for name, right in pictures if not right]
    return wrong


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.page", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page is another one")
    parser.add_argument("--specs", type=Path, default=FOLDER, help="folder of the claims' files")
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="folder of the archive")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    args = parser.parse_args(argv)
    try:
        claims = load_claims(args.specs)
        if not args.check:
            write_page(claims, args.archive, args.docs)
            print(args.docs / PAGE)
            return 0
        wrong = check_page(claims, args.archive, args.docs)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{PAGE}: {'NOT what the archive says' if wrong else 'is what the archive says'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
