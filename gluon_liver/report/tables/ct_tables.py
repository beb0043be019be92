"""The CT paper's printed numbers, and ours beside them as text or Markdown."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Union

from gluon_liver.errors import InputError
from gluon_liver.metrics.ct_summary import check_summary
from gluon_liver.report.records.results import Kind
from gluon_liver.structures.class_names import same_classes

from .lesion_tables import lesion_blocks
from .table import Cell, Notes, Printed, Table, as_text, data_statement, marked, printed, unfinished_statement

COLUMNS = ("Liver Cyst", "Hemangiomas", "HCCs")
COLUMN_OF_CLASS = {"cyst": "Liver Cyst", "hemangioma": "Hemangiomas", "hcc": "HCCs"}
OURS = "this run, top-1"
ONE_CLASS = (
    "With one class there is nothing to tell apart: top-1 says how often the best-scoring ROI of an annotated slice "
    "lies on a lesion, which is detection and no classification."
)


class CategoryCounts(NamedTuple):
    """One line of Table 1."""

    training_patients: int
    training_lesions: int
    test_patients: int
    test_lesions: int


# Table 1: "Diagnostic Details for Each Category of Liver Mass".
TABLE1: Dict[str, CategoryCounts] = {
    "Liver Cyst": CategoryCounts(178, 910, 20, 98),
    "Hemangiomas": CategoryCounts(353, 495, 20, 38),
    "HCCs": CategoryCounts(90, 173, 20, 30),
}


# Table 4: "The predictive accuracy of different frameworks", in percent.
TABLE4: Dict[str, Dict[str, Printed]] = {
    row: dict(zip(COLUMNS, map(printed, texts.split())))
    for row, texts in (
        ("R-50", "69.23 64.29 70.96"),
        ("R-101", "78.26 72.91 76.93"),
        ("R-50-2.5D", "72.71 66.23 71.56"),
        ("R-101 region fusion", "83.33 78.35 76.15"),
        ("R-50 multi-modal", "72.47 68.43 72.14"),
        ("R-101 multi-modal", "82.76 78.98 77.78"),
    )
}

DENOMINATOR_WARNING = (
    "The paper does not say what its percentages are percentages of: none of Table 4's 18 cells is a count "
    "over the 98, 38 and 30 test lesions of Table 1, rounded or cut to two decimals. Its rows and ours may "
    "count different things."
)


def has_papers_classes(classes: Iterable[str]) -> bool:
    """Whether these are the classes of Table 4's columns, in whatever order."""
    return same_classes(classes, COLUMN_OF_CLASS)


def other_classes_note(classes: Sequence[str]) -> str:
    """That a run's numbers do not compare with Table 4, and why."""
    told = f"tells apart {len(classes)} classes" if len(classes) > 1 else "knows one class"
    return (
        f"Not comparable with Table 4: its columns are {', '.join(COLUMNS)}, and this run {told}: "
        f"{', '.join(classes)}. How often a network is right depends on what it chooses among."
    )


def printed_table(row: Optional[str]) -> Table:
    """Table 4 as printed: one row of it, or all where ``row`` is None."""
    rows = [(name, *(cell.text for cell in cells.values())) for name, cells in TABLE4.items() if row in (None, name)]
    return Table.of("Table 4 as printed: accuracy in %", ("", *COLUMNS), rows)


def own_table(summary: Dict[str, Any]) -> Table:
    """Top-1 accuracy of each of a run's own classes, in percent."""
    check_summary(summary)
    ours = ((name, summary["top1"][name]) for name in summary["boxes"])
    rows = [(name, percent(entry), f"{entry['right']} / {entry['n']}") for name, entry in ours]
    return Table.of("This run's own classes: top-1 accuracy in %", ("class", "top-1", "slices right / n"), rows)


