"""Tables 1 and 2 of the ultrasound paper as printed, and an evaluated run beside them."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Union

from gluon_liver.errors import InputError
from gluon_liver.metrics.sizes import size_text
from gluon_liver.metrics.us_summary import check_us_summary
from gluon_liver.report.records.results import Kind
from gluon_liver.structures.class_names import same_classes

from .table import Block, Cell, Notes, Printed, Table, as_text, data_statement, marked, printed, unfinished_statement

COLUMNS = PROPOSED, BASELINE = "Our model", "Faster R-CNN"
COLUMN_OF_MODEL = {"us-flow": PROPOSED, "us-faster-rcnn": BASELINE}
LABEL_OF_CLASS = {"tumor": "Tumor", "vessel": "Blood vessel"}
AP_ROWS = {"Mean AP": "ap", "AP50": "ap50", "AP75": "ap75"}  # as Table 1 names them -> keys of us_summary

# Table 1: "Comparison of AP in tumor detection".
TABLE1: Dict[str, Dict[str, Printed]] = {
    row: dict(zip(COLUMNS, map(printed, texts.split())))
    for row, texts in (("Mean AP", "0.549 0.530"), ("AP50", "0.887 0.881"), ("AP75", "0.641 0.625"))
}


class PrintedSensitivity(NamedTuple):
    """A mean sensitivity over scenes with its SD, as printed and as floats."""

    text: str
    mean: float
    sd: float

    @classmethod
    def of(cls, text: str) -> PrintedSensitivity:
        mean, sd = text.split("\u00b1")
        return cls(text, float(mean), float(sd))


class PrintedTest(NamedTuple):
    """A row of Table 2; the minus signs are those of the print."""

    sensitivity: Dict[str, PrintedSensitivity]
    p: Printed
    t: Printed


# Table 2: "Comparison of mean sensitivity and detection results by paired two-samples t-test", 30 scenes.
TABLE2: Dict[str, PrintedTest] = {
    label: PrintedTest(dict(zip(COLUMNS, map(PrintedSensitivity.of, texts[:2]))), *map(printed, texts[2:]))
    for label, *texts in (
        ("Tumor", "0.627±0.390", "0.456±0.411", "0.003", "\u22122.921"),
        ("Blood vessel", "0.558±0.201", "0.576±0.202", "0.290", "\u22120.559"),
    )
}
TITLE1 = "Table 1: average precision in tumor and vessel detection"
TITLE2 = "Table 2: mean sensitivity per scene, \u00b1 SD over scenes"


class PrintedGain(NamedTuple):
    """What the paper says of its model's tumor sensitivity, and by how much that is better than the baseline."""

    sensitivity: PrintedSensitivity
    better: Printed


ABSTRACT = PrintedGain(PrintedSensitivity.of("0.623±0.385"), printed("0.146"))
RESULTS = PrintedGain(TABLE2["Tumor"].sensitivity[PROPOSED], printed("0.171"))

PAPER_WORTH = (
    "The paper's numbers come from one video of one patient with one tumor. Table 1 is on 19 of its 91 labelled images "
    "(72 trained), the best of 400 epochs on those same 19; Table 2 is on 30 other scenes of the same video. Neither "
    "says how the model does on another patient."
)
DISAGREEMENT = (
    f"The paper disagrees with itself on the tumor sensitivity of its model: {ABSTRACT.sensitivity.text}, "
    f"{ABSTRACT.better.text} better, in the abstract; {RESULTS.sensitivity.text}, {RESULTS.better.text} better, in the "
    "results and Table 2. The second fits the printed 0.456 of Faster R-CNN, the first does not."
)
# Student's t with 29 degrees of freedom; a test computes these four again.
P_NOTE = (
    "The printed P values are those of a one-sided test: |t| of 2.921 and 0.559 over 30 scenes give 0.003 and 0.290 "
    "one-sided, 0.007 and 0.580 two-sided. The printed signs of t fit no one direction: both are negative, though the "
    "paper's model is better on tumors and worse on vessels."
)
PAPER_NOTES = (PAPER_WORTH, DISAGREEMENT, P_NOTE)
SPLIT_NOTES = {
    "image": "The split parts images: frames next to the evaluated ones, of the same scenes and patients, were trained "
    "on. The numbers are too good for new scenes, let alone new patients.",
    "scene": "The split parts scenes: other scenes of the same recordings and patients may have been trained on. The "
    "numbers are too good for new patients.",
    "patient": "The split parts patients, as far as the data tell them: none is in two of train, val and test.",
}


def has_papers_classes(classes: Iterable[str]) -> bool:
    """Whether these are the labels of Table 2, in whatever order."""
    return same_classes(classes, LABEL_OF_CLASS)


def other_classes_note(classes: Sequence[str]) -> str:
    """That numbers of these classes do not compare with the paper's, and why."""
    what = f"one class, {classes[0]}" if len(classes) == 1 else f"{len(classes)} classes: {', '.join(classes)}"
    return (
        f"Not comparable with the paper's tables: they are of tumors and blood vessels, and here is {what}. Its mean "
        "AP is over other classes, and its sensitivities are of other things."
    )


