"""Which detections and objects are worth a look: some of each kind, and how many there are."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from gluon_liver.structures.image_result import ImageResult

from .causes import (
    BACKGROUND,
    BADLY_PLACED,
    BOTH,
    DUPLICATE,
    LOW_SCORE,
    MISSED,
    NEIGHBOUR,
    RIGHT,
    WRONG_CLASS,
    Judged,
    Verdict,
)
from .summary import item_of, worst_first
from .where import Where

HIT, MISS = "hit", "miss"
# Kind -> what it shows and its causes. Each detection is of one kind; an object that a detection fails at is shown with
# that, so only those that nothing was detected on are a kind.
KINDS: Dict[str, Tuple[str, Tuple[str, ...]]] = {
    HIT: ("detection", (RIGHT,)),
    MISS: ("object", (LOW_SCORE, MISSED)),
    "badly placed": ("detection", (BADLY_PLACED, BOTH)),
    "wrong class": ("detection", (WRONG_CLASS,)),
    "false positive": ("detection", (DUPLICATE, NEIGHBOUR, BACKGROUND)),
}


class Example(NamedTuple):
    """kind: of :data:`KINDS`. image: row of the results. verdict: why. item: as results.json lists it."""

    kind: str
    image: int
    verdict: Verdict
    item: Dict[str, Any]


def examples(
    results: Sequence[ImageResult],
    where: Sequence[Where],
    judged: Sequence[Judged],
    classes: Sequence[str],
    *,
    most: int,
) -> Tuple[List[Example], Dict[str, int]]:
    """``most`` of each kind at most, and how many there are of each.

    Of errors the worst of every case come first, then the second worst, and so on, so that one bad case does not take
    all places; hits are spread evenly from the best score to the lowest.
    """
    chosen: List[Example] = []
    totals: Dict[str, int] = {}
    for kind, (what, causes) in KINDS.items():
        found = []
        for row, (result, one, verdicts) in enumerate(zip(results, where, judged)):
            for verdict in verdicts.detections if what == "detection" else verdicts.objects:
                if verdict.cause in causes:
                    found.append(Example(kind, row, verdict, item_of(result, one, what, verdict, classes)))
        found.sort(key=lambda example: worst_first(example.item))
        totals[kind] = len(found)
        chosen += _spread(found, most) if kind == HIT else _case_by_case(found, most)
    return chosen, totals


def _spread(found: Sequence[Example], most: int) -> List[Example]:
    places = np.unique(np.linspace(0, len(found) - 1, most).round().astype(int)) if found else []
    return [found[place] for place in places]


def _case_by_case(found: Sequence[Example], most: int) -> List[Example]:
    before: Dict[str, int] = {}
    turns = []
    for rank, example in enumerate(found):
        case = example.item["case"]
        turns.append((before.get(case, 0), rank))
        before[case] = before.get(case, 0) + 1
    return [found[rank] for _, rank in sorted(turns)[:most]]
