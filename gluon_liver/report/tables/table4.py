"""Table 4 whole: several evaluated runs beside the six printed rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from gluon_liver.config.schema import ROWS
from gluon_liver.errors import RunError
from gluon_liver.files.json_records import read_record
from gluon_liver.report.records.results import REMEDY, read_results
from gluon_liver.runs.config_file import read_keys

from .ct_tables import (
    COLUMN_OF_CLASS,
    DENOMINATOR_WARNING,
    KIND,
    ONE_CLASS,
    TABLE4,
    has_papers_classes,
    other_classes_note,
    percent,
    printed_table,
)
from .table import PHANTOM_WARNING, Block, Cell, Table, as_text


class EvaluatedRun(NamedTuple):
    """An evaluated run: its folder's name, seed and training studies, the network's size, and results.json."""

    name: str
    seed: int
    data: str
    network: str
    results: Dict[str, Any]
    reading: str = ""  # how it reads its slices, where that is not as the row is printed

    @property
    def labels(self) -> str:
        """Digest of the labels that it was scored on, "" where an older version evaluated it."""
        digests = self.results["data"].get("digests")
        labels = digests.get("labels") if isinstance(digests, dict) else None
        return labels if isinstance(labels, str) else ""


@dataclass(frozen=True)
class _Training:
    """What environment.json says of how a run was trained."""

    seed: int
    training_studies: List[str]


def read_run(folder: Path) -> EvaluatedRun:
    """Raises :class:`RunError` for a folder that holds no evaluated run, or one that was trained on shuffled labels.

    A run that differs from a row in how it reads its slices alone stands under that row.
    """
    results = read_results(folder, KIND)
    environment = read_record(_Training, folder / "environment.json", error=RunError, remedy=REMEDY)
    # runs that trained on the same studies come from the same data and split
    data = json.dumps(sorted(environment.training_studies))
    config = read_keys(folder)
    try:
        shuffled, size, width = config["data"]["shuffled_labels"], config["data"]["size"], config["network"]["width"]
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder / 'config.yaml'}: {error} is missing: not a run of this version") from error
    if shuffled:
        raise RunError(f"{folder}: trained on shuffled labels, the control experiment; it is no row of Table 4")
    reading = ""
    if results["row"] is None:
        row, reading = _other_reading(config["network"], config["data"])
        results = {**results, "row": row}
    return EvaluatedRun(folder.name, environment.seed, data, f"{size} pixels, width {width:g}", results, reading)


def _other_reading(network: Mapping[str, Any], data: Mapping[str, Any]) -> Tuple[Optional[str], str]:
    """The row of a configuration that has its knobs and reads its slices in another way, and in which; else None."""
    control = data.get("repeat_centre") or data.get("repeat_reference") or network.get("fusion_blocks", "all") != "all"
    knobs = [network.get("depth"), data.get("slices"), network.get("fusion"), network.get("relation") == "full"]
    related = network.get("relation", "off") in ("off", "full")
    row = next((name for name, one in ROWS.items() if [*one] == knobs and related and not control), None)
    keys = [key for key, printed in (("stem", "7x7x7"), ("slice_fusion", "pools")) if network.get(key) != printed]
    return row, ", ".join(f"{key} {network.get(key)}" for key in keys)


def rows_text(runs: Sequence[EvaluatedRun]) -> str:
    """Table 4's rows as printed, each with our runs of it below, and what both are worth, at most 110 columns.

    Raises :class:`RunError` when a run is no row of Table 4, was not scored on test patients, or has other classes
    than the first.
    """
    classes = runs[0].results["classes"]
    for place, run in enumerate(runs):
        if run in runs[:place]:
            raise RunError(f"{run.name} is given twice")
        if run.results["row"] is None:
            raise RunError(f"{run.name}: its configuration is no row of Table 4 (row: null)")
        if run.results["split"] != "test":
            raise RunError(f"{run.name}: scored on the {run.results['split']} patients; evaluate it on --split test")
        if _settings(run) != _settings(runs[0]):
            raise RunError(f"{run.name}: scored with {_settings(run)}, the first run with {_settings(runs[0])}")
        if run.results["classes"] != classes:
            raise RunError(f"{run.name}: has the classes {run.results['classes']}, the first run has {classes}")
    sets = list(dict.fromkeys(run.data for run in runs))
    labels = list(dict.fromkeys(run.labels for run in runs))
    notes = "\n".join(sorted({f"Data: {run.results['data']['note']}" for run in runs}))
    phantom = [PHANTOM_WARNING] if any(run.results["data"]["phantom"] for run in runs) else []
    names = {id(run): _name(run, sets, labels) for run in runs}
    below = [_legend(runs, len(sets)), *_labels_note(labels)]
    if has_papers_classes(classes):
        tables: List[Block] = [_table(runs, classes, names), *below]
    else:
        tables = [printed_table(None), other_classes_note(classes), _own_table(runs, classes, names), *below]
    one_class = [ONE_CLASS] if len(classes) == 1 else []
    return as_text(*tables, *one_class, DENOMINATOR_WARNING, notes, *phantom)


def _table(runs: Sequence[EvaluatedRun], classes: Sequence[str], names: Mapping[int, str]) -> Table:
    columns = [COLUMN_OF_CLASS[name] for name in classes]
    rows: List[Sequence[Union[str, Cell]]] = []
    for row, printed in TABLE4.items():
        rows.append([row, "paper", *(printed[column].text for column in columns), "", "", ""])
        for run in [run for run in runs if run.results["row"] == row]:
            ours = [percent(run.results["summary"]["top1"][one]) for one in classes]
            rows.append(["", names[id(run)], *ours, *_overall(run, "mean", "all")])
    header = ("row", "source", *columns, "AP50", "precision", "recall")
    return Table.of("Table 4: accuracy in %", header, rows)


def _own_table(runs: Sequence[EvaluatedRun], classes: Sequence[str], names: Mapping[int, str]) -> Table:
    """Runs of other classes than the paper's, a line a class, in the order of Table 4's rows."""
    rows: List[Sequence[Union[str, Cell]]] = []
    for run in sorted(runs, key=lambda run: [*TABLE4].index(run.results["row"])):
        top1 = run.results["summary"]["top1"]
        lines: List[Sequence[Union[str, Cell]]] = [
            [name, percent(top1[name]), *_overall(run, name, name)] for name in classes
        ]
        if len(classes) > 1:
            lines.append(["all (AP50: mean)", "", *_overall(run, "mean", "all")])
        heads = [(run.results["row"], names[id(run)]), *[("", "")] * (len(lines) - 1)]
        rows += [[*head, *line] for head, line in zip(heads, lines)]
    header = ("row", "source", "class", "top-1", "AP50", "precision", "recall")
    return Table.of("These runs' own classes: accuracy in %", header, rows)


def _name(run: EvaluatedRun, sets: Sequence[str], labels: Sequence[str]) -> str:
    name = f"{run.name}{'*' if run.reading else ''}, seed {run.seed}" + (
        f", set {sets.index(run.data) + 1}" if len(sets) > 1 else ""
    )
    if len(labels) > 1:
        known = [one for one in labels if one]
        name += f", labels {known.index(run.labels) + 1}" if run.labels else ", labels not known"
    unfinished = run.results.get("unfinished")
    return name + (f", UNFINISHED: {unfinished}" if unfinished else "")


def _overall(run: EvaluatedRun, average: str, pooled: str) -> List[Cell]:
    """AP50, precision and recall, of a class or of all."""
    summary = run.results["summary"]
    entries = summary["ap50"][average], summary["precision"][pooled], summary["recall"][pooled]
    return [percent(entry)._replace(interval="") for entry in entries]


def _labels_note(labels: Sequence[str]) -> List[str]:
    """What the runs were scored on, where that is not one set of labels."""
    notes = []
    if len([one for one in labels if one]) > 1:
        notes.append(
            "labels: runs with one number were scored on the same labels of the same images. Rows with other numbers "
            "were scored on something else: their figures do not compare."
        )
    if len(labels) > 1 and "" in labels:
        notes.append("labels not known: evaluated by an older version; evaluate again to have it known.")
    return notes


def _settings(run: EvaluatedRun) -> Dict[str, Any]:
    settings = run.results["summary"]["settings"]
    return {key: settings[key] for key in ("iou_threshold", "score_threshold", "confidence", "interval")}


def _legend(runs: Sequence[EvaluatedRun], sets: int) -> str:
    settings = runs[0].results["summary"]["settings"]
    papers = has_papers_classes(runs[0].results["classes"])
    text = "paper: as printed. Ours, in the same three columns: " if papers else "By class: "
    text += "top-1, the share of annotated slices whose best ROI is right, [low, high] "
    text += f"{100 * settings['confidence']:g} % {settings['interval']}. "
    text += "AP50: mean over classes; precision and recall: all classes, " if papers else "AP50; precision and recall: "
    text += f"score {settings['score_threshold']:g}, IoU {settings['iou_threshold']:g}."
    text += " Ours are at " + "; ".join(sorted({run.network for run in runs})) + "."
    others = sorted({f"{run.name}: {run.reading}" for run in runs if run.reading})
    if others:
        text += f" * reads its slices in another way than printed ({'; '.join(others)})."
    if sets > 1:
        text += f" set: runs of one set share their training studies; there are {sets} sets."
    return text
