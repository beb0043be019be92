"""Sensitivity a scene (ultrasound paper, "Comparison of sensitivity by label" and Table 2) and the paired t-test.

The paper: "tallied the object count as 1 whenever IoU between true area and predicted area is 0.5 or more while the
label is also correct. We calculated sensitivities for each label per scene." Read here: detections of one label, at
or above a score threshold, are matched one to one to the boxes of that label by the greedy matching of COCO. The
paper gives no threshold for the table; 0.5 is that of its Figure S1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.structures.detections import SCORE_THRESHOLD
from gluon_liver.structures.enumerations import first_of
from gluon_liver.structures.image_result import ImageResult

from .matching import match_image

IOU_THRESHOLD = 0.5
_EQUAL = 1e-12  # rounding of found / n; two sensitivities that differ do so by much more
_NAMED = 5  # scenes or images that a message lists


@dataclass(frozen=True)
class SceneCount:
    """Boxes of one label in the frames of one scene: ``found`` of ``n``, which is 1 or more."""

    scene: str
    found: int
    n: int

    @property
    def sensitivity(self) -> float:
        return self.found / self.n


@dataclass(frozen=True)
class PairedTest:
    """Two-sided paired t-test of a - b over scenes.

    n: scenes.
    difference: mean of a - b, None without a scene.
    t, p: None where the test is undefined; ``reason`` then says why.
    """

    n: int
    difference: Optional[float]
    t: Optional[float]
    p: Optional[float]
    reason: Optional[str] = None


def scene_counts(
    results: Sequence[ImageResult],
    *,
    scenes: Mapping[int, str],
    classes: Sequence[str],
    score_threshold: float = SCORE_THRESHOLD,
    iou_threshold: float = IOU_THRESHOLD,
) -> Dict[str, List[SceneCount]]:
    """Found and all boxes of each label and scene: {class: [one count a scene, by name]}.

    A scene without a box of a label has no sensitivity for it and is not in that label's list. Detections at or above
    both thresholds count.

    results: one record a frame.
    scenes: scene name by image id. Raises :class:`InputError` unless they are those of the results.
    """
    check_scenes(results, scenes)
    counts: Dict[str, List[SceneCount]] = {}
    for label, name in enumerate(classes):
        totals: Dict[str, Tuple[int, int]] = {}
        for result in results:
            scores, hits, n = match_image(result, label, iou_threshold)
            before = totals.get(scenes[result.image_id], (0, 0))
            totals[scenes[result.image_id]] = before[0] + int(hits[scores >= score_threshold].sum()), before[1] + n
        counts[name] = [SceneCount(scene, *totals[scene]) for scene in sorted(totals) if totals[scene][1]]
    return counts


def mean_and_sd(counts: Sequence[SceneCount]) -> Tuple[Optional[float], Optional[float]]:
    """Mean of the sensitivities over scenes, each scene weighing the same, and their sample SD (ddof 1).

    None for the mean without a scene, None for the SD with fewer than two.
    """
    values = [count.sensitivity for count in counts]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return float(np.mean(values)) if values else None, sd


def paired_t_test(a: Mapping[str, float], b: Mapping[str, float]) -> PairedTest:
    """Compare two runs over the same scenes, two-sided (``scipy.stats.ttest_rel``); t > 0 where a is better.

    Undefined, so t and p are None, with fewer than two scenes and where a - b is the same in every scene (0 or not):
    the variance that the test divides by is zero. Raises :class:`InputError` when a scene is in one run only (the
    message names it), or a value is not finite.

    a, b: sensitivity of one label by scene.
    """
    check_same_scenes(a, b)
    names = sorted(a)
    first, second = (np.array([run[name] for name in names], dtype=np.float64) for run in (a, b))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("a sensitivity is not a finite number; leave out scenes without a box of the label")
    n, differences = len(names), first - second
    if n == 0:
        return PairedTest(0, None, None, None, "no scene has a box of this label")
    mean = float(differences.mean())
    if n == 1:
        return PairedTest(1, mean, None, None, "one scene only: a t-test needs two or more")
    if np.ptp(differences) <= _EQUAL:
        if abs(mean) <= _EQUAL:
            return PairedTest(n, 0.0, None, None, "the two runs are equal in every scene")
        return PairedTest(n, mean, None, None, f"the difference is {mean:+.3f} in every scene: its variance is zero")
    from scipy import stats  # takes longer than all else that a comparison imports

    test = stats.ttest_rel(first, second)
    return PairedTest(n, mean, float(test.statistic), float(test.pvalue))


def check_scenes(results: Sequence[ImageResult], scenes: Mapping[int, str]) -> None:
    """Raise :class:`InputError` unless every result has a scene and every image of a scene has a result."""
    evaluated = {result.image_id for result in results}
    without, beyond = evaluated - set(scenes), set(scenes) - evaluated
    for what, images in (("have no scene", without), ("belong to a scene and have no result", beyond)):
        if images:
            which = f"{len(images)} images {what}: {first_of(sorted(images), _NAMED)}"
            raise InputError(f"{which}; give the scene of each evaluated image")
    for image, scene in scenes.items():
        if not isinstance(scene, str) or not scene:
            raise InputError(f"image {image}: the scene must be a non-empty text, found {scene!r}")


def check_same_scenes(a: Mapping[str, object], b: Mapping[str, object]) -> None:
    """Raise :class:`InputError` that names the scenes which only one of two runs has."""
    absent = {"first": set(b) - set(a), "second": set(a) - set(b)}
    lacking = ((ordinal, first_of(sorted(names), _NAMED)) for ordinal, names in absent.items() if names)
    missing = [f"the {ordinal} run lacks {named}" for ordinal, named in lacking]
    if missing:
        raise InputError(f"the two runs were not scored on the same scenes: {'; '.join(missing)}")
