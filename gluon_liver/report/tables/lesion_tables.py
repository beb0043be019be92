"""Lesions and patients of an evaluation as tables and notes, beside those of slices."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Union

from gluon_liver.errors import InputError
from gluon_liver.metrics.lesion_summary import LOCATED
from gluon_liver.metrics.sizes import size_text

from .table import Cell, Table

NOT_KNOWN = "Lesions and patients: not known, evaluated by an older version; evaluate again to have them scored."
# of evaluations before settings.interval said Wilson; measured on 17 patients, a third of whom had the class
UNDERCOVERAGE = (
    "A percentile bootstrap over few patients is too narrow: over 17 patients of whom a third have the class, an "
    "interval that says 95 % covered 77 to 86 %. Evaluate again to have intervals that cover."
)
_PERCENTILES = "percentile bootstrap"
_FEW_PATIENTS = 100


class LesionBlocks(NamedTuple):
    """What is shown of lesions."""

    tables: List[Table]
    notes: List[str]


def lesion_blocks(summary: Dict[str, Any]) -> LesionBlocks:
    """The tables of ``lesions`` in a summary; a note alone where an older version evaluated.

    Raises :class:`InputError` for entries that are not those of :func:`gluon_liver.metrics.lesion_summary`.
    """
    lesions = summary.get("lesions")
    if lesions is None:
        return LesionBlocks([], [NOT_KNOWN])
    try:
        return LesionBlocks([_table(lesions), _froc(lesions), _sizes(lesions)], _notes(lesions))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"the summary has no valid lesions ({error!r}); evaluate again with this version") from error


def _names(lesions: Dict[str, Any]) -> Dict[str, str]:
    """Name -> title, of the classes; of all together too where there are several."""
    classes = {name: name for name in lesions["lesions"]}
    return {**classes, "all": "all", LOCATED: "any class"} if len(classes) > 1 else classes


def _table(lesions: Dict[str, Any]) -> Table:
    rows: List[Sequence[Union[str, Cell]]] = []
    for name, title in _names(lesions).items():
        found, patients = lesions["sensitivity"][name], lesions["patient_sensitivity"][name]
        false_positives = _cell(lesions["false_positives"][name], 1, 2)
        cells = (_cell(one)._replace(counts=f"n {one['n']}") for one in (found, patients))
        rows.append((title, next(cells), false_positives, next(cells)))
    score = f"{lesions['settings']['score_threshold']:g}"
    title = f"Lesions at score {score}: sensitivity in %, false positives a patient, patients found in %; n lesions, n "
    header = ("class", "sensitivity", "FP a patient", "patients found")
    return Table.of(title + "patients with a lesion", header, rows)


def _froc(lesions: Dict[str, Any]) -> Table:
    names = _names(lesions)
    rates = next(iter(lesions["froc"].values()))
    rows = [(rate, *(_cell(lesions["froc"][name][rate]) for name in names)) for rate in rates]
    title = "Lesion FROC: sensitivity in % at false positives a patient"
    return Table.of(title, ("FP a patient", *names.values()), rows)


def _sizes(lesions: Dict[str, Any]) -> Table:
    rows: List[Sequence[Union[str, Cell]]] = []
    for entry in lesions["by_size"]:
        entries = [entry["sensitivity"], *entry.get("by_class", {}).values()]  # by class: not in older versions
        cells = [_cell(one)._replace(counts=f"n {one['n']}") for one in entries]
        rows.append((size_text(entry["from_mm"], entry["to_mm"], "mm"), *cells))
    score = f"{lesions['settings']['score_threshold']:g}"
    title = f"Lesions by size, the longest side in the plane: sensitivity in % at score {score}; n lesions"
    return Table.of(title, ("size", "all classes", *lesions["by_size"][0].get("by_class", ())), rows)


def each_table(summary: Dict[str, Any]) -> Optional[Table]:
    """The lesions one by one; None where an older version evaluated."""
    each = summary.get("lesions", {}).get("each")
    if each is None:
        return None
    words = {(True, True): "found", (False, True): "found as another class", (False, False): "missed"}
    rows = []
    for one in each:
        first, last = one["slices"]
        found = words[one["found"], one["located"]]
        rows.append((one["case"], one["class"], f"{first} to {last}", f"{one['size_mm']:.1f}", found))
    score = f"{summary['lesions']['settings']['score_threshold']:g}"
    return Table.of(f"Every lesion at score {score}", ("study", "class", "slices", "mm", ""), rows)


def _notes(lesions: Dict[str, Any]) -> List[str]:
    settings, slices = lesions["settings"], lesions["slices"]
    counts = ", ".join(f"{count} {name}" for name, count in lesions["lesions"].items())
    notes = [
        f"Lesions: {counts}; scans: {lesions['scans']}; patients: {lesions['patients']}. Boxes of neighbouring slices "
        f"are one lesion where they overlap by IoU {settings['link_iou']:g} or {settings['link_inside']:g} of the "
        f"smaller lies in the other, with at most one empty slice or {settings['gap_mm']:g} mm between, in ground "
        "truth and detections alike.",
        f"A lesion is found ({settings['hit']}) where {settings['hit_words']}. It is found once: a second detection "
        "of it is a false positive."
        + (" any class: found, whatever it is called." if len(_names(lesions)) > 1 else ""),
    ]
    if slices["scored"] < slices["in_scans"]:
        notes.append(
            f"{slices['scored']} of the {slices['in_scans']} slices of these scans are labelled: what lies on the "
            "others is neither found nor missed nor a false positive, so false positives a patient are of the "
            "labelled slices alone. A lesion goes on across unlabelled slices as far as it is wide."
        )
    if slices["invented"]:
        notes.append(
            f"{slices['invented']} slices of these scans were interpolated by the import: no scanner saw them."
        )
    healthy = lesions["patient_specificity"]
    score = f"{settings['score_threshold']:g}"
    if healthy["n"]:
        quiet = f"{_cell(healthy)} % have no detection at score {score}"
        notes.append(f"Of the patients without a lesion ({healthy['n']}) {quiet}.")
    else:
        notes.append("Every patient has a lesion: nothing is known of false alarms in patients without one.")
    interval = (
        f"[low, high]: {100 * settings['confidence']:g} % {settings['interval']}, {settings['replicates']} replicates"
    )
    undefined = max((entry["undefined"] for entry in _entries(lesions)), default=0)
    notes.append(interval + (f"; up to {undefined} of them, without such a lesion, left out." if undefined else "."))
    notes += [
        f"[no interval]: {reason}." for reason in sorted({e["reason"] for e in _entries(lesions) if "reason" in e})
    ]
    if lesions["patients"] < _FEW_PATIENTS and settings["interval"].startswith(_PERCENTILES):
        notes.append(UNDERCOVERAGE)
    return notes


def _entries(lesions: Dict[str, Any]) -> List[Dict[str, Any]]:
    """All entries with a value."""
    entries = [lesions["patient_specificity"], *(row["sensitivity"] for row in lesions["by_size"])]
    for key in ("sensitivity", "false_positives", "patient_sensitivity"):
        entries += lesions[key].values()
    entries += [entry for rates in lesions["froc"].values() for entry in rates.values()]
    return [entry for entry in entries if entry["value"] is not None]


def _cell(entry: Dict[str, Any], scale: float = 100, digits: int = 1) -> Cell:
    """A metric entry, in percent or as it is: "66.7 [50.0, 83.3]"."""
    if entry["value"] is None:
        return Cell("-")
    value, low, high = (
        None if entry[key] is None else f"{scale * entry[key]:.{digits}f}" for key in ("value", "low", "high")
    )
    return Cell(str(value), "[no interval]" if low is None else f"[{low}, {high}]")
