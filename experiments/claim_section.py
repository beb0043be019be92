"""What the page says of one claim."""

from __future__ import annotations

from typing import Iterator, Sequence

from .caveats import caveats
from .picture import picture_name
from .printed import comparison_text, detectable_text, difference_text, interval_text, mean_text, p_text
from .records import Runs
from .spec import Claim, Endpoint
from .verdict import TOO_FEW, Compared, over_seeds, too_few, values_of, verdict, without_mechanism


def claim_lines(claim: Claim, records: Runs, compared: Sequence[Compared]) -> Iterator[str]:
    """Its sentence, question, rule and verdict, then the tables of its runs."""
    said, beside = verdict(claim, compared, records), caveats(claim, compared, records)
    yield f"## {claim.title}\n"
    yield f"> {' '.join(claim.paper.sentence.split())}\n>\n> ({claim.paper.place})\n"
    yield " ".join(claim.question.split()) + "\n"
    yield f"**Endpoint, fixed beforehand:** {claim.endpoint.text} (`{claim.endpoint.path}`); differences below"
    yield f"{claim.smallest:g} are not worth speaking of. **Rule:** {' '.join(claim.rule.split())}\n"
    yield f"**Verdict: {said.word}** ({said.why})." + "".join(f" Also: {one}." for one in beside) + "\n"
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


def _endpoint_table(claim: Claim, endpoint: Endpoint, records: Runs) -> Iterator[str]:
    """A row an arm, a column a condition: the mean over seeds with its interval."""
    kind = "secondary, added when runs were in" if endpoint in claim.afterwards else "secondary"
    kind = "the endpoint" if endpoint is claim.endpoint else kind
    yield f"{endpoint.text} (`{endpoint.path}`, {kind}), mean over seeds and 95 % interval:\n"
    yield f"| arm | {' | '.join(claim.conditions)} |\n| --- |{' --- |' * len(claim.conditions)}"
    for arm in claim.arms:
        cells = []
        for condition in claim.conditions:
            if arm not in claim.arms_of(condition):
                cells.append("not planned")
                continue
            values = values_of(claim, records, condition, arm, endpoint.path)
            cells.append(mean_text(over_seeds(list(values.values())), seeds=len(claim.seeds)))
        yield f"| {arm} | {' | '.join(cells)} |"
    yield ""


def _comparison_table(compared: Sequence[Compared]) -> Iterator[str]:
    yield "Differences seed by seed:\n"
    heads = ["", "condition", "arms", "of", "expected", "difference", "seeds", "P", "Holm's P", "would be seen"]
    heads += ["over patients too", ""]
    yield f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}"
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
            detectable_text(None if one.outcome == TOO_FEW else one.difference),
            interval_text(one.patients),
            one.outcome,
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    for one in compared:
        if one.comparison.note:
            yield f"- {comparison_text(one.comparison)}: {' '.join(one.comparison.note.split())}"
    if any(one.comparison.note for one in compared):
        yield ""


def _mechanism_lines(claim: Claim, records: Runs) -> Iterator[str]:
    """How much larger the claim's difference is than that of a control of the same arms."""
    rows = without_mechanism(claim, records)
    for one, other, difference in rows:
        if difference is None or too_few(difference, claim):
            continue
        p = f"; P {p_text(difference.p)}, no member of Holm's family" if difference.p is not None else ""
        yield (
            f"- {one.arm} minus {one.against} with the mechanism ({one.condition}) and without it ({other.condition}) "
            f"differ by {difference_text(difference)}{p}."
        )
    if rows:
        yield ""
