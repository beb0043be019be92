"""The answer of a run's page: what was trained, on what, and how good it is, in one paragraph of plain sentences."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from gluon_liver.config.network_title import network_title
from gluon_liver.config.schema import Config
from gluon_liver.metrics.lesion_summary import LOCATED
from gluon_liver.report.tables.ct_tables import percent
from gluon_liver.report.tables.us_tables import COLUMN_OF_MODEL, label_of, mean_sd
from gluon_liver.structures.enumerations import all_of

_COUNTED = {  # what was scored: the key of its count, one and many of it in a sentence, and in a tile
    "ct": (
        ("patients", "patient", "patients", "patients"),
        ("cases", "study", "studies", "studies"),
        ("images", "slice", "slices", "slices"),
        ("images_with_objects", "of them with a lesion", "of them with a lesion", "slices with a lesion"),
        ("lesions", "lesion", "lesions", "lesions"),
        ("boxes", "box", "boxes", "boxes on slices"),
    ),
    "us": (
        ("patients", "patient", "patients", "patients"),
        ("cases", "scene", "scenes", "scenes"),
        ("images", "frame", "frames", "frames"),
        ("boxes", "box", "boxes", "boxes on frames"),
    ),
}


class Measure(NamedTuple):
    """One figure of the answer's picture, a share from 0 to 1 with its interval where it has one."""

    name: str
    value: Optional[float]
    low: Optional[float]
    high: Optional[float]
    of: str


def answer_text(
    results: Mapping[str, Any], environment: Mapping[str, Any], config: Optional[Config], *, imported: bool = False
) -> List[str]:
    """The answer as paragraphs: what was trained on what, and how good it is with intervals.

    imported: another program trained the weights that the run began with.
    """
    return [
        _trained(results, environment, config, imported),
        *(_ct_good(results) if results["kind"] == "ct" else _us_good(results)),
    ]


def _trained(
    results: Mapping[str, Any], environment: Mapping[str, Any], config: Optional[Config], imported: bool
) -> str:
    title = network_title(config) if config else "a network whose configuration this version does not read"
    beside = _beside(results, config)
    phantom = results["data"]["phantom"]
    patients = environment.get("training_patients")
    who = "generated patients (phantoms)" if phantom else "patients"
    on = f" on {len(patients)} {who}" if isinstance(patients, list) else f" on {who}"
    step = re.fullmatch(r"step-(\d+)", str(results.get("checkpoint")))
    steps = f" for {_plural(int(step.group(1)), 'step')}" if step else ""
    how, was = f"was trained{steps}{on}", ""
    if imported:
        how = f"began with weights that another program trained{on}, as who imported them says,"
        how += f" was trained here{steps}" if step and int(step.group(1)) else " was not trained here"
        was = "was "
    counts = counts_of(results)
    scored = f"{_plural(counts['patients'], 'patient')} of the {results['split']} split"
    things = [
        _plural(counts[key], one, many)
        for key, one, many, _ in _COUNTED[results["kind"]]
        if key != "patients" and counts[key] is not None
    ]
    return f"{title[0].upper()}{title[1:]}{beside} {how} and {was}scored on {scored}: {all_of(things)}."


def _beside(results: Mapping[str, Any], config: Optional[Config]) -> str:
    """Which of the papers' numbers stands beside the run."""
    if results["kind"] == "us":
        return f", beside \u201c{COLUMN_OF_MODEL[results['model']]}\u201d of the paper,"
    title = network_title(config) if config else ""
    return (
        f", beside row {results['row']} of the paper's Table 4," if results["row"] and title != results["row"] else ""
    )


def _ct_good(results: Mapping[str, Any]) -> List[str]:
    summary = results["summary"]
    score, lesions = summary["settings"]["score_threshold"], summary.get("lesions")
    said = []
    if lesions:
        found, patients = lesions["sensitivity"]["all"], lesions["patient_sensitivity"]["all"]
        false = lesions["false_positives"]["all"]["value"]
        said.append(
            f"At score {score:g} it finds {_share(found)} of the lesions and names their class, "
            f"with {'-' if false is None else format(false, '.2f')} false positives a patient; of the patients with a "
            f"lesion {_share(patients)} have one that is found."
        )
        if len(results["classes"]) > 1:
            said[-1] += f" Whatever the class, {_share(lesions['sensitivity'][LOCATED])} are found."
    precision, ap = summary["precision"]["all"], summary["ap50"]["mean"]
    right = f"{_share(precision)} of the detections are right" if precision["n"] else "there are no detections"
    said.append(f"Slice by slice {right}, and AP50 is {_share(ap)}.")
    return [" ".join(said)]


