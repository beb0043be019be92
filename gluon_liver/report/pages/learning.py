"""What a run's log says of its training: curves, speed, and where it was interrupted and gone on with."""

from __future__ import annotations

import statistics
from typing import Any, Dict, List, NamedTuple, Optional

from gluon_liver.report.figures.chart import Exhibit
from gluon_liver.report.figures.learning import plot_losses, plot_speed, plot_validation
from gluon_liver.report.tables.table import Table
from gluon_liver.runs.log import IMPORTED
from gluon_liver.system.terminal import duration

NO_VALIDATION = (
    "Training scored no split on its way, so nothing here tells when it began to learn its patients by heart. Data "
    "with a val split have it scored every few epochs with train.validate, which CT has where there is one."
)


class Learning(NamedTuple):
    """facts: (value, what). charts: in the order shown. notes: sentences. sittings: a row each time it ran, if more
    than once. table: losses and speed by epoch, for who reads no curve; None without a step."""

    facts: List[Any]
    charts: List[Exhibit]
    notes: List[str]
    sittings: Optional[Table]
    epochs: Optional[Table]


def learning_of(log: List[Dict[str, Any]], *, every: int) -> Learning:
    """What log.jsonl tells. every: more records of steps than half of it were thinned when they were read."""
    steps = [record for record in log if record["event"] == "step"]
    notes = _notes(log)
    if not steps:
        return Learning([], [], notes, None, None)
    return Learning(_facts(log, steps, every), _charts(log, steps), notes, _sittings(log), _epochs(log, steps))


def _facts(log: List[Dict[str, Any]], steps: List[Dict[str, Any]], every: int) -> List[Any]:
    last = steps[-1]
    facts: List[Any] = [(f"{last['step']:,}", "steps")]
    facts += [(last["epoch"] + (_ended(log)), "epochs")] if isinstance(last.get("epoch"), int) and _ended(log) else []
    speeds = [one["images_per_second"] for one in steps if isinstance(one.get("images_per_second"), (int, float))]
    facts += [(f"{statistics.median(speeds):.3g}", "images a second (median)")] if speeds else []
    seconds = _seconds(log)
    facts += [(duration(seconds), "of training")] if seconds else []
    waited = [one["waited_for_images"] for one in steps if isinstance(one.get("waited_for_images"), (int, float))]
    facts += [(f"{statistics.mean(waited):.0%}", "of it waiting for images")] if waited else []
    total = last["losses"].get("total")
    facts += [(f"{total:.4g}", "last total loss")] if isinstance(total, (int, float)) else []
    facts += [(f"{len(steps):,}", "records of the log drawn")] if len(steps) > every // 2 else []
    return facts


def _charts(log: List[Dict[str, Any]], steps: List[Dict[str, Any]]) -> List[Exhibit]:
    marks = " Dotted: gone on from a checkpoint." if any(record["event"] == "resume" for record in log) else ""
    drawn = [
        ("losses", "Losses", training_text(log) + "." + marks, "Training losses over steps", plot_losses(log)),
        ("validation", "Scores on the way", validation_text(log) or "", "Scores of epochs", plot_validation(log)),
        (
            "speed",
            "Speed and learning rate",
            f"Over steps.{marks}",
            "Images a second and learning rate",
            plot_speed(log),
        ),
    ]
    first, last = steps[0], steps[-1]
    ends = [one["losses"].get("total") for one in (first, last)]
    known = all(isinstance(one, (int, float)) for one in ends)
    told = f"; the total falls from {ends[0]:.3g} to {ends[1]:.3g}" if known and ends[1] < ends[0] else ""
    return [
        Exhibit(name, title, note, alt + (told if name == "losses" else ""), chart)
        for name, title, note, alt, chart in drawn
        if chart is not None
    ]


def training_text(log: List[Dict[str, Any]]) -> str:
    """How far the losses of the picture go: "795 steps, epoch 5, last total loss 0.37"; "" without a step.

    Records of steps count epochs from 0, those of scores and all that is shown from 1.
    """
    steps = [record for record in log if record["event"] == "step"]
    if not steps:
        return ""
    step, epoch, total = steps[-1]["step"], steps[-1].get("epoch"), steps[-1]["losses"].get("total")
    facts = [f"{step} steps"]
    facts += [f"epoch {epoch + 1}"] if isinstance(epoch, int) else []
    facts += [f"last total loss {total:.4g}"] if isinstance(total, (int, float)) else []
    return ", ".join(facts)