def comparison_table(summary: Dict[str, Any], *, row: Optional[str]) -> Table:
    """Our top-1 accuracy beside the printed row of Table 4, in percent.

    summary: of ct_summary. row: a key of TABLE4, or None for a configuration that is no row of it (only ours is
    shown, as for a run of other classes: :func:`own_table`). Raises :class:`InputError` for an unknown row, and for
    what is no ct_summary.
    """
    check_summary(summary)
    if row is not None and row not in TABLE4:
        raise InputError(f"Table 4 has no row {row!r}; its rows are {', '.join(TABLE4)} (none: null)")
    classes = list(summary["boxes"])
    if not has_papers_classes(classes):
        return own_table(summary)
    ours = [summary["top1"][name] for name in classes]
    rows: List[Sequence[Union[str, Cell]]] = [
        ("this run, top-1", *(percent(entry) for entry in ours)),
        ("slices right / n", *(f"{entry['right']} / {entry['n']}" for entry in ours)),
    ]
    if row is not None:
        rows.insert(0, ("paper, as printed", *(TABLE4[row][COLUMN_OF_CLASS[name]].text for name in classes)))
    title = f"Table 4, row {row}: accuracy in %" if row else "Top-1 accuracy in % (no row of Table 4)"
    return Table.of(title, ("", *(COLUMN_OF_CLASS[name] for name in classes)), rows)


def whole_table(summary: Dict[str, Any], *, row: Optional[str]) -> Table:
    """Table 4 as printed, and our top-1 accuracy below the row that it stands beside, first where that is none.

    A run of other classes is not comparable: the table is the paper's alone, and the run's is :func:`own_table`.
    """
    check_summary(summary)
    classes = list(summary["boxes"])
    papers = has_papers_classes(classes)
    columns = [COLUMN_OF_CLASS[name] for name in classes] if papers else list(COLUMNS)
    rows: List[List[Union[str, Cell]]]
    rows = [[Cell(name, "as printed"), *(cells[one].text for one in columns)] for name, cells in TABLE4.items()]
    if papers:
        entries = [summary["top1"][name] for name in classes]
        ours = [percent(entry)._replace(counts=f"{entry['right']} of {entry['n']} slices") for entry in entries]
        rows.insert([*TABLE4].index(row) + 1 if row else 0, [Cell(OURS), *ours])
    return Table.of(f"Accuracy in %{'' if papers else ', as printed'}", ("Row", *columns), rows)


def detection_table(summary: Dict[str, Any]) -> Table:
    """Precision, recall and average precision by class, in percent."""
    check_summary(summary)
    settings = summary["settings"]
    rows: List[Sequence[Union[str, Cell]]] = []
    for name in _with_all(summary):
        mean, title = ("mean", "all (AP: mean)") if name == "all" else (name, name)
        counted = [summary[key][name] for key in ("precision", "recall")]
        cells = [percent(entry)._replace(counts=f"n {entry['n']}") for entry in counted]
        aps = percent(summary["ap50"][mean]), _percent(summary["ap75"][mean]), _percent(summary["ap"][mean])
        rows.append((title, *cells, *aps))
    title = f"Detection in %, IoU {settings['iou_threshold']:g}; precision and recall at score "
    title += f"{settings['score_threshold']:g}; n detections, n boxes"
    return Table.of(title, ("class", "precision", "recall", "AP50", "AP75", "AP"), rows)


def froc_table(summary: Dict[str, Any]) -> Table:
    """Sensitivity at each rate of false positives, in percent."""
    check_summary(summary)
    names = _with_all(summary)
    rows = [(rate, *(percent(summary["froc"][name][rate]) for name in names)) for rate in summary["froc"]["all"]]
    return Table.of("FROC: sensitivity in % at false positives an image", ("FP an image", *names), rows)


