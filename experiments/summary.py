"""The beginning of the page: what was found of each claim, with the mechanism on and off, in a table and a picture."""

from __future__ import annotations

from typing import Iterator, List, Mapping, Sequence

from .caveats import caveats
from .picture import OVERVIEW
from .plan import plan_runs
from .printed import comparison_text, difference_text
from .records import Runs
from .spec import Claim
from .verdict import AllCompared, Compared, verdict


def summary_lines(claims: Mapping[str, Claim], by_claim: Mapping[str, Runs], compared: AllCompared) -> Iterator[str]:
    """A row a claim, then the picture of all."""
    yield "## In short\n"
    yield "| claim | verdict | with the mechanism | controls, where no gain belongs | why | runs | hours |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, claim in claims.items():
        ours = by_claim[name]
        said = verdict(claim, compared[name], ours)
        cells = [
            f"[{claim.title}](#{_anchor(claim)}): {claim.endpoint.text}",
            f"**{said.word}**",
            _effects(claim, [one for one in compared[name] if one.comparison.role == "claim"]),
            _effects(claim, [one for one in compared[name] if one.comparison.role == "control"]),
            "; also: ".join([said.why, *caveats(claim, compared[name], ours)]),
            f"{len(ours)} of {len(plan_runs({name: claim}))}",
            f"{hours(ours):.1f}",
        ]
        yield f"| {' | '.join(cells)} |"
    total = sum(hours(ours) for ours in by_claim.values())
    by_the_clock = sum(hours(ours, "train", "evaluate") for ours in by_claim.values())
    yield "\nEffects are differences of the endpoint, mean over seeds with its 95 % interval, which one seed has not."
    yield f"Hours are of one processor thread, training and evaluation: {total:.1f} in all, {by_the_clock:.1f} by the"
    yield "clock, since the machines had other work too; the making of phantoms and the flow net are not in them.\n"
    if any(by_claim.values()):
        yield f"![Effects with the mechanism and those of the controls]({OVERVIEW})\n"


def hours(records: Runs, *kinds: str) -> float:
    """Of one processor thread, or of the seconds that are named."""
    return sum(one.seconds.get(kind, 0.0) for one in records.values() for kind in kinds or ("cpu",)) / 3600


def _effects(claim: Claim, compared: Sequence[Compared]) -> str:
    lines: List[str] = []
    for one in compared:
        of = f" ({one.endpoint.text})" if one.endpoint is not claim.endpoint else ""
        lines.append(f"{comparison_text(one.comparison)}{of}: {difference_text(one.difference) or 'not run yet'}")
    return "<br>".join(lines)


def _anchor(claim: Claim) -> str:
    letters = "".join(letter for letter in claim.title.lower() if letter.isalnum() or letter in " -")
    return letters.replace(" ", "-")
