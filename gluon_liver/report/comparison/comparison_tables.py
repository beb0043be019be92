"""A comparison of runs as tables and sentences, for the terminal and the page."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

from gluon_liver.config.explain import KEYS, as_yaml
from gluon_liver.report.tables.table import PHANTOM_WARNING, Cell, Notes, Table, as_text

from .causes import COUNTED
from .compare_runs import PER_LESION, WHO
from .verdict import answer_text

TITLES = {"overall": "Overall", "by class": "By class", "by size": "By size"}
_MOST_SHOWN = 200  # lesions of one arm alone that the page lists


def comparison_text(document: Dict[str, Any]) -> str:
    """The comparison of :func:`.compare_runs.compare_runs` as text."""
    causes, configuration = cause_table(document), configuration_table(document)
    return as_text(
        "\n".join(arm_texts(document)),
        answer_text(document),
        *difference_tables(document),
        lesion_table(document),
        *([causes] if causes else []),
        *(
            [configuration._replace(header=("key", "A", "B"), rows=tuple(row[:3] for row in configuration.rows))]
            if configuration.rows
            else []
        ),
        "\n".join(sameness(document)),
        *([PHANTOM_WARNING] if document["phantom"] else []),
        Notes([f"Data: {note}" for note in data_notes(document)] + notes_of(document)),
    )


def arm_texts(document: Dict[str, Any]) -> List[str]:
    """What each arm is."""
    texts = []
    for letter in ("a", "b"):
        runs = ", ".join(f"{run['name']} (seed {run['seed']})" for run in document[letter])
        networks = ", ".join(dict.fromkeys(run["network"] for run in document[letter]))
        texts.append(f"{letter.upper()}: {runs}; {networks}.")
    return texts


def difference_tables(document: Dict[str, Any]) -> List[Table]:
    """A table a family: both arms, the difference with its interval, P and what could have been shown.

    Of runs paired by seed one more, of what trainings alone say.
    """
    tables = [difference_table(document, family) for family in TITLES]
    return [table for table in tables if table.rows] + ([seed_table(document)] if document["paired_by_seed"] else [])


def difference_table(document: Dict[str, Any], family: str) -> Table:
    """The table of one family of :data:`TITLES`."""
    header = ("in %", "A", "B", "A - B [95 %]", "P", "P, Holm", "80 % power at", "patients")
    rows = [_row(entry) for entry in document["figures"] if entry["family"] == family]
    what = f", {PER_LESION[document['kind']]}" if family == "by size" else ""
    return Table.of(f"{TITLES[family]}{what}: A - B by patient", header, rows)


def seed_table(document: Dict[str, Any]) -> Table:
    """Differences of the runs of each seed, and what they say of trainings alone."""
    seeds = [str(run["seed"]) for run in document["a"]]
    rows: List[Sequence[Union[str, Cell]]] = []
    for entry in document["figures"]:
        test = entry["seeds"]
        if entry["family"] != "overall" or test is None:
            continue
        cells = [_number(one, entry["unit"], sign=True) for one in test["differences"]]
        summary = [_number(test["sd"], entry["unit"]), _p(test["p"]), _p(test["p_flip"])]
        rows.append((short_name(entry), *cells, *summary))
    header = ("A - B, seed", *seeds, "SD", "P, t", "P, sign flips")
    return Table.of("By seed: A - B of the runs of one seed, over seeds alone", header, rows)


def lesion_table(document: Dict[str, Any]) -> Table:
    """How many lesions (boxes in ultrasound) both, one alone or neither finds."""
    rows = [[row["name"], *(str(row[key]) for key in ("n", *WHO))] for row in document["lesions"]["groups"]]
    what = "Lesions" if document["kind"] == "ct" else "Boxes"
    return Table.of(f"{what} found", ("", "n", "by both", "by A alone", "by B alone", "by neither"), rows)


def single_table(document: Dict[str, Any], *, most: Optional[int] = _MOST_SHOWN) -> Table:
    """The lesions that one arm alone finds. most: rows; None for all."""
    unit = document["settings"]["unit"]
    single = [one for one in document["lesions"]["each"] if one["found_by"] in ("a", "b")]
    rows = [
        (one["case"], str(one["place"]), one["class"], f"{one['size']:.1f}", one["found_by"].upper())
        for one in single[:most]
    ]
    title = f"{len(single)} found by one alone" + (f", the first {most}" if len(rows) < len(single) else "")
    place = "slice" if document["kind"] == "ct" else "frame"
    return Table.of(title, ("study" if place == "slice" else "scene", place, "class", unit, "found by"), rows)


def cause_table(document: Dict[str, Any]) -> Optional[Table]:
    """What became of detections and of objects in either arm; None where the evaluations do not say."""
    found = document["errors"]["rows"]
    if not found:
        return None
    rows = [
        (f"{COUNTED[one['of']]}: {one['cause']}", f"{one['a']:.4g}", f"{one['b']:.4g}", f"{one['a'] - one['b']:+.4g}")
        for one in found
    ]
    return Table.of("Causes of errors, counts at the score threshold", ("", "A", "B", "A - B"), rows)


def configuration_table(document: Dict[str, Any]) -> Table:
    """The keys that differ between the arms, with what they mean."""
    rows = []
    for one in document["configuration"]["differ"]:
        values = (", ".join(map(as_yaml, one[letter])) for letter in ("a", "b"))
        known = KEYS.get(one["key"])
        rows.append((one["key"], *values, known.meaning if known else ""))
    return Table.of("Keys with other values", ("key", "A", "B", "meaning"), rows)


def sameness(document: Dict[str, Any]) -> List[str]:
    """Sentences: whether configurations, training data and what was scored are the same."""
    configuration, what = document["configuration"], "slices" if document["kind"] == "ct" else "frames"
    sentences = [f"Their configurations are not compared: {why}." for why in configuration["unread"]]
    if not configuration["unread"] and not configuration["differ"]:
        sentences.append("No key of their configurations differs.")
    vary = [f"{one['key']} ({', '.join(map(as_yaml, one['values']))})" for one in configuration["vary"]]
    sentences += [f"The same in both, but not in all runs of an arm: {', '.join(vary)}."] if vary else []
    checkpoints = [dict.fromkeys(str(run["checkpoint"]) for run in document[letter]) for letter in ("a", "b")]
    if list(checkpoints[0]) != list(checkpoints[1]):
        a, b = (" and ".join(side) for side in checkpoints)
        sentences.append(f"They were read at other checkpoints: A at {a}, B at {b}.")
    sentences += document["training"]
    scored = f"Both were scored on the same {document['images']} {what} of {document['patients']} patients, "
    scored += f"the {document['split']} split, with the same boxes"
    pixels = {True: " and the same pixels.", False: ", but on OTHER PIXELS: the stored images differ.", None: "."}
    return [*sentences, scored + pixels[document["pixels"]]]


def holds_text(document: Dict[str, Any]) -> str:
    """Which variation the intervals hold."""
    counts = [len(document[letter]) for letter in ("a", "b")]
    if document["holds"] == "patients":
        text = (
            "Intervals and P values hold the variation over patients alone: other trainings of the same configurations"
        )
        text += " would differ too, and how far is not known from "
        return text + ("one run an arm." if counts == [1, 1] else "one run in one of the arms.")
    pairs = "runs of one seed are pairs" if document["paired_by_seed"] else "the seeds differ: runs are no pairs"
    return (
        f"Intervals and P values hold the variation over patients and over trainings ({counts[0]} and {counts[1]} "
        f"runs; {pairs}). A and B are means over their runs."
    )


def notes_of(document: Dict[str, Any]) -> List[str]:
    """How the numbers were made and what they are worth."""
    settings, patients = document["settings"], document["patients"]
    tests = {entry["test"] for entry in document["figures"]}
    notes = [holds_text(document)]
    if "permutation" in tests:
        least = f"; with {patients} patients none is below {2 / 2**patients:.2g}" if patients <= 8 else ""
        notes.append(
            "P: permutation test, two-sided: the two runs' results of a patient might as well have been the other way "
            f"round{least}."
        )
    if "t" in tests:
        notes.append("P: t-test, two-sided, of the difference over its standard error (degrees of freedom by Welch).")
    notes += [
        "P, Holm: adjusted for the family, the rows of one table: at or below 0.05 it holds with all of them.",
        "[95 %]: Student's t interval over patients, with two lesions added that favour either arm alike (Agresti and "
        "Min): agreement in a few patients is no certainty. It is wide rather than narrow, and may hold 0 where P is "
        f"below 0.05. Patients were drawn {settings['replicates']} times.",
        "80 % power at: the true difference that so many patients would have shown (P at or below 0.05) in 80 of 100 "
        "such comparisons. A difference that was not shown may be as large.",
        f"At score {settings['score_threshold']:g} and IoU {settings['iou_threshold']:g}. FROC: mean sensitivity at "
        f"{', '.join(f'{rate:g}' for rate in settings['fp_rates'])} false positives an image. top-1: of images with "
        "one class.",
    ]
    if document["kind"] == "ct":
        joined = "A lesion is its boxes joined by their numbers or, without, from slice to slice"
        notes.append(f"{joined}; found as {settings['lesion_hit']} says.")
    else:
        notes.append("A box is an annotated object of one frame; those of one scene are not independent.")
    if max(len(document["a"]), len(document["b"])) > 1:
        notes.append("Found by an arm: by more than half of its runs.")
    notes.append(
        "Figures are computed again from detections.json, whose boxes have two decimals of a pixel and scores five: "
        "they may differ from an evaluation's by that rounding, most where boxes are small."
    )
    reasons = {entry["reason"] for entry in document["figures"] if entry["reason"]}
    return notes + [f"-: {reason}." for reason in sorted(reasons)]


def _row(entry: Dict[str, Any]) -> List[Union[str, Cell]]:
    unit = entry["unit"]
    interval = "" if entry["low"] is None else f"[{_number(entry['low'], unit)}, {_number(entry['high'], unit)}]"
    difference = Cell(_number(entry["difference"], unit, sign=True), interval)
    arms = [_number(entry[key], unit) for key in ("a", "b")]
    tail = [_p(entry["p"]), _p(entry["p_holm"]), _number(entry["detectable"], unit), str(entry["patients"])]
    return [short_name(entry), *arms, difference, *tail]


def short_name(entry: Dict[str, Any]) -> str:
    """What a figure is called below the title of its family."""
    if entry["unit"] == "rate":
        return f"{entry['name']} (no %)"
    return str(entry["name"]).partition(", ")[2] if entry["family"] == "by size" else str(entry["name"])


def _number(value: Optional[float], unit: str, *, sign: bool = False) -> str:
    if value is None:
        return "-"
    text = f"{value:+.2f}" if unit == "rate" else f"{100 * value:+.1f}"
    return text if sign else text.replace("+", "")


def _p(value: Optional[float]) -> str:
    return "-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def data_notes(document: Dict[str, Any]) -> List[str]:
    """What evaluation said of the data, each once."""
    return list(dict.fromkeys(run["note"] for letter in ("a", "b") for run in document[letter]))
