"""The steps of ``reproduce --on``: import, a training and an evaluation of each row and seed, the tables.

Each calls the library's own functions, which know how to go on; a training and an evaluation import MXNet then.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, Dict, List, Optional

from gluon_liver.files.digest import hash_file
from gluon_liver.runs.zoo import resolve_run

from .job import Job, Member, Trainings
from .recipe import flat
from .results import MANIFEST, TABLES, write_tables
from .source import import_source
from .steps import Step

# keys that change how fast a run is, what it keeps and what it says, and not its parameters on one device
WITHOUT_EFFECT = ("parallel.", "train.loader_workers", "train.log_every", "train.keep_checkpoints", "train.mirror")


def steps_of(job: Job) -> List[Step]:
    """All steps, in their order: the first seed of all rows before any second one."""
    steps = [_import(job)]
    for member in job.members:
        steps += [_train(job, member), _evaluate(job, member)]
    return [*steps, _tables(job)]


def _import(job: Job) -> Step:
    inputs = {"layout": job.recipe.name, "files": dataclasses.asdict(job.listing)}
    return Step(
        "import",
        f"import {job.recipe.name}",
        f"{job.listing.files:,} files of {job.source}",
        (job.data,),
        lambda: inputs,
        partial(import_source, job.recipe, job.source, job.data, jobs=job.jobs),
        costly=True,
    )


def _train(job: Job, member: Member) -> Step:
    read = "data" + (f", {job.pretrained.name}" if job.pretrained else "")
    title, inputs = f"train {member.row}, seed {member.seed}", partial(training_inputs, job, member)
    run = partial(_run_training, job, member)
    return Step(f"train/{member.name}", title, read, (member.folder,), inputs, run, costly=True)


def training_inputs(job: Trainings, member: Member) -> Dict[str, Any]:
    """What the result of a training depends on: settings that change it, the data, the weights it begins with."""
    keys = {f"config.{key}": value for key, value in flat(member.config.to_dict()).items()}
    kept = {key: value for key, value in keys.items() if not key[len("config.") :].startswith(WITHOUT_EFFECT)}
    digests = {f"data.{name}": value for name, value in job.dataset().digests().items()}
    return {**kept, **digests, "pretrained": _pretrained_digest(job)}


def _pretrained_digest(job: Trainings) -> Optional[str]:
    if job.pretrained is None:
        return None
    path = resolve_run(job.pretrained)
    if path.is_dir():  # a run
        from gluon_liver.runs.run import Run

        return _checkpoint_of(Run.open(path))
    return hash_file(path)


def _run_training(job: Job, member: Member) -> Optional[Dict[str, Any]]:
    from gluon_liver.training.train import train
    from gluon_liver.weights.source import Pretrained

    weights = Pretrained(job.pretrained, None) if job.pretrained else None
    finished = train(member.config, job.dataset(), member.folder, pretrained=weights, resume="auto")
    if finished is None:
        return None
    steps, _, ended = finished.progress()
    return {"steps": steps} if ended else None


def _evaluate(job: Job, member: Member) -> Step:
    results, text = member.folder / "results.json", job.text_of(member)
    run = partial(_run_evaluation, job, member)
    title = f"evaluate {member.row}, seed {member.seed}"
    return Step(
        f"evaluate/{member.name}",
        title,
        "the run, test split",
        (results, text),
        partial(evaluation_inputs, job, member),
        run,
    )


def evaluation_inputs(job: Trainings, member: Member) -> Dict[str, Any]:
    """What the result of an evaluation depends on: the checkpoint that is read and the data that are scored."""
    from gluon_liver.runs.run import Run

    run, digests = Run.open(member.folder), job.dataset().digests("test")
    return {"checkpoint": _checkpoint_of(run), **{f"data.{name}": value for name, value in digests.items()}}


def _run_evaluation(job: Job, member: Member) -> Dict[str, Any]:
    from gluon_liver.evaluation.run_folder import evaluate
    from gluon_liver.files.atomic import write_text
    from gluon_liver.inference.choice import EngineChoice
    from gluon_liver.runs.run import Run

    device = job.device if job.device.startswith("gpu") else "cpu"
    text, _ = evaluate(Run.open(member.folder), job.dataset(), choice=EngineChoice(device=device.split(",")[0]))
    job.text_of(member).parent.mkdir(exist_ok=True)
    write_text(job.text_of(member), text)
    return {}


def _tables(job: Job) -> Step:
    results = {member.name: member.folder / "results.json" for member in job.members}
    outputs = (job.out / TABLES, job.out / MANIFEST)
    return Step(
        "tables",
        "write the tables",
        f"results of {len(job.members)} run{'s' if len(job.members) > 1 else ''}",
        outputs,
        lambda: {name: hash_file(path) for name, path in results.items()},
        partial(write_tables, job),
    )


def _checkpoint_of(run: Any) -> str:
    """Digest of the checkpoint that an evaluation reads."""
    from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
    from gluon_liver.runs.manifest import MANIFEST

    return hash_file(chosen_checkpoint(run) / MANIFEST)
