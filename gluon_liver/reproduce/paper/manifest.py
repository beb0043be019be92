"""manifest.json and manifest.md: each cell with its command, value, interval and verdict, each file with its digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence

from gluon_liver.files.atomic import write_json, write_text
from gluon_liver.files.digest import hash_file
from gluon_liver.files.lock import LOCK_FILES
from gluon_liver.reproduce.commands import as_typed
from gluon_liver.reproduce.steps import FOLDER, Step
from gluon_liver.system.environment import describe_environment

from .cells import RULES, Figure, PaperCell, count_verdicts, over_seeds
from .job import TITLES, PaperJob
from .shared import below

JSON, PAGE = "manifest.json", "manifest.md"
UNLISTED = (FOLDER, "phantoms", "data", "flow/phantoms")  # records of steps, and what the commands make from seeds


def manifest_step(job: PaperJob, cells: Any, figures: Any) -> Step:
    """The last step. cells, figures: of the paper's module, called with the job."""
    outputs = (job.out / JSON, job.out / PAGE)

    def inputs() -> Dict[str, Any]:
        return {"command": job.command, **{below(job, path): hash_file(path) for path in _files(job)}}

    def run() -> Dict[str, Any]:
        found: List[PaperCell] = cells(job)
        document = manifest(job, [*found, *over_seeds(found)], figures(job))
        write_json(job.out / JSON, document)
        write_text(job.out / PAGE, page(document))
        return {}

    return Step("manifest", "write the manifest", "all of it", outputs, inputs, run)


def _files(job: PaperJob) -> List[Path]:
    """Every file that was made, but for the manifest itself, records, and data."""
    left_out = {job.out / name for name in UNLISTED} | {job.out / JSON, job.out / PAGE}
    return [
        path
        for path in sorted(job.out.rglob("*"))
        if path.is_file() and not path.name.endswith(LOCK_FILES) and not left_out & {path, *path.parents}
    ]


def manifest(job: PaperJob, cells: Sequence[PaperCell], figures: Sequence[Figure]) -> Dict[str, Any]:
    """What manifest.json holds."""
    dataset = job.dataset()
    runs = [
        {
            "row": member.row,
            "seed": member.seed,
            "folder": below(job, member.folder),
            "commands": [as_typed(job.words_to_train(member)), as_typed(job.words_to_evaluate(member))],
        }
        for member in job.members
    ]
    return {
        "format": 1,
        "paper": job.task,
        "title": TITLES[job.task],
        "size": job.size,
        "command": job.command,
        "phantom": dataset.phantom,
        "data": dataset.digests(),
        "rules": list(RULES),
        "verdicts": dict(count_verdicts(cells)),
        "left_out": job.refused,
        "runs": runs,
        "cells": [cell.to_json() for cell in cells],
        "figures": [figure._asdict() for figure in figures],
        "files": {below(job, path): {"bytes": path.stat().st_size, "sha256": hash_file(path)} for path in _files(job)},
        "environment": describe_environment(job.members[0].seed),
    }


def page(document: Dict[str, Any]) -> str:
    """manifest.md: the same to read."""
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in document["verdicts"].items())
    lines = [
        f"# Tables and figures again: {document['title']}",
        "",
        f"Made by `{document['command']}`, where it was typed; size {document['size']}, "
        + ("**phantoms**" if document["phantom"] else "the given data, whose patients are not the paper's")
        + f". Cells: {verdicts}.",
        "",
        *[f"- {rule}" for rule in document["rules"]],
        "",
    ]
    for table in dict.fromkeys(cell["table"] for cell in document["cells"]):
        lines += _table(table, [cell for cell in document["cells"] if cell["table"] == table])
    for figure in document["figures"]:
        lines += [f"## {figure['name']}: {figure['title']}", ""]
        lines += [line for file in figure["files"] for line in (f"![{figure['name']}]({file})", "")]
        lines += [f"{'' if figure['files'] else 'Not made: '}{figure['note']}.", ""]
        lines += [f"    {figure['command']}", ""] if figure["command"] else []
    lines += ["## Trainings", ""]
    for run in document["runs"]:
        lines += [f"`{run['folder']}`:", "", *(f"    {command}" for command in run["commands"]), ""]
    lines += [f"- {row} is not trained: {reason}" for row, reason in document["left_out"].items()]
    lines += ["", "## Files", "", "| file | bytes | SHA-256 |", "| --- | ---: | --- |"]
    lines += [f"| `{name}` | {one['bytes']:,} | `{one['sha256']}` |" for name, one in document["files"].items()]
    return "\n".join(lines) + "\n"


def _table(table: str, cells: Sequence[Dict[str, Any]]) -> List[str]:
    """One table's cells, and below it the commands, each under its number."""
    commands = list(dict.fromkeys(cell["command"] for cell in cells if cell["command"]))
    lines = [f"## {table}", "", "| cell | printed | ours | 95 % interval | verdict | why | command |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    for cell in cells:
        interval = cell["interval"]
        shown = f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else "-"
        seed = "" if cell["seed"] is None else f", seed {cell['seed']}"
        number = f"{commands.index(cell['command']) + 1}" if cell["command"] else "-"
        row = [cell["cell"] + seed, cell["printed"], cell["text"], shown, cell["verdict"], cell["why"], number]
        lines.append("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |")
    lines += ["", *(f"{number}. `{command}`" for number, command in enumerate(commands, 1)), ""]
    hows = dict.fromkeys(cell["interval_of"] for cell in cells if cell["interval"])
    return lines + [f"Interval: {how}.\n" for how in hows]