def table1(summary: Dict[str, Any], *, model: str) -> Table:
    """Mean AP, AP50 and AP75 over labels: both printed columns and this run's. Raises InputError as us_text.

    A run of other classes is not comparable: its column stands in :func:`own_table`.
    """
    _check(summary, model)
    header = ("", *(f"paper: {column}" for column in COLUMNS))
    printed = {row: [cell.text for cell in TABLE1[row].values()] for row in AP_ROWS}
    if not has_papers_classes(summary["boxes"]):
        return Table.of(f"{TITLE1}, as printed", header, [(row, *texts) for row, texts in printed.items()])
    rows = [(row, *texts, decimals(summary[AP_ROWS[row]]["mean"])) for row, texts in printed.items()]
    return Table.of(TITLE1, (*header, f"this run: {model}"), rows)


def table2(summary: Dict[str, Any], *, model: str) -> Table:
    """Mean sensitivity a scene ± SD by label: both printed columns, their t-test, and this run's as in table1."""
    _check(summary, model)
    header = ("Label", *(f"paper: {column}" for column in COLUMNS), "P value", "t-value")
    printed = {
        label: [*(one.text for one in paper.sensitivity.values()), paper.p.text, paper.t.text]
        for label, paper in TABLE2.items()
    }
    if not has_papers_classes(summary["boxes"]):
        return Table.of(f"{TITLE2}, as printed", header, [(label, *texts) for label, texts in printed.items()])
    ours = {label_of(name): summary["sensitivity"][name] for name in summary["boxes"]}
    rows = [(label, *printed[label], mean_sd(entry), str(entry["n"])) for label, entry in ours.items()]
    return Table.of(TITLE2, (*header, f"this run: {model}", "scenes"), rows)


def own_table(summary: Dict[str, Any]) -> Table:
    """Mean sensitivity a scene ± SD of each class of a run of other classes than the paper's."""
    check_us_summary(summary)
    ours = ((name, summary["sensitivity"][name]) for name in summary["boxes"])
    rows = [(name, mean_sd(entry), str(entry["n"])) for name, entry in ours]
    title = "This run's own classes: mean sensitivity per scene, \u00b1 SD over scenes"
    return Table.of(title, ("class", "sensitivity", "scenes"), rows)


def label_table(summary: Dict[str, Any]) -> Table:
    """Average precision and boxes by label, which the paper does not print."""
    check_us_summary(summary)
    rows = []
    for name in [*summary["boxes"], *(["mean"] if len(summary["boxes"]) > 1 else [])]:
        boxes = summary["boxes"].get(name, sum(summary["boxes"].values()))
        values = (decimals(summary[key][name]) for key in AP_ROWS.values())
        rows.append((label_of(name) if name != "mean" else "mean (boxes: all)", *values, str(boxes)))
    return Table.of("This run by label", ("Label", *AP_ROWS, "boxes"), rows)


def size_table(summary: Dict[str, Any]) -> Optional[Table]:
    """Sensitivity by the longer side of boxes, with intervals over patients; None where an older version evaluated."""
    if "by_size" not in summary:
        return None
    rows: List[List[Union[str, Cell]]] = []
    for entry in summary["by_size"]:
        cells: List[Union[str, Cell]] = [size_text(entry["from_px"], entry["to_px"])]
        for found in entry["sensitivity"].values():
            interval = "" if found["low"] is None else f"[{decimals(found['low'])}, {decimals(found['high'])}]"
            cells.append(Cell(decimals(found["value"]), interval, f"n {found['n']}"))
        rows.append(cells)
    score = f"{summary['settings']['score_threshold']:g}"
    title = f"Boxes by size, the longer side in pixels: sensitivity at score {score} [95 % over patients]; n boxes"
    return Table.of(title, ("pixels", *map(label_of, summary["boxes"])), rows)


def scene_table(summary: Dict[str, Any]) -> Table:
    """Found and all boxes of each scene by label, numbered in the order of names; "-" without a box of the label."""
    check_us_summary(summary)
    by_class = [{row["scene"]: row for row in entry["scenes"]} for entry in summary["sensitivity"].values()]
    rows = []
    for number, scene in enumerate(summary["scenes"], start=1):
        cells: List[Union[str, Cell]] = [str(number), scene["scene"], str(scene["images"])]
        for rows_of in by_class:
            row = rows_of.get(scene["scene"])
            counts = f"{row['found']} of {row['n']}" if row else ""
            cells.append(Cell(decimals(row["found"] / row["n"]), counts=counts) if row else "-")
        rows.append(cells)
    header = ("", "scene", "frames", *(label_of(name) for name in summary["sensitivity"]))
    return Table.of("Sensitivity by scene", header, rows)


def network_text(results: Mapping[str, Any]) -> str:
    """The model of results.json, and for one that sees two frames how far they lie apart, where the file tells it."""
    step = results["data"].get("step")
    return str(results["model"]) + (f" with the frame {step} before" if step else "")