def validation_text(log: List[Dict[str, Any]]) -> Optional[str]:
    """Which epoch scored best and how the last one did; None where none was scored."""
    scores = [record for record in log if record["event"] == "score"]
    if not scores:
        return None
    best, last = max(scores, key=lambda record: record["map"]), scores[-1]
    images = f", {last['images']} images" if "images" in last else ""
    highest = f"COCO mAP is highest in epoch {best['epoch']} ({best['map']:.3f})"
    scored = f"{len(scores)} epoch{'s' if len(scores) > 1 else ''} scored on the {last['split']} split{images}"
    if best is last:
        return f"{scored}: {highest}, the last."
    return f"{scored}: {highest}, and {last['map']:.3f} in epoch {last['epoch']}, the last."


def _notes(log: List[Dict[str, Any]]) -> List[str]:
    notes = list(dict.fromkeys(note for one in log if one["event"] == "start" for note in one.get("notes") or []))
    if any(one["event"] == IMPORTED for one in log):
        notes.append("The weights were imported: another program trained them, and wrote no log here.")
    if any(one["event"] == "step" for one in log):
        notes += [] if any(one["event"] == "score" for one in log) else [NO_VALIDATION]
        if not _ended(log):
            notes.append("Training did not come to its end: the same command with --resume auto goes on with it.")
    return notes


def _sittings(log: List[Dict[str, Any]]) -> Optional[Table]:
    """A row each time training ran, where that was more than once: from which step to which, and how it ended."""
    rows: List[List[str]] = []
    before = ""
    for record in log:
        event = record["event"]
        # what goes on says so, and then starts as any training does
        if event == "resume" or (event == "start" and before != "resume"):
            changed = ", ".join(record.get("changed") or {})
            how = "from the beginning" if event == "start" else f"from {record.get('checkpoint', 'a checkpoint')}"
            rows.append([str(len(rows) + 1), how, "", "", changed or "nothing", "was cut off"])
        if rows and isinstance(record.get("step"), int):
            rows[-1][2] = rows[-1][2] or f"{record['step']:,}"
            rows[-1][3] = f"{record['step']:,}"
        before = event
        if rows and event in ("interrupted", "end"):
            rows[-1][5] = "came to its end" if event == "end" else f"was stopped ({record.get('signal', 'a signal')})"
    if len(rows) < 2:
        return None
    header = ("sitting", "began", "first step", "last step", "changed keys", "ended")
    return Table.of("Interrupted and gone on with", header, rows)


def _epochs(log: List[Dict[str, Any]], steps: List[Dict[str, Any]]) -> Optional[Table]:
    """Means of each epoch's records, and its score."""
    by_epoch: Dict[int, List[Dict[str, Any]]] = {}
    for record in steps:
        if isinstance(record.get("epoch"), int):
            by_epoch.setdefault(record["epoch"], []).append(record)
    scores = {record["epoch"]: record for record in log if record["event"] == "score"}
    names = [name for name in steps[-1]["losses"]]
    rows = []
    for epoch, records in by_epoch.items():
        losses = [_mean([one["losses"].get(name) for one in records]) for name in names]
        speed = [_mean([one.get(key) for one in records]) for key in ("learning_rate", "images_per_second")]
        score = [format(scores[epoch + 1]["map"], ".3f") if epoch + 1 in scores else "-"] if scores else []
        rows.append([str(epoch + 1), *losses, *speed, *score])
    more = ("COCO mAP",) if scores else ()
    header = ("epoch", *(name.replace("_", " ") for name in names), "learning rate", "images a second", *more)
    return Table.of("Epoch by epoch: means of the logged steps", header, rows) if rows else None


def _mean(values: List[Any]) -> str:
    known = [value for value in values if isinstance(value, (int, float))]
    return f"{statistics.mean(known):.3g}" if known else "-"


def _ended(log: List[Dict[str, Any]]) -> bool:
    return any(record["event"] == "end" for record in log)


def _seconds(log: List[Dict[str, Any]]) -> float:
    """Seconds of all sittings; each begins at 0."""
    seconds, before = 0.0, 0.0
    for record in log:
        now = record.get("time")
        if isinstance(now, (int, float)):
            seconds += before if now < before else 0.0
            before = now
    return seconds + before
