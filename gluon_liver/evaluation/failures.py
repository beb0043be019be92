"""Where a run fails: what results.json and the printed tables say of it, for every task."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Sequence

from gluon_liver.metrics.errors.causes import Judged
from gluon_liver.metrics.errors.summary import error_summary, judge_all
from gluon_liver.metrics.errors.where import Where
from gluon_liver.report.tables.error_tables import causes_table
from gluon_liver.report.tables.table import as_text
from gluon_liver.structures.detections import SCORE_THRESHOLD

from .task import Scored, ScoreSettings, Task


class Judgement(NamedTuple):
    """Where each scored image is from, and what is right and wrong in it."""

    where: Sequence[Where]
    judged: Sequence[Judged]


def judge_scored(task: Task, scored: Scored) -> Judgement:
    """All images, once, for the counts of errors and for their pictures."""
    where = task.where(scored)
    return Judgement(where, judge_all(scored.results, where, score_threshold=SCORE_THRESHOLD))


def failures(
    task: Task, scored: Scored, judgement: Judgement, summary: Dict[str, Any], settings: ScoreSettings
) -> Dict[str, Any]:
    """:func:`error_summary` of what was scored; summary: of :meth:`Task.summary`."""
    return error_summary(
        scored.results,
        judgement.where,
        judged=judgement.judged,
        classes=scored.dataset.classes,
        size_edges=task.size_edges(settings),
        lesions=summary.get("lesions"),
        score_threshold=SCORE_THRESHOLD,
        replicates=settings.replicates,
    )


def tables_text(task: Task, scored: Scored, summary: Dict[str, Any], found: Dict[str, Any]) -> str:
    """What is printed: the task's tables, then the causes of errors. found: of :func:`failures`."""
    return task.text(scored, summary) + "\n" + as_text(causes_table(found["errors"]))