def counted_text(*detections: Mapping[str, Any]) -> str:
    """Which detections are counted, from ``detections`` of results.json: score_threshold, max_detections.

    Raises InputError where one of them is missing or no number.
    """
    for one in detections:
        if not all(type(one.get(key)) in (int, float) for key in ("score_threshold", "max_detections")):
            raise InputError("detections must say score_threshold and max_detections (numbers); evaluate again")
    texts = (f"score above {one['score_threshold']:g}, at most {one['max_detections']} a frame" for one in detections)
    return " / ".join(dict.fromkeys(texts))


def us_notes(summary: Dict[str, Any], *, counted: str, split_by: Optional[str] = None) -> List[str]:
    """How the numbers are counted (:func:`counted_text`), the evaluated set, and what a split by split_by may leak."""
    check_us_summary(summary)
    settings = summary["settings"]
    boxes = ", ".join(f"{count} {name}" for name, count in summary["boxes"].items())
    tables = ("Table 1", "Table 2") if has_papers_classes(summary["boxes"]) else ("AP", "Sensitivity")
    notes = [
        f"Evaluated: patients: {summary['patients']}; scenes: {len(summary['scenes'])}; frames: {summary['images']}, "
        f"annotated {summary['annotated_images']}; boxes: {boxes}.",
        f"{tables[0]}: COCO (pycocotools), Mean AP over IoU 0.50 to 0.95 and over labels; detections that the "
        f"configuration keeps: {counted}.",
        f"{tables[1]}: a box is found by a detection of its label with IoU {settings['iou_threshold']:g} or more and "
        f"score {settings['score_threshold']:g} or more, one box a detection. The paper gives no score for Table 2; "
        "its Figure S1 draws 0.5 or more.",
        f"\u00b1: {settings['sd']}; the paper does not say which SD. A scene without a box of a label does not count "
        "for it.",
    ]
    if any(entry["n"] < 2 for entry in summary["sensitivity"].values()):
        notes.append("-: undefined; a mean needs one scene with a box of the label, an SD two.")
    notes += [] if split_by is None else [SPLIT_NOTES[split_by]]
    if summary["patients"] == 1:
        notes.append("One patient: the SD is that of scenes of this patient, not of patients.")
    return notes


def us_text(
    summary: Dict[str, Any],
    *,
    model: str,
    data_note: str,
    phantom: bool,
    counted: str,
    split_by: Optional[str] = None,
    unfinished: str = "",
) -> str:
    """Both tables with this run beside the printed numbers, and what they are worth; at most 110 columns.

    summary: of us_summary. model: "us-flow" or "us-faster-rcnn". data_note: what the data are. phantom: whether they
    are generated. counted: which detections, of :func:`counted_text`. split_by: "patient", "scene" or "image", what no
    two splits share; None where it is not known. unfinished: of :func:`unfinished_statement`.

    Raises InputError for an unknown model or split_by, and for what is no us_summary.
    """
    if split_by is not None and split_by not in SPLIT_NOTES:
        raise InputError(f"split_by is {split_by!r}; it is one of {', '.join(SPLIT_NOTES)}")
    beside = f'This run is {model}, {"the" if model == "us-flow" else "the baseline"} "{COLUMN_OF_MODEL.get(model)}"'
    printed_and_ours = table1(summary, model=model), table2(summary, model=model)
    own: List[Block] = []
    if not has_papers_classes(summary["boxes"]):
        own = [other_classes_note(list(summary["boxes"])), own_table(summary)]
    return as_text(
        *filter(None, [unfinished_statement(unfinished)]),
        *(marked(table, unfinished) for table in printed_and_ours),
        f"{beside} of the paper's tables.",
        *own,
        data_statement(data_note, phantom),
        label_table(summary),
        *filter(None, [size_table(summary)]),
        Notes([*us_notes(summary, counted=counted, split_by=split_by), *PAPER_NOTES]),
    )


def mean_sd(entry: Mapping[str, Any]) -> str:
    """A sensitivity as Table 2 prints it: "0.627±0.390"; "-" for what is undefined."""
    return "-" if entry["mean"] is None else f"{decimals(entry['mean'])}\u00b1{decimals(entry['sd'])}"


def decimals(value: Optional[float]) -> str:
    """Three decimals, as the paper prints them; "-" where undefined."""
    return "-" if value is None else f"{value:.3f}"


def label_of(name: str) -> str:
    """A class as Table 2 names it."""
    return LABEL_OF_CLASS.get(name, name)


def _check(summary: Dict[str, Any], model: str) -> None:
    check_us_summary(summary)
    if model not in COLUMN_OF_MODEL:
        raise InputError(f"the paper's tables have no model {model!r}; they have {', '.join(COLUMN_OF_MODEL)}")


def _check_results(results: Dict[str, Any]) -> None:
    data = results["data"]
    if not isinstance(data.get("fingerprint"), str) or data.get("split_by") not in list(SPLIT_NOTES):
        raise InputError(f"data must say fingerprint (text) and split_by ({', '.join(SPLIT_NOTES)}); evaluate again")
    counted_text(results["detections"])
    table1(results["summary"], model=results["model"])


KIND = Kind("us", dict(model=str, checkpoint=str, detections=dict), _check_results)
