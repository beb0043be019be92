"""What a reproduction ends in: tables.txt of all runs beside what is published, and manifest.json of their figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Union

from gluon_liver.files.atomic import write_json, write_text
from gluon_liver.files.digest import hash_file
from gluon_liver.files.json_records import read_json
from gluon_liver.report.comparison.us_compare import read_us_run
from gluon_liver.report.tables.ct_tables import percent
from gluon_liver.report.tables.published import published_notes, published_tables
from gluon_liver.report.tables.table import Block, Cell, Notes, Table, as_text
from gluon_liver.report.tables.table4 import read_run, rows_text
from gluon_liver.report.tables.us_tables import AP_ROWS, decimals, mean_sd, other_classes_note, table1
from gluon_liver.system.environment import describe_environment

from .job import Job
from .steps import FOLDER, read_record_of

TABLES, MANIFEST = "tables.txt", "manifest.json"
TINY = (
    "size tiny: demo networks of an eighth of the width, not the papers', on small images, trained for a few steps. "
    "The figures show that all of it runs, and no more."
)
NO_PATIENTS = (
    "The set does not tell patients: each picture or scan counts as one. What is said of patients below is of these, "
    "and one patient may be in training and test."
)


def write_tables(job: Job) -> Dict[str, Any]:
    """Write both files of a job whose runs are evaluated. Raises ``RunError`` for a run that is not."""
    folders = [member.folder for member in job.members]
    text = ct_tables_text(folders) if job.recipe.task == "ct" else us_rows_text(folders)
    left_out = [f"{row}: not trained, {reason}" for row, reason in job.recipe.left_out().items()]
    worth = Notes([*([TINY] if job.size == "tiny" else []), *([] if job.recipe.patients else [NO_PATIENTS]), *left_out])
    write_text(job.out / TABLES, (as_text(worth) + "\n" if worth.notes else "") + text)
    write_json(job.out / MANIFEST, manifest(job))
    return {}


def ct_tables_text(folders: Sequence[Path]) -> str:
    """Table 4 with the runs below its rows, their FROC, and what others published of the set."""
    runs = [read_run(folder) for folder in folders]
    summaries = {run.name: run.results["summary"] for run in runs}
    blocks: List[Block] = [froc_table(summaries)]
    tables = [(name, published_tables(summary)) for name, summary in summaries.items()]
    printed = [(name, some[0]) for name, some in tables if some]
    if printed:
        first = printed[0][1]
        ours = [(table.rows[-1][0]._replace(value=name), *table.rows[-1][1:]) for name, table in printed]
        blocks.append(first._replace(rows=(*first.rows[:-1], *ours)))
        blocks.append(Notes(published_notes(summaries[printed[0][0]])))
    return rows_text(runs) + "\n" + as_text(*blocks)


def froc_table(summaries: Mapping[str, Mapping[str, Any]]) -> Table:
    """Sensitivity of each run, all classes together, at each of the rates that the runs share."""
    rates = [rate for rate in next(iter(summaries.values()))["froc"]["all"]]
    rows: List[List[Union[str, Cell]]] = [
        [name, *(percent(one["froc"]["all"][rate]) for rate in rates)] for name, one in summaries.items()
    ]
    title = "FROC, all classes: sensitivity in % at false positives an image, IoU 0.5 [interval over patients]"
    return Table.of(title, ("run", *rates), rows)


def us_rows_text(folders: Sequence[Path]) -> str:
    """Average precision and sensitivity of ultrasound runs, below the paper's table."""
    runs = [read_us_run(folder) for folder in folders]
    first = runs[0].results
    classes = list(first["summary"]["boxes"])
    rows: List[List[str]] = []
    for run in runs:
        summary = run.results["summary"]
        averages = [decimals(summary[key]["mean"]) for key in AP_ROWS.values()]
        rows.append([run.name, *averages, *(mean_sd(summary["sensitivity"][name]) for name in classes)])
    header = ("run", *AP_ROWS, *(f"sensitivity, {name}" for name in classes))
    title = "Average precision over classes, and mean sensitivity a scene \u00b1 SD of each class"
    paper = table1(first["summary"], model=first["model"])
    return as_text(paper, other_classes_note(classes), Table.of(title, header, rows), f"Data: {first['data']['note']}")


def manifest(job: Job) -> Dict[str, Any]:
    """What was reproduced, on which files, with which code, and the figures of each run."""
    runs = []
    for member in job.members:
        results = read_json(member.folder / "results.json")
        summary = results["summary"]
        training = read_record_of(f"train/{member.name}", job.out)
        runs.append(
            {
                "row": member.row,
                "seed": member.seed,
                "folder": member.folder.relative_to(job.out).as_posix(),
                "checkpoint": results["checkpoint"],
                "results_sha256": hash_file(member.folder / "results.json"),
                "training": training.figures if training else {},
                "figures": {
                    name: summary[name] for name in ("ap", "ap50", "ap75", "froc", "published") if name in summary
                },
            }
        )
    return {
        "format": 1,
        "set": job.recipe.name,
        "size": job.size,
        "source": {"files": job.listing.files, "bytes": job.listing.bytes, "sha256": job.listing.sha256},
        "data": job.dataset().digests(),
        "left_out": job.recipe.left_out(),
        "runs": runs,
        "records": FOLDER,
        "environment": describe_environment(job.members[0].seed),
    }