def _us_good(results: Mapping[str, Any]) -> List[str]:
    summary = results["summary"]
    score = summary["settings"]["score_threshold"]
    each = [f"{label_of(name).lower()}s {mean_sd(one)}" for name, one in summary["sensitivity"].items()]
    ap, ap50 = summary["ap"]["mean"], summary["ap50"]["mean"]
    numbers = ", ".join(
        f"{name} {'-' if value is None else format(value, '.3f')}" for name, value in (("AP50", ap50), ("mean AP", ap))
    )
    return [
        f"At score {score:g} it finds of a scene's boxes, as mean \u00b1 SD over scenes: {all_of(each)}. "
        f"{numbers} over all frames."
    ]


def counts_of(results: Mapping[str, Any]) -> Dict[str, Optional[int]]:
    """How many patients, studies or scenes, images, images with objects, lesions and boxes were scored; None where the
    file does not say."""
    summary = results["summary"]
    ct = results["kind"] == "ct"
    cases = results["data"].get("studies") if ct else len(summary["scenes"])
    lesions = summary.get("lesions", {}).get("lesions")
    counts: Dict[str, Optional[int]] = {
        "patients": summary["patients"],
        "cases": cases,
        "images": summary["images"],
        "images_with_objects": summary["annotated_images"],
        "lesions": sum(lesions.values()) if lesions else None,
        "boxes": sum(summary["boxes"].values()),
    }
    new = results.get("counts")
    return {key: new.get(key, value) if isinstance(new, dict) else value for key, value in counts.items()}


def facts_of(results: Mapping[str, Any]) -> List[Tuple[int, str]]:
    """The counts as they stand in the tiles of a page."""
    counts = counts_of(results)
    shown = [(counts[key], title) for key, _, _, title in _COUNTED[results["kind"]]]
    return [(value, title if value != 1 else singular(title)) for value, title in shown if value is not None]


def singular(title: str) -> str:
    """What a tile counts, of one of it: "slices with a lesion" is "slice with a lesion"."""
    first, space, rest = title.partition(" ")
    return {"studies": "study", "boxes": "box"}.get(first, first[:-1] if first.endswith("s") else first) + space + rest


def measures(results: Mapping[str, Any]) -> List[Measure]:
    """What the answer's picture shows, best known things first."""
    summary = results["summary"]
    if results["kind"] == "us":
        return _us_measures(results)
    found: List[Measure] = []
    lesions = summary.get("lesions")
    if lesions:
        names = [*summary["boxes"], *(["all"] if len(summary["boxes"]) > 1 else [])]
        for name in names:
            title = "lesions found" if name == "all" or len(names) == 1 else f"lesions found: {name}"
            found.append(_measure(title, lesions["sensitivity"][name], "lesions"))
        found.append(_measure("patients found", lesions["patient_sensitivity"]["all"], "patients"))
    found.append(_measure("detections right", summary["precision"]["all"], "detections"))
    found.append(_measure("boxes found", summary["recall"]["all"], "boxes"))
    found.append(_measure("AP50", summary["ap50"]["mean"], ""))
    return found


def _us_measures(results: Mapping[str, Any]) -> List[Measure]:
    summary = results["summary"]
    found = [Measure(name, summary[key]["mean"], None, None, "") for name, key in (("AP50", "ap50"), ("mean AP", "ap"))]
    rows = results.get("sensitivity")
    if isinstance(rows, dict):
        for key in ("frame", "scene", "patient"):
            if isinstance(rows.get(key), dict):
                found.append(row_measure(rows[key], f"{key}s with a find"))
    by_class = results.get("recall", {}).get("by_class", [])
    return [*(row_measure(row, f"boxes found: {row['name']}") for row in by_class), *found]


def row_measure(row: Mapping[str, Any], name: str) -> Measure:
    """A row of ``recall`` or ``sensitivity`` of results.json."""
    low, high = row.get("interval") or (None, None)
    return Measure(name, row["recall"], low, high, f"{row['found']} of {row['n']}")


def _measure(name: str, entry: Mapping[str, Any], unit: str) -> Measure:
    of = f"n {entry['n']} {unit}" if unit and "n" in entry else ""
    return Measure(name, entry["value"], entry["low"], entry["high"], of)


def _share(entry: Mapping[str, Any]) -> str:
    cell = percent(dict(entry))
    return f"{cell.value} %" + (f" {cell.interval}" if cell.interval else "")


def _plural(count: Optional[int], one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
