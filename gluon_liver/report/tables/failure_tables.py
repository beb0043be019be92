"""Where a run fails, as tables: confusion, causes with what they mean and what to try, recall, and every error."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .table import Cell, Table

# cause -> what it means, what to look at or try next
CAUSES: Dict[str, Tuple[str, str]] = {
    "right": ("the best detection on an object of its class", ""),
    "found": ("a detection of its class lies on it", ""),
    "wrong class": (
        "lies on an object, and names another class",
        "which pair it is stands in the confusion matrix; the rarer class more often (data.class_balance), or phases "
        "that tell them apart",
    ),
    "badly placed": (
        "overlaps an object of its class too little",
        "how tightly the labels are drawn; anchors and a stride that fit the objects' sizes (network.rpn.anchor_sizes)",
    ),
    "duplicate": ("the object was found already, by a better one", "a lower network.head.nms_threshold"),
    "neighbour slice": (
        "nothing here, but a lesion lies there on the next slice",
        "where the labels of a lesion begin and end; sensitivity a lesion does not count these against the run",
    ),
    "background": (
        "nothing is annotated there",
        "the gallery: a vessel, a fold, a lesion that nobody drew? More images without boxes (data.background_ratio)",
    ),
    "low score": (
        "a right detection exists, with a score below the threshold",
        "a lower threshold; what it costs in false positives stands in the FROC curve",
    ),
    "missed": (
        "no detection is near it, at any score",
        "recall by size and class; smaller anchors, a larger data.size, more epochs",
    ),
}
TOLD = 100  # errors that a page lists; the file of the table has all


class Bar(NamedTuple):
    """One cause: how many, its share of all, what it means, and what to try next."""

    cause: str
    number: int
    share: float
    meaning: str
    advice: str


def cause_bars(counts: Mapping[str, int]) -> List[Bar]:
    """Counts of causes as bars, in their order; causes that did not occur are left out but for the first."""
    total = sum(counts.values())
    told = [(cause, count) for place, (cause, count) in enumerate(counts.items()) if count or not place]
    return [Bar(cause, count, count / total if total else 0.0, *CAUSES.get(cause, ("", ""))) for cause, count in told]


def causes_export(errors: Mapping[str, Any]) -> Table:
    """Both lists of causes as one table for a file."""
    rows = [
        (kind, bar.cause, str(bar.number), f"{100 * bar.share:.1f}", bar.meaning)
        for kind, counts in (("detection", errors["detections"]), ("object", errors["objects"]))
        for bar in cause_bars(counts)
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
    what = "boxes" if not ct else "lesions' boxes"
    sensitivity, recall = results.get("sensitivity") or {}, results.get("recall") or {}
    names = {"slice": "slices with a lesion", "frame": "frames with a box", "scene": "scenes with a box"}
    names.update({"lesion": "lesions", "patient": "patients with a lesion" if ct else "patients with a box"})
    each = [dict(row, name=names.get(key, key)) for key, row in sensitivity.items() if isinstance(row, dict)]
    tables = [recall_table("Found of all there are, counted by", each, "counted by")]
    for key, title, head in (
        ("by_class", f"{what} found, by class", "class"),
        ("by_size", f"{what} found, by size", "size"),
        ("by_thickness", f"{what} found, by slice thickness", "thickness"),
    ):
        tables.append(recall_table(title[0].upper() + title[1:], recall.get(key) or [], head))
    return [table for table in tables if table is not None]


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
    for counts, what, right in (
        (errors["objects"], "annotated boxes", "found"),
        (errors["detections"], "detections", "right"),
    ):
        total = sum(counts.values())
        wrong = {cause: count for cause, count in counts.items() if cause != right and count}
        if not total:
            said.append(f"There are no {what}" + ("." if right == "found" else f" at score {score} or more."))
            continue
        text = f"{counts[right]:,} of {total:,} {what}" + ("" if right == "found" else f" at score {score} or more")
        text += f" {'are' if counts[right] != 1 else 'is'} {right}"
        if wrong:
            most = max(wrong, key=lambda cause: wrong[cause])
            text += f"; what is not is mostly \u201c{most}\u201d ({wrong[most]:,}: {CAUSES.get(most, ('',))[0]})"
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
