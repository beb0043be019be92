"""What stands beside a verdict, which asks for the gain alone: other arms that do as much, and a loss elsewhere."""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Tuple

from gluon_liver.metrics.seeds import SeedTest

from .printed import comparison_text, difference_text
from .records import Runs
from .spec import Claim
from .verdict import TOO_FEW, Compared, ends_of, lies_beyond, over_seeds, up_of, without_mechanism


def caveats(claim: Claim, compared: Sequence[Compared], records: Runs) -> List[str]:
    """Of a claim whose seeds are in, in words; nothing before."""
    deciding = [one for one in compared if one.comparison.role in ("claim", "control")]
    if any(one.outcome == TOO_FEW for one in deciding):
        return []
    return [*_no_better(compared), *_losses(claim, compared, records)]


def _no_better(compared: Sequence[Compared]) -> Iterator[str]:
    """Arms that the claim's arm is not shown to be better than, where its gain is claimed and at the same endpoint."""
    for ours in (one for one in compared if one.comparison.role == "claim"):
        arm, up = ours.comparison.arm, up_of(ours.comparison)
        others = (_against(arm, one) for one in compared if one is not ours and _place(one) == _place(ours))
        rivals = [
            f"{against}: {difference_text(difference)}"
            for against, difference in filter(None, others)
            if not lies_beyond(difference, up)
        ]
        if rivals:
            yield f"{arm} is not shown to be better than {', '.join(rivals)}"


def _against(arm: str, one: Compared) -> Optional[Tuple[str, SeedTest]]:
    """The other arm of a comparison with enough seeds and what ``arm`` has more than it; None where it is of others."""
    if one.difference is None or one.outcome == TOO_FEW:
        return None
    if one.comparison.arm == arm:
        return one.comparison.against, one.difference
    if one.comparison.against != arm:
        return None
    mirrored = over_seeds([-each for each in one.difference.differences])
    assert mirrored is not None
    return one.comparison.arm, mirrored


def _losses(claim: Claim, compared: Sequence[Compared], records: Runs) -> Iterator[str]:
    """Controls of the same arms in which the claim's arm loses, or may lose as much as is worth speaking of."""
    by_plan = {one.comparison: one for one in compared}
    for ours, control, _ in without_mechanism(claim, records):
        difference, up = by_plan[control].difference, up_of(ours)
        if difference is None:
            continue
        named = f"{comparison_text(control)}: {difference_text(difference)}"
        if lies_beyond(difference, -up):
            yield f"there is a loss without the mechanism ({named})"
        elif min(up * end for end in ends_of(difference)) <= -claim.smallest:
            yield f"a loss of {claim.smallest:g} without the mechanism is not excluded ({named})"


def _place(one: Compared) -> Tuple[str, str]:
    return one.comparison.condition, one.endpoint.path
