"""Evaluated runs of either task compared on one truth: what comparison.json holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.config.network_title import network_title
from gluon_liver.errors import InputError, RunError
from gluon_liver.metrics.comparison import compare_figures, lesions_by_arm
from gluon_liver.metrics.ct_summary import ct_curves
from gluon_liver.metrics.figures import Figure, Lesions, box_lesions, figures_of
from gluon_liver.metrics.froc import FP_RATES
from gluon_liver.metrics.lesion_summary import found_lesions
from gluon_liver.metrics.lesions import Hit
from gluon_liver.metrics.sizes import BINS_MM, BINS_PIXELS, size_groups
from gluon_liver.report.tables import us_tables
from gluon_liver.runs.config_file import read_config
from gluon_liver.structures.image_result import patient_ids

from .causes import compared_causes
from .configurations import compared_configurations, compared_training
from .differing import differing_images
from .place import relative
from .scored import ScoredRun, kind_of, read_scored

PER_LESION = {"ct": "lesion sensitivity", "us": "box sensitivity"}
DRAWN = ("gt_labels", "gt_boxes", "gt_lesions")  # of an image
WHO = ("both", "a", "b", "neither")


@dataclass(frozen=True)
class CompareSettings:
    """What may be chosen. bins: edges of sizes, in mm for CT and pixels for ultrasound. hit: of CT lesions, by default
    that of the evaluations. fp_rates: of FROC. Raises :class:`InputError` for numbers that do not rise.
    """

    replicates: int = 1000
    bins: Optional[Tuple[float, ...]] = None
    hit: Optional[Hit] = None
    fp_rates: Tuple[float, ...] = FP_RATES

    def __post_init__(self) -> None:
        for what, values in ("--froc-rates", self.fp_rates), ("--lesion-bins", self.bins):
            if values is not None and not all(low < high for low, high in zip((0.0, *values), values)):
                given = ", ".join(f"{one:g}" for one in values)
                raise InputError(f"{what} are {given}: numbers above 0 that rise are needed")


def compare_runs(
    folders_a: Sequence[Path], folders_b: Sequence[Path], settings: CompareSettings = CompareSettings()
) -> Dict[str, Any]:
    """The comparison of one arm's runs with the other's, as plain JSON values.

    Where both arms have several runs and the same seeds, each once, those of one seed are a pair. Raises
    :class:`RunError` for what is no evaluated run, for a run given twice, and for runs that were not scored on the same
    images, boxes, patients and classes in the same way; :class:`InputError` for a hit of ultrasound's boxes.
    """
    arm_a, arm_b = _read_arms(folders_a, folders_b)
    configuration, training = (find(folders_a, folders_b) for find in (compared_configurations, compared_training))
    first = arm_a[0]
    if first.kind != "ct" and settings.hit is not None:
        raise InputError("--lesion-hit is of CT lesions: ultrasound's boxes are matched by IoU alone; leave it out")
    seeds = [[run.seed for run in arm] for arm in (arm_a, arm_b)]
    paired = len(arm_a) > 1 and sorted(seeds[0]) == sorted(seeds[1]) and len(set(seeds[0])) == len(seeds[0])
    if paired:
        arm_a, arm_b = (sorted(arm, key=lambda run: run.seed) for arm in (arm_a, arm_b))
    unit = "mm" if first.kind == "ct" else "pixels"
    bins = settings.bins or (BINS_MM if unit == "mm" else BINS_PIXELS)
    groups = size_groups(bins, unit)
    hit = settings.hit or _hit_of(first)
    lesions = [[_lesions(run, hit) for run in arm] for arm in (arm_a, arm_b)]
    figures = [
        [_figures(run, one, groups, settings) for run, one in zip(arm, found)]
        for arm, found in zip((arm_a, arm_b), lesions)
    ]
    entries = compare_figures(*figures, paired_seeds=paired, replicates=settings.replicates)
    names = [run.name for run in (*arm_a, *arm_b)]
    own, several = first.results["summary"], min(len(arm_a), len(arm_b)) > 1
    return {
        "format": 1,
        "kind": first.kind,
        "classes": list(first.results["classes"]),
        "split": first.results["split"],
        "a": [_run_record(run, folders_a[0]) for run in arm_a],
        "b": [_run_record(run, folders_a[0]) for run in arm_b],
        "images": len(first.images),
        "patients": len(patient_ids(first.images)),
        "phantom": bool(first.results["data"]["phantom"]),
        "paired_by_seed": paired,
        "holds": "patients and trainings" if several else "patients",
        "settings": {
            "score_threshold": own["settings"]["score_threshold"],
            "iou_threshold": own["settings"]["iou_threshold"],
            "replicates": settings.replicates,
            "bins": list(bins),
            "unit": unit,
            "lesion_hit": str(hit) if first.kind == "ct" else None,
            "fp_rates": list(settings.fp_rates),
        },
        "figures": [{"family": family, "name": name, **asdict(entry)} for (family, name), entry in entries.items()],
        "lesions": _lesion_counts(lesions, first, groups),
        "configuration": configuration,
        "training": training,
        "pixels": _pixels(arm_a, arm_b),
        "errors": compared_causes([run.results for run in arm_a], [run.results for run in arm_b], names),
        "differing": differing_images(arm_a, arm_b),
        "froc": _curves(arm_a, arm_b),
    }


def _read_arms(folders_a: Sequence[Path], folders_b: Sequence[Path]) -> Tuple[List[ScoredRun], List[ScoredRun]]:
    places = [folder.resolve() for folder in (*folders_a, *folders_b)]
    for number, (folder, place) in enumerate(zip((*folders_a, *folders_b), places)):
        kind_of(folder)  # what is no evaluated run is named before anything else is read
        if place in places[:number]:
            raise RunError(f"{place.name} is given twice: a run cannot be compared with itself")
    arm_a, arm_b = ([read_scored(folder) for folder in folders] for folders in (folders_a, folders_b))
    for run in (*arm_a[1:], *arm_b):
        check_same_truth(arm_a[0], run)
    return arm_a, arm_b


def check_same_truth(first: ScoredRun, run: ScoredRun) -> None:
    """Raise :class:`RunError` that says what differs unless both were scored on the same truth in the same way."""
    refusal = f"{first.name} and {run.name} cannot be compared"
    a, b = first.results, run.results
    if first.kind != run.kind:
        raise RunError(f"{refusal}: they are runs of {first.kind} and {run.kind}")
    for what in ("classes", "split"):
        if a[what] != b[what]:
            raise RunError(f"{refusal}: their {what} are {a[what]} and {b[what]}; evaluate both alike")
    for what in ("score_threshold", "iou_threshold"):
        one, other = (results["summary"]["settings"][what] for results in (a, b))
        if one != other:
            raise RunError(f"{refusal}: their {what} is {one:g} and {other:g}; evaluate both alike")
    ids = [{image.image_id for image in one.images} for one in (first, run)]
    if ids[0] != ids[1]:
        counts = f"{len(ids[0] - ids[1])} images are in the first alone, {len(ids[1] - ids[0])} in the second"
        raise RunError(f"{refusal}: {counts}; evaluate both on the same data with --data")
    if first.where != run.where or [one.patient for one in first.images] != [one.patient for one in run.images]:
        raise RunError(f"{refusal}: the images are of other patients or studies; evaluate both with --data")
    if first.cases != run.cases:
        raise RunError(f"{refusal}: the studies have other spacings or slices; evaluate both on the same data")
    for one, other in zip(first.images, run.images):
        if not all(np.array_equal(getattr(one, key), getattr(other, key)) for key in DRAWN):
            changed = f"image {one.image_id} has other boxes: the labels have changed between the evaluations"
            raise RunError(f"{refusal}: {changed}; evaluate both again")


def _curves(arm_a: Sequence[ScoredRun], arm_b: Sequence[ScoredRun]) -> Optional[Dict[str, Any]]:
    """FROC of all classes of one run and one run, {"a" and "b": {"fp", "sensitivity"}}; None of several runs."""
    if len(arm_a) > 1 or len(arm_b) > 1:
        return None
    curves = (ct_curves(arm[0].images, arm[0].results["classes"])["froc"]["all"] for arm in (arm_a, arm_b))
    axes = ("fp", "sensitivity")
    return {letter: {axis: curve[axis] for axis in axes} for letter, curve in zip("ab", curves)}


def _pixels(arm_a: Sequence[ScoredRun], arm_b: Sequence[ScoredRun]) -> Optional[bool]:
    """Whether all runs were scored on the same stored pixels; None where a run does not say."""
    found = [(run.results["data"].get("digests") or {}).get("volumes") for run in (*arm_a, *arm_b)]
    return None if None in found else len(set(found)) == 1


def _hit_of(run: ScoredRun) -> Hit:
    """What an evaluation took for a hit of lesions."""
    lesions = run.results["summary"].get("lesions") or {}
    return Hit.parse(lesions.get("settings", {}).get("hit", "iou"))


def _lesions(run: ScoredRun, hit: Hit) -> Lesions:
    settings = run.results["summary"]["settings"]
    score = settings["score_threshold"]
    if run.kind == "ct":
        return found_lesions(run.scans(), classes=run.results["classes"], hit=hit, score_threshold=score)
    patients, iou = patient_ids(run.images), settings["iou_threshold"]
    return box_lesions(run.images, run.where, patients, score_threshold=score, iou_threshold=iou)


def _figures(
    run: ScoredRun, lesions: Lesions, groups: Dict[str, Tuple[float, float]], settings: CompareSettings
) -> Dict[Tuple[str, str], Figure]:
    own = run.results["summary"]["settings"]
    return figures_of(
        run.images,
        lesions,
        classes=run.results["classes"],
        groups=groups,
        score_threshold=own["score_threshold"],
        iou_threshold=own["iou_threshold"],
        fp_rates=settings.fp_rates,
        per_lesion=PER_LESION[run.kind],
    )


def _run_record(run: ScoredRun, first: Path) -> Dict[str, Any]:
    """What a run is; folder: as seen from the first run's."""
    results = run.results
    try:
        step = results["data"].get("step")
        network = network_title(read_config(run.folder)) + (f" with the frame {step} before" if step else "")
    except RunError:  # compared_configurations says so
        network = us_tables.network_text(results) if run.kind == "us" else results.get("row") or "no row of Table 4"
    checkpoint, note = results.get("checkpoint"), results["data"]["note"]
    record = {"name": run.name, "folder": relative([run.folder], first)[0], "seed": run.seed}
    return {**record, "checkpoint": checkpoint, "network": network, "note": note}


def _lesion_counts(
    found: Sequence[Sequence[Lesions]], run: ScoredRun, groups: Dict[str, Tuple[float, float]]
) -> Dict[str, Any]:
    """Who finds which lesion, by class and by size, and each lesion."""
    known, classes = found[0][0], run.results["classes"]
    who = lesions_by_arm(*(np.stack([one.found for one in arm]) for arm in found))
    chosen = {"all": np.ones(len(who), bool)}
    if len(classes) > 1:
        chosen.update({name: known.label == label for label, name in enumerate(classes)})
    chosen.update({name: (known.size >= low) & (known.size < high) for name, (low, high) in groups.items()})
    rows: List[Dict[str, Any]] = []
    for name, which in chosen.items():
        here = [one for one, taken in zip(who, which) if taken]
        rows.append({"name": name, "n": len(here), **{one: here.count(one) for one in WHO}})
    each = [
        {"case": case, "place": place, "class": classes[label], "size": float(size), "found_by": by}
        for (case, place), label, size, by in zip(known.where, known.label, known.size, who)
    ]
    return {"groups": rows, "each": each}
