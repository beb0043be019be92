"""What stands beside a verdict, which asks for the gain alone: simpler arms that do as much, and a loss elsewhere."""

from __future__ import annotations

from typing import Iterator, List, Mapping, Sequence

from .plan import Key
from .printed import difference_text
from .records import RunRecord
from .spec import Claim
from .spec import Comparison as Planned
from .verdict import TOO_FEW, Compared, lies_beyond, without_mechanism


def caveats(claim: Claim, compared: Sequence[Compared], records: Mapping[Key, RunRecord]) -> List[str]:
    """Of a claim whose seeds are in, in words; nothing before."""
    deciding = [one for one in compared if one.comparison.role in ("claim", "control")]
    if any(one.outcome == TOO_FEW for one in deciding):
        return []
    return [*_no_better(compared), *_losses(claim, compared, records)]


def _no_better(compared: Sequence[Compared]) -> Iterator[str]:
    """Arms that the claim's arm is not shown to be better than, where its gain is claimed and at the same endpoint."""
    for ours in (one for one in compared if one.comparison.role == "claim"):
        up = _up(ours.comparison)
        rivals = [
            f"{other.comparison.against}: {difference_text(other.difference)}"
            for other in compared
            if _place(other.comparison) == _place(ours.comparison)
            and other.comparison.against != ours.comparison.against
            and other.difference is not None
            and not lies_beyond(other.difference, up)
        ]
        if rivals:
            yield f"{ours.comparison.arm} is not shown to be better than {', '.join(rivals)}"


def _losses(claim: Claim, compared: Sequence[Compared], records: Mapping[Key, RunRecord]) -> Iterator[str]:
    """Controls of the same arms in which the claim's arm loses, or may lose as much as is worth speaking of."""
    by_plan = {one.comparison: one for one in compared}
    for ours, control, _ in without_mechanism(claim, records):
        difference, up = by_plan[control].difference, _up(ours)
        if difference is None or difference.low is None or difference.high is None:
            continue
        named = f"{control.condition}, {control.arm} minus {control.against}: {difference_text(difference)}"
        if lies_beyond(difference, -up):
            yield f"there is a loss without the mechanism ({named})"
        elif min(up * difference.low, up * difference.high) <= -claim.smallest:
            yield f"a loss of {claim.smallest:g} without the mechanism is not excluded ({named})"


def _up(one: Planned) -> int:
    return -1 if one.expects == "lower" else 1


def _place(one: Planned) -> tuple:
    return one.condition, one.arm, one.endpoint
