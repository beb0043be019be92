"""The images in which two arms differ most: by objects found and false detections, then by scores."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from gluon_liver.metrics.matching import UNMATCHED, match_classes
from gluon_liver.structures.arrays import BoolArray, FloatArray
from gluon_liver.structures.boxes import box_iou
from gluon_liver.structures.image_result import ImageResult

from .scored import ScoredRun

# group of images -> how many of them are shown; the scores' only where no image is in another group
SHOWN = {"a": 6, "b": 6, "mixed": 4, "scores": 4}
SAME = "same"
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run makes of an image.

    scores: (n,) of the detection that lies on each object, whatever its score; 0 where none does. found: (n,) whether
    it is at the threshold or above. right: (m,) which detections lie on an object of their class, one each. overlap:
    (m,) the highest IoU of each detection with an object of its class, 0 where there is none.
    """

    scores: FloatArray
    found: BoolArray
    right: BoolArray
    overlap: FloatArray
    false: int


@dataclass(frozen=True, eq=False)
class Difference:
    """How far two arms differ in an image; means over each arm's runs.

    gain: objects that A finds more, less its further false detections: above 0 where A is better. amount: objects of
    which the arms' answers differ, and false detections that one has more. scores: sum of the differences of objects'
    scores.
    """

    row: int
    gain: float
    amount: float
    scores: float

    @property
    def group(self) -> str:
        """One of :data:`SHOWN`, or :data:`SAME`."""
        if self.gain > _ROUNDING:
            return "a"
        if self.gain < -_ROUNDING:
            return "b"
        if self.amount > _ROUNDING:
            return "mixed"
        return "scores" if self.scores > _ROUNDING else SAME


def outcome(image: ImageResult, *, score_threshold: float, iou_threshold: float) -> Outcome:
    """The greedy matching of each class, as metrics count it."""
    overlap = box_iou(image.boxes, image.gt_boxes)
    matched = match_classes(overlap, image.detections, image.gt_labels, iou_threshold=iou_threshold)
    right, scores = matched != UNMATCHED, np.zeros(len(image.gt_labels))
    scores[matched[right]] = image.scores[right]
    own = np.where(image.labels[:, None] == image.gt_labels[None, :], overlap, 0.0).max(axis=1, initial=0.0)
    kept = image.scores >= score_threshold
    return Outcome(scores, scores >= score_threshold, right, own, int((kept & ~right).sum()))


def differing_images(arm_a: Sequence[ScoredRun], arm_b: Sequence[ScoredRun]) -> Dict[str, Any]:
    """What comparison.json says of them: how many images each group has, every one that is not the same in both, and
    those that are shown with their boxes.

    Arms hold the same images in the same order. Of an arm of several runs the one is shown that is nearest to the arm's
    mean in the image.
    """
    outcomes = [[_outcomes(run) for run in arm] for arm in (arm_a, arm_b)]
    images = arm_a[0].images
    found = [difference(row, *([run[row] for run in arm] for arm in outcomes)) for row in range(len(images))]
    counts = Counter(one.group for one in found)
    shown = [one for group in SHOWN for one in chosen(found, arm_a[0], group)]
    if any(one.group != "scores" for one in shown):
        shown = [one for one in shown if one.group != "scores"]
    return {
        "groups": {group: counts[group] for group in (*SHOWN, SAME)},
        "identical": _identical(arm_a, arm_b),
        "each": [_row(one, arm_a[0], outcomes) for one in found if one.group != SAME],
        "shown": [_shown(one, (arm_a, arm_b), outcomes) for one in shown],
    }


def difference(row: int, runs_a: Sequence[Outcome], runs_b: Sequence[Outcome]) -> Difference:
    """Of one image, whose outcomes in the runs of either arm these are."""
    found_a, found_b = (np.mean([one.found for one in runs], axis=0) for runs in (runs_a, runs_b))
    false_a, false_b = (float(np.mean([one.false for one in runs])) for runs in (runs_a, runs_b))
    scores_a, scores_b = (np.mean([one.scores for one in runs], axis=0) for runs in (runs_a, runs_b))
    gain = float((found_a - found_b).sum()) - (false_a - false_b)
    amount = float(np.abs(found_a - found_b).sum()) + abs(false_a - false_b)
    return Difference(row, gain, amount, float(np.abs(scores_a - scores_b).sum()))


