"""The steps that both papers have: phantoms and their import, trainings, evaluations, counts of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from gluon_liver.files.digest import hash_file
from gluon_liver.files.json_records import read_json
from gluon_liver.reproduce.commands import command_step, words_of
from gluon_liver.reproduce.job import Member
from gluon_liver.reproduce.steps import Step
from gluon_liver.reproduce.work import evaluation_inputs, training_inputs

from .job import PaperJob

PRINTED, FIGURES, SUMMARY = "printed", "figures", "data-summary"  # folders of the output folder
DRAWING = "a drawing of the method: nothing to compute"


def data_steps(job: PaperJob) -> List[Step]:
    """Phantoms and their import; none for data of one's own."""
    if job.source is not None:
        return []
    phantoms = job.out / "phantoms"
    labels = phantoms / "labels.json"
    words = words_of(f"phantom {job.task} --out", phantoms, job.own.phantoms)
    make = command_step(
        "phantoms",
        f"make phantoms, size {job.size}",
        lambda: words,
        job.run_command,
        out=job.out,
        reads="nothing",
        outputs=(labels,),
        fresh=(phantoms,),
    )
    line = words_of(f"import {job.task}", phantoms / "dicom", "--labels", labels, "--out", job.data, job.own.imported)
    take = command_step(
        "import",
        "import them",
        lambda: (*line, "--overwrite"),
        job.run_command,
        out=job.out,
        reads="the phantoms",
        outputs=(job.data / "dataset.json",),
        printed=job.out / PRINTED / "import.txt",
    )
    return [make, take]


def train_step(job: PaperJob, member: Member) -> Step:
    """The training of a member, as train.py does it."""

    def inputs() -> Dict[str, Any]:
        flow = {"flow": hash_file(job.flow_weights)} if member.row == "us-flow" else {}
        dataset = job.dataset()
        split = {f"data.{name}": dataset.digests(name)["labels"] for name in ("train", "val")}
        return {**training_inputs(job, member), **split, **flow}

    return command_step(
        f"train/{member.name}",
        f"train {member.row}, seed {member.seed}",
        lambda: job.words_to_train(member),
        job.run_command,
        out=job.out,
        reads="data",
        outputs=(member.folder,),
        inputs=inputs,
        costly=True,
    )


def evaluate_step(job: PaperJob, member: Member) -> Step:
    """The evaluation of a member, as evaluate.py does it; what it prints is kept."""
    printed = job.out / PRINTED / f"{member.folder.name}.txt"
    return command_step(
        f"evaluate/{member.name}",
        f"evaluate {member.row}, seed {member.seed}",
        lambda: job.words_to_evaluate(member),
        job.run_command,
        out=job.out,
        reads="the run, test split",
        outputs=(member.folder / "results.json", printed),
        inputs=lambda: evaluation_inputs(job, member),
        printed=printed,
    )


def summary_step(job: PaperJob) -> Step:
    """How many patients, lesions and images the data have."""

    def inputs() -> Dict[str, Any]:
        splits = job.data / "splits.json"
        return {**job.dataset().digests(), "splits": hash_file(splits) if splits.is_file() else None}

    folder = job.out / SUMMARY
    return command_step(
        "data-summary",
        "count the data",
        lambda: words_of("data summary", job.data, "--no-pixels --out", folder),
        job.run_command,
        out=job.out,
        reads="data",
        outputs=(folder / "summary.json",),
        inputs=inputs,
        fresh=(folder,),
        printed=job.out / PRINTED / "data-summary.txt",
    )


def summary_of(job: PaperJob) -> Dict[str, Any]:
    """What :func:`summary_step` left."""
    counts: Dict[str, Any] = read_json(job.out / SUMMARY / "summary.json")
    return counts


def below(job: PaperJob, path: Path) -> str:
    """A file as the manifest names it."""
    return path.relative_to(job.out).as_posix()