def summary_notes(summary: Dict[str, Any]) -> List[str]:
    """What a reader needs beside the tables: the evaluated set, mixed slices, how intervals were made."""
    check_summary(summary)
    settings, mixed = summary["settings"], summary["top1"]["mixed"]
    boxes = ", ".join(f"{count} {name}" for name, count in summary["boxes"].items())
    notes = [
        f"Evaluated: patients: {summary['patients']}; slices: {summary['images']}, annotated "
        f"{summary['annotated_images']}; lesion boxes: {boxes}.",
        "Top-1: over slices annotated with one class, how often the single best-scoring ROI overlaps a "
        f"lesion by IoU {settings['iou_threshold']:g} or more and names its class.",
    ]
    classes = list(summary["boxes"])
    notes += [ONE_CLASS] if len(classes) == 1 else []
    without = [name for name in classes if summary["ap50"][name]["value"] is None]
    if without and len(without) < len(classes):
        notes.append(f"Mean AP is over the {len(classes) - len(without)} of {len(classes)} classes with a lesion here.")
    if mixed["n"]:
        right = f"{mixed['right']} / {mixed['n']} right, {percent(mixed)} %"
        notes.append(f"Slices annotated with several classes are counted apart: {right}.")
    entries = [one for key in ("top1", "precision", "recall", "ap50") for one in summary[key].values()]
    entries += [one for rates in summary["froc"].values() for one in rates.values()]
    left_out = max((entry["undefined"] for entry in entries if entry["value"] is not None), default=0)
    notes.append(
        f"[low, high]: {100 * settings['confidence']:g} % {settings['interval']}, {settings['replicates']} "
        f"replicates, seed {settings['seed']}"
        + (f"; up to {left_out} replicates, in which a metric is undefined, left out." if left_out else ".")
    )
    reasons = {entry["reason"] for entry in entries if "reason" in entry and entry["value"] is not None}
    notes += [f"[no interval]: {reason}." for reason in sorted(reasons)]
    if any(entry["low"] is not None and entry["low"] == entry["high"] for entry in entries):
        notes.append("An interval without width (all right, or all wrong) is a limit of the bootstrap, no certainty.")
    if any(entry["value"] is None for entry in entries):
        notes.append("-: undefined, nothing to count over.")
    return notes


def table4_text(
    summary: Dict[str, Any], *, row: Optional[str], data_note: str, phantom: bool, unfinished: str = ""
) -> str:
    """The comparison with Table 4 and the other metrics as plain text, at most 110 columns.

    summary: of ct_summary. row: of TABLE4, or None. data_note: what the data are. phantom: whether they are generated;
    the text then says what that is worth. unfinished: of :func:`unfinished_statement`. Raises InputError for an unknown
    row, and for what is no ct_summary.
    """
    others = row is not None and not has_papers_classes(summary["boxes"])
    lesions = lesion_blocks(summary)
    return as_text(
        *filter(None, [unfinished_statement(unfinished)]),
        *([printed_table(row)] if others else []),
        marked(comparison_table(summary, row=row), unfinished),
        *([other_classes_note(list(summary["boxes"]))] if others else []),
        data_statement(data_note, phantom),
        *([DENOMINATOR_WARNING] if row is not None and not others else []),
        detection_table(summary),
        froc_table(summary),
        Notes(summary_notes(summary), bullet=""),
        *lesions.tables,
        Notes(lesions.notes, bullet=""),
    )


def percent(entry: Dict[str, Any]) -> Cell:
    """A metric entry in percent with one decimal: "66.7 [50.0, 83.3]"."""
    if entry["value"] is None:
        return Cell("-")
    low, high = _percent(entry["low"]), _percent(entry["high"])
    return Cell(_percent(entry["value"]), "[no interval]" if entry["low"] is None else f"[{low}, {high}]")


def _with_all(summary: Dict[str, Any]) -> List[str]:
    """The classes, and "all" unless there is one class, which is all."""
    return [*summary["boxes"], *(["all"] if len(summary["boxes"]) > 1 else [])]


def _percent(value: Optional[float]) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _check(results: Dict[str, Any]) -> None:
    comparison_table(results["summary"], row=results["row"])
    lesion_blocks(results["summary"])


KIND = Kind(
    "ct",
    dict(row=(str, type(None)), curves=dict),
    _check,
)
