"""All steps of a paper, in their order."""

from __future__ import annotations

from typing import List

from gluon_liver.reproduce.steps import Step

from . import ct, us
from .job import PaperJob
from .manifest import manifest_step
from .shared import data_steps, evaluate_step, train_step


def paper_steps(job: PaperJob) -> List[Step]:
    """Data, trainings and evaluations, the first seed of all rows before any second one, then tables and figures."""
    paper = {"ct": ct, "us": us}[job.task]
    steps = [*data_steps(job), *(us.flow_steps(job) if job.task == "us" else [])]
    for member in job.members:
        steps += [train_step(job, member), evaluate_step(job, member)]
    return [*steps, *paper.further_steps(job), manifest_step(job, paper.cells, paper.figures)]