def chosen(differences: Sequence[Difference], run: ScoredRun, group: str) -> List[Difference]:
    """The images of a group that are shown, the largest difference first, spread over patients and their studies or
    scenes: none is shown a second time while another one has images that are not shown."""
    order = [one for one in differences if one.group == group]
    order.sort(key=lambda one: (-round(one.amount, 9), -round(one.scores, 9), one.row))
    taken: List[Difference] = []
    patients: Counter[str] = Counter()
    cases: Counter[str] = Counter()
    while order and len(taken) < SHOWN[group]:
        best = min(order, key=lambda one: (patients[run.images[one.row].patient], cases[run.where[one.row][0]]))
        order.remove(best)
        patients[run.images[best.row].patient] += 1
        cases[run.where[best.row][0]] += 1
        taken.append(best)
    return taken


def _outcomes(run: ScoredRun) -> List[Outcome]:
    own = run.results["summary"]["settings"]
    thresholds = {name: own[name] for name in ("score_threshold", "iou_threshold")}
    return [outcome(image, **thresholds) for image in run.images]


def _identical(arm_a: Sequence[ScoredRun], arm_b: Sequence[ScoredRun]) -> bool:
    """Whether all runs give the very same detections."""
    names = ("boxes", "scores", "labels")
    first = arm_a[0]
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for run in (*arm_a[1:], *arm_b)
        for one, other in zip(first.images, run.images)
        for name in names
    )


def _place(one: Difference, run: ScoredRun) -> Dict[str, Any]:
    image, (case, place) = run.images[one.row], run.where[one.row]
    return {
        "image_id": image.image_id,
        "case": case,
        "place": place,
        "patient": image.patient,
        "group": one.group,
        "gain": round(one.gain, 6),
        "amount": round(one.amount, 6),
    }


def _row(one: Difference, run: ScoredRun, outcomes: Sequence[Sequence[Sequence[Outcome]]]) -> Dict[str, Any]:
    counted: Dict[str, Any] = {"objects": len(run.images[one.row].gt_labels)}
    for letter, arm in zip("ab", outcomes):
        here = [of_run[one.row] for of_run in arm]
        found, false = (float(np.mean([value(single) for single in here])) for value in (_found, _false))
        counted[letter] = {"found": round(found, 6), "false": round(false, 6)}
    return {**_place(one, run), **counted}


def _found(one: Outcome) -> int:
    return int(one.found.sum())


def _false(one: Outcome) -> int:
    return one.false


def _shown(
    one: Difference, arms: Tuple[Sequence[ScoredRun], ...], outcomes: Sequence[Sequence[Sequence[Outcome]]]
) -> Dict[str, Any]:
    first = arms[0][0]
    image, classes = first.images[one.row], first.results["classes"]
    entry: Dict[str, Any] = _place(one, first)
    entry["objects"] = [
        {"class": classes[label], "box": _box(box)} for label, box in zip(image.gt_labels, image.gt_boxes)
    ]
    for letter, arm, results in zip("ab", arms, outcomes):
        here = [of_run[one.row] for of_run in results]
        number = _nearest(here)
        run, made = arm[number], here[number]
        entry[letter] = {
            "run": number,
            "found": [_share(part) for part in np.mean([single.found for single in here], axis=0)],
            "scores": [_share(part) for part in made.scores],
            "false": _share(np.mean([single.false for single in here])),
            "detections": _detections(run, one.row, made),
        }
    return entry


def _nearest(here: Sequence[Outcome]) -> int:
    """The run whose objects found and false detections are nearest to the mean of all, the first of equals."""
    found, false = np.mean([one.found for one in here], axis=0), np.mean([one.false for one in here])
    far = [float(np.abs(one.found - found).sum()) + abs(one.false - float(false)) for one in here]
    return int(np.argmin(far))


def _detections(run: ScoredRun, row: int, made: Outcome) -> List[Dict[str, Any]]:
    """Those at the threshold and above, the best first."""
    image, classes = run.images[row], run.results["classes"]
    threshold = run.results["summary"]["settings"]["score_threshold"]
    rows = [number for number in np.argsort(-image.scores, kind="stable") if image.scores[number] >= threshold]
    return [
        {
            "class": classes[image.labels[number]],
            "score": _share(image.scores[number]),
            "box": _box(image.boxes[number]),
            "right": bool(made.right[number]),
            "iou": _share(made.overlap[number]),
        }
        for number in rows
    ]


def _box(box: FloatArray) -> List[float]:
    return [round(float(edge), 2) for edge in box]


def _share(value: Any) -> float:
    return round(float(value), 5)
