"""What a record keeps of an evaluated run: every value of its summary, counts by patient, a thinned log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from gluon_liver.config.load import build_config
from gluon_liver.data.open import open_dataset
from gluon_liver.files.json_records import read_json, read_yaml
from gluon_liver.metrics.accuracy import precision_recall_counts, top1_counts
from gluon_liver.metrics.matching import match_class
from gluon_liver.runs.log import read_log
from gluon_liver.structures.detections import SCORE_THRESHOLD, Detections
from gluon_liver.structures.image_result import check_results, patient_ids

from .plan import PlannedRun, digest
from .records import RunRecord

LOG_POINTS = 20
LEAST_SCORE = 0.05
_VALUE = "value"  # of an entry with an interval
_LEFT_OUT = ("settings", "curve", "scenes", "slices")  # of a summary: what is no endpoint


def run_record(run: PlannedRun, folder: Path, test_data: Path, seconds: Dict[str, float]) -> RunRecord:
    """The record of a run that was evaluated on ``test_data``. Raises :class:`InputError` for one that was not."""
    results = read_json(folder / "results.json", remedy="the run was not evaluated")
    environment, summary = read_json(folder / "environment.json"), results["summary"]
    config = build_config(read_yaml(folder / "config.yaml")).to_dict()
    del config["train"]["seed"]
    log = read_log(folder / "log.jsonl")
    return RunRecord(
        **vars(run.key),
        setting=run.setting,
        config=digest(config),
        revision=environment["revision"],
        environment={key: environment[key] for key in ("python", "packages", "machine", "threads")},
        steps=max((record.get("step", 0) for record in log), default=0),
        results=dict(values(summary)),
        counts=_ct_counts(folder, test_data) if run.test.task == "ct" else us_counts(summary),
        log=thinned(log),
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )


def values(summary: Any, place: str = "") -> Iterator[Tuple[str, Optional[float]]]:
    """(path, value) of every number of a summary, of entries with an interval the value alone; None is undefined."""
    if isinstance(summary, dict) and _VALUE in summary:
        summary = summary[_VALUE]
    if isinstance(summary, (dict, list)):
        for name, value in summary.items() if isinstance(summary, dict) else enumerate(summary):
            if name not in _LEFT_OUT:
                yield from values(value, f"{place}.{name}" if place else str(name))
    elif summary is None or isinstance(summary, (int, float)) and not isinstance(summary, bool):
        yield place, summary if isinstance(summary, int) or summary is None else round(summary, 6)


def us_counts(summary: Dict[str, Any]) -> Dict[str, Any]:
    """Boxes of each class, by scene: how many there are, how many were found."""
    scenes = [scene["scene"] for scene in summary["scenes"]]
    counts: Dict[str, Any] = {"scenes": scenes}
    for name, entry in summary["sensitivity"].items():
        of_scene = {row["scene"]: row for row in entry["scenes"]}
        counts[name] = {key: [of_scene.get(scene, {}).get(key, 0) for scene in scenes] for key in ("n", "found")}
    return counts


def _ct_counts(folder: Path, data: Path) -> Dict[str, Any]:
    """By patient and class: boxes, those found at score 0.5, detections there, slices for top-1 and those right.

    "ranked": detections of a class from the best score down to :data:`LEAST_SCORE`, each as twice the place of its
    patient, and 1 more where it is a hit at IoU 0.5: what an average precision over any of the patients is made of.
    """
    # they import MXNet, which the runner needs for nothing else
    from gluon_liver.evaluation.detection_file import read_detections

    dataset = open_dataset(data)
    labels = dataset.labels_of("test")
    rows = read_detections(folder / "detections.json", dataset, labels).rows
    read = [dataset.result(label, Detections.from_coco(rows[label.image_id])) for label in labels]
    found = check_results(read, dataset.classes)
    top1 = top1_counts(found, dataset.classes)
    counts: Dict[str, Any] = {"patients": patient_ids(found)}
    for number, name in enumerate(dataset.classes):
        matched = match_class(found, number)
        precision, recall = precision_recall_counts(matched.at_score(SCORE_THRESHOLD))
        arrays = {"boxes": recall.n, "found": recall.right, "detections": precision.n}
        arrays.update(top1_slices=top1[name].n, top1_right=top1[name].right)
        ranked = matched.at_score(LEAST_SCORE)
        arrays["ranked"] = 2 * ranked.patient + ranked.hit
        counts[name] = {key: array.tolist() for key, array in arrays.items()}
    return counts


def thinned(log: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Step and losses of at most :data:`LOG_POINTS` records of steps, the last one among them."""
    steps = [record for record in log if record["event"] == "step"]
    every = max(1, -(-len(steps) // LOG_POINTS))
    chosen = steps[::-1][::every][::-1]
    return [{"step": one["step"], **{name: round(value, 4) for name, value in one["losses"].items()}} for one in chosen]
