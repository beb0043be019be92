"""Where a run fails, as tables: confusion, causes with what they mean and what to try, recall, and every error."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from gluon_liver.metrics.errors.causes import (
    BACKGROUND,
    BADLY_PLACED,
    BOTH,
    DUPLICATE,
    FOUND,
    LOW_SCORE,
    MISSED,
    NEIGHBOUR,
    RIGHT,
    WRONG_CLASS,
)

from .table import Cell, Table

ADVICE: Dict[str, str] = {  # cause -> what to look at or try next
    WRONG_CLASS: "the confusion matrix says which pair it is; the rarer class more often (data.class_balance), or "
    "phases that tell them apart",
    BADLY_PLACED: "how tightly the labels are drawn; anchors and a stride that fit the objects' sizes "
    "(network.rpn.anchor_sizes, network.stride)",
    BOTH: "as of both",
    DUPLICATE: "a lower network.head.nms_threshold",
    NEIGHBOUR: "where the labels of a lesion begin and end; sensitivity a lesion does not count these",
    BACKGROUND: "the pictures: a vessel, a fold, a lesion that nobody drew? More images without boxes "
    "(data.background_ratio)",
    LOW_SCORE: "a lower threshold; what it costs in false positives stands in the FROC curve",
    MISSED: "recall by size and class; smaller anchors, a larger data.size, more epochs",
}
TOLD = 100  # errors that a page lists; the file of the table has all


class Bar(NamedTuple):
    """One cause: how many, its share of all, what it means, and what to try next."""

    cause: str
    number: int
    share: float
    meaning: str
    advice: str


def cause_bars(errors: Mapping[str, Any], of: str) -> List[Bar]:
    """Counts of causes as bars, in their order; causes that did not occur are left out but for the first.

    of: "detections" or "objects".
    """
    counts, meaning = errors[of], (errors.get("meaning") or {}).get(of, {})
    total = sum(counts.values())
    told = [(cause, count) for place, (cause, count) in enumerate(counts.items()) if count or not place]
    return [
        Bar(cause, count, count / total if total else 0.0, meaning.get(cause, ""), ADVICE.get(cause, ""))
        for cause, count in told
    ]


def causes_export(errors: Mapping[str, Any]) -> Table:
    """Both lists of causes as one table for a file."""
    rows = [
        (kind, bar.cause, str(bar.number), f"{100 * bar.share:.1f}", bar.meaning)
        for kind, of in (("detection", "detections"), ("object", "objects"))
        for bar in cause_bars(errors, of)
    ]
    return Table.of("Detections and objects by cause", ("of", "cause", "count", "%", "meaning"), rows)


def confusion_table(confusion: Mapping[str, Any]) -> Table:
    """Rows: what is annotated; columns: what is detected; the last of both is the background."""
    names = confusion["names"]
    rows = [(name, *(str(count) for count in counts)) for name, counts in zip(names, confusion["counts"])]
    return Table.of("Confusion: annotated (rows) and detected (columns)", ("annotated", *names), rows)


def recall_table(title: str, rows: Sequence[Mapping[str, Any]], head: str) -> Optional[Table]:
    """Rows of ``recall`` or ``sensitivity`` of results.json in percent; None without one."""
    if not rows:
        return None
    return Table.of(
        title,
        (head, "found", "of", "%"),
        [(row["name"], str(row["found"]), str(row["n"]), _percent(row)) for row in rows],
    )


def recall_tables(results: Mapping[str, Any]) -> List[Table]:
    """Sensitivity a slice, lesion and patient, then recall by class, size and slice thickness, where they are known."""
    ct = results["kind"] == "ct"
    sensitivity, recall = results.get("sensitivity") or {}, results.get("recall") or {}
    names = {"slice": "slices with a lesion", "frame": "frames with a box", "scene": "scenes with a box"}
    names.update({"lesion": "lesions", "patient": "patients with a lesion" if ct else "patients with a box"})
    each = [dict(row, name=names.get(key, key)) for key, row in sensitivity.items() if isinstance(row, dict)]
    tables = [recall_table("Found of all there are, counted by", each, "counted by")]
    for key, title, head in (
        ("by_class", "Boxes found, by class", "class"),
        ("by_size", "Boxes found, by size", "size"),
        ("by_thickness", "Boxes found, by slice thickness", "thickness"),
    ):
        tables.append(recall_table(title, recall.get(key) or [], head))
    return [table for table in tables if table is not None]


def recall_notes(results: Mapping[str, Any]) -> List[str]:
    """How the tables of :func:`recall_tables` are counted, where the file says it."""
    notes = [(results.get(key) or {}).get("note") for key in ("recall", "sensitivity")]
    told = [f"{title}: {note}." for title, note in zip(("By class and size", "Counted by"), notes) if note]
    return told


def items_table(errors: Mapping[str, Any], *, ct: bool, most: Optional[int] = None) -> Table:
    """Every error, worst first: detections by falling score, objects by size."""
    items = errors["items"] if most is None else errors["items"][:most]
    rows = [
        (
            item["case"],
            str(item["place"]),
            item["patient"],
            item["kind"],
            item["class"],
            item["cause"],
            _decimals(item["score"]),
            _decimals(item["iou"]),
            " ".join(f"{edge:.0f}" for edge in item["box"]),
        )
        for item in items
    ]
    count = len(errors["items"])
    title = f"All {count} errors, worst first" if len(items) == count else f"The worst {len(items)} of {count} errors"
    place = ("study", "slice") if ct else ("scene", "frame")
    return Table.of(title, (*place, "patient", "what", "class", "cause", "score", "IoU", "box x1 y1 x2 y2"), rows)


def summary_sentences(errors: Mapping[str, Any]) -> List[str]:
    """What stands above the tables: how many are wrong, and the commonest cause with what to try."""
    score = f"{errors['score_threshold']:g}"
    said = []
    for of, what, right in (("objects", "annotated boxes", FOUND), ("detections", "detections", RIGHT)):
        bars, more = cause_bars(errors, of), "" if of == "objects" else f" at score {score} or more"
        total = sum(bar.number for bar in bars)
        if not total:
            said.append(f"There are no {what}{more}.")
            continue
        wrong = [bar for bar in bars if bar.cause != right and bar.number]
        text = f"{errors[of][right]:,} of {total:,} {what}{more} are {right}"
        if wrong:
            most = max(wrong, key=lambda bar: bar.number)
            meaning = f": {most.meaning}" if most.meaning else ""
            text += f"; of the others {most.number:,} of {sum(bar.number for bar in wrong):,} are "
            text += f"\u201c{most.cause}\u201d{meaning}"
        said.append(text + ".")
    return said


def _percent(row: Mapping[str, Any]) -> Cell:
    if row["recall"] is None:
        return Cell("-")
    low, high = row.get("interval") or (None, None)
    interval = "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"
    return Cell(f"{100 * row['recall']:.1f}", interval)


def _decimals(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.2f}"
