"""The CT paper: its steps beyond the trainings, the cells of its four tables and its figures."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Tuple

from gluon_liver.data.dataset import Dataset
from gluon_liver.files.digest import hash_file
from gluon_liver.files.json_records import read_json
from gluon_liver.report.tables.ct_tables import COLUMN_OF_CLASS, TABLE1, TABLE4, has_papers_classes, percent
from gluon_liver.report.tables.network_tables import PRINTED as PRINTED_LAYERS
from gluon_liver.report.tables.network_tables import our_layers
from gluon_liver.reproduce.commands import Words, as_typed, command_step, words_of
from gluon_liver.reproduce.job import Member
from gluon_liver.reproduce.recipe import ROWS
from gluon_liver.reproduce.steps import Step

from .cells import CANNOT_TELL, Figure, PaperCell, Value, judge, judge_exactly
from .job import PaperJob
from .shared import DRAWING, FIGURES, PRINTED, SUMMARY, below, summary_of, summary_step

NAMES = dict(zip(ROWS["ct"], TABLE4))  # of configurations -> rows of Table 4
NETWORKS = {50: "Table 2", 101: "Table 3"}
SCORE = 0.5  # of what is drawn, unless the study has no box with it
PATIENTS = (("train", "patients of training", "621"), ("test", "patients of the test", "60"))
CHOSEN = "pictures that the authors chose from their data, by eye"


def further_steps(job: PaperJob) -> List[Step]:
    """Tables and figures, from the data and the evaluated runs."""
    return [
        summary_step(job),
        *[_network_step(job, depth) for depth in NETWORKS],
        _table4_step(job),
        _explain_step(job),
    ]


def _network_step(job: PaperJob, depth: int) -> Step:
    words, printed = words_of(f"table --network {depth}"), _network_file(job, depth)
    options: Dict[str, Any] = dict(out=job.out, reads="nothing", outputs=(printed,), printed=printed)
    return command_step(f"network/{depth}", f"list the layers of {depth}", lambda: words, job.run_command, **options)


def _network_file(job: PaperJob, depth: int) -> Any:
    return job.out / PRINTED / f"{NETWORKS[depth].lower().replace(' ', '-')}.txt"


def _table4_step(job: PaperJob) -> Step:
    words, printed = words_of("table", [member.folder for member in job.members]), job.out / PRINTED / "table-4.txt"
    return command_step(
        "table-4",
        "write Table 4",
        lambda: words,
        job.run_command,
        out=job.out,
        reads="results of all runs",
        outputs=(printed,),
        inputs=lambda: {member.name: hash_file(member.folder / "results.json") for member in job.members},
        printed=printed,
    )


def explained(job: PaperJob) -> Member:
    """Whose detections Figures 4 and 5 show: the first seed of the last multi-modal row, else of the last row."""
    first = [member for member in job.members if member.seed == job.members[0].seed]
    related = [member for member in first if member.config.network.multi_modal]
    return (related or first)[-1]


def _explain_step(job: PaperJob) -> Step:
    member, folder = explained(job), job.out / FIGURES / "explain"
    return command_step(
        "figures-4-and-5",
        "draw Figures 4 and 5",
        lambda: _words_to_explain(job),
        job.run_command,
        out=job.out,
        reads=f"{member.folder.name}, a test study",
        outputs=(folder / "lesions.json",),
        inputs=lambda: {"results": hash_file(member.folder / "results.json")},
        fresh=(folder,),
        printed=job.out / PRINTED / "explain.txt",
    )


def _words_to_explain(job: PaperJob) -> Words:
    """Of the test study with the most boxes, whatever the run finds in it; at a lower score where it finds nothing."""
    member, dataset = explained(job), job.dataset()
    case = most_boxes(dataset)
    images = {label.image_id for label in dataset.labels_of("test") if label.case == case}
    rows = read_json(member.folder / "detections.json")
    best = max((row["score"] for row in rows if row["image_id"] in images), default=1.0)
    score = SCORE if best >= SCORE else math.floor(100 * best) / 100
    words = words_of(
        "detect", job.data / "studies" / case, "--run", member.folder, "--out", job.out / FIGURES / "explain"
    )
    return (*words, "--explain", "--score", f"{score:g}")


def most_boxes(dataset: Dataset) -> str:
    """The test study with the most annotated boxes, of several the first by name."""
    counts: Dict[str, int] = {}
    for label in dataset.labels_of("test"):
        counts[label.case] = counts.get(label.case, 0) + len(label.boxes)
    return min(counts, key=lambda case: (-counts[case], case))


def cells(job: PaperJob) -> List[PaperCell]:
    """The patients of the text, and Tables 1 to 4, cell by cell."""
    found = [*_patients(job), *_table1(job)]
    for depth in NETWORKS:
        found += _network_cells(job, depth)
    return [*found, *_table4(job)]


def _patients(job: PaperJob) -> List[PaperCell]:
    """All patients of training and test, as the text counts them; a patient is in one class of Table 1 alone."""
    splits, doubt, found = summary_of(job)["splits"], job.doubt(job.dataset()), []
    command = as_typed(words_of("data summary", job.data, "--no-pixels"))
    for split, name, printed in PATIENTS:
        number = splits.get(split, {}).get("patients")
        text = "-" if number is None else str(number)
        verdict, why = judge_exactly(printed, text, doubt or ("" if number is not None else f"no {split} split"))
        value = Value(number, text, reason="a count has no interval")
        place = f"{SUMMARY}/summary.json: splits.{split}.patients"
        found.append(PaperCell("Data, in the text", name, printed, command, value, verdict, why, place))
    return found


def _table1(job: PaperJob) -> List[PaperCell]:
    dataset, splits, found = job.dataset(), summary_of(job)["splits"], []
    command = as_typed(words_of("data summary", job.data, "--no-pixels"))
    classes = {column: name for name, column in COLUMN_OF_CLASS.items()}
    for column, printed in TABLE1.items():
        for key, number in printed._asdict().items():
            split, what = ("train" if key.startswith("training") else "test"), key.split("_")[1]
            one = splits.get(split, {}).get("classes", {}).get(classes[column])
            text = "-" if one is None else str(one[what])
            doubt = job.doubt(dataset) or (
                "" if one else f"the data have no class {classes[column]}, or no {split} split"
            )
            verdict, why = judge_exactly(str(number), text, doubt)
            value = Value(None if one is None else one[what], text, reason="a count has no interval")
            place = f"{SUMMARY}/summary.json: splits.{split}.classes.{classes[column]}.{what}"
            cell = f"{column}, {key.replace('_', ' ')}"
            found.append(PaperCell("Table 1", cell, str(number), command, value, verdict, why, place))
    return found


def _network_cells(job: PaperJob, depth: int) -> List[PaperCell]:
    """Of the networks of the rows, whatever the size of the reproduction."""
    table, command, place = NETWORKS[depth], as_typed(words_of(f"table --network {depth}")), _network_file(job, depth)
    found = []
    for name, layers, size in our_layers(depth):
        printed = PRINTED_LAYERS[depth][name]
        pairs = [("feature size", printed.size, size)] + ([("layers", printed.layers, layers)] if layers else [])
        for what, theirs, ours in pairs:
            reading = (
                "a reading, told in docs/fidelity.md: conv1 is 7x7x7, and 101 layers end each block with a transition"
            )
            verdict, why = judge_exactly(theirs, ours, "", reading)
            value = Value(None, ours, reason="what is built has no interval")
            found.append(PaperCell(table, f"{name}, {what}", theirs, command, value, verdict, why, below(job, place)))
    why = "the slices are averaged before, and the concatenated map is never formed (docs/fidelity.md)"
    value = Value(None, "-", reason="never formed")
    return [*found, PaperCell(table, "Concat, feature size", "4x224x224", command, value, CANNOT_TELL, why)]


def _table4(job: PaperJob) -> List[PaperCell]:
    dataset, found = job.dataset(), []
    for row, name in NAMES.items():
        for column, printed in TABLE4[name].items():
            if row in job.refused:
                value, why = Value(None, "-", reason="not trained"), f"not trained: {job.refused[row]}"
                found.append(PaperCell("Table 4", f"{name}, {column}", printed.text, "", value, CANNOT_TELL, why))
            for member in job.trained(row):
                value, key = _accuracy(member, column, dataset)
                command = as_typed(job.words_to_evaluate(member))
                verdict, why = judge(printed.value, value, job.doubt(dataset))
                place = f"{below(job, member.folder)}/results.json: {key}"
                cell = f"{name}, {column}"
                found.append(PaperCell("Table 4", cell, printed.text, command, value, verdict, why, place, member.seed))
    return found


def _accuracy(member: Member, column: str, dataset: Dataset) -> Tuple[Value, str]:
    """Top-1 accuracy in percent of the class of a column, and its key in results.json."""
    (name,) = [one for one, title in COLUMN_OF_CLASS.items() if title == column]
    if not has_papers_classes(dataset.classes):
        reason = f"the data's classes are {', '.join(dataset.classes)}, not the table's"
        return Value(None, "-", reason=reason), f"summary.top1.{name}"
    results = read_json(member.folder / "results.json")
    entry = results["summary"]["top1"][name]
    if entry["value"] is None or entry["low"] is None:
        number = None if entry["value"] is None else 100 * entry["value"]
        reason = entry.get("reason", "undefined here: nothing to count over")
        return Value(number, str(percent(entry)), reason=reason), f"summary.top1.{name}"
    settings = results["summary"]["settings"]
    how = f"{100 * settings['confidence']:g} % {settings['interval']}"
    interval = (100 * entry["low"], 100 * entry["high"])
    return Value(100 * entry["value"], str(percent(entry)), interval, how), f"summary.top1.{name}"


def figures(job: PaperJob) -> List[Figure]:
    """All figures, with what was made and what not."""
    member, command = explained(job), as_typed(_words_to_explain(job))
    explain = read_json(job.out / FIGURES / "explain" / "lesions.json")["explain"]
    found = [
        Figure("Figure 1", "challenges of liver lesions", note=CHOSEN),
        Figure("Figure 2", "the pipeline", note=DRAWING),
        Figure("Figure 3", "the fusion method", note=DRAWING),
    ]
    for number, title in ((4, "what relations between phases look at"), (5, "hits and false positives")):
        entries = [one for one in explain if one["figure"] == number]
        files = tuple(f"{FIGURES}/explain/{one['file']}" for one in entries if one["file"])
        notes = "; ".join(dict.fromkeys(one["note"] for one in entries))
        note = f"{notes}. Of {member.folder.name}, the test study with the most boxes"
        found.append(Figure(f"Figure {number}", title, files, command, note))
    return found
