"""Both models of the ultrasound paper: which runs are pairs, what is said of one, and what nothing is said of."""

from __future__ import annotations

import math
from typing import List, Tuple

from gluon_liver.files.json_records import read_json
from gluon_liver.report.tables import us_tables
from gluon_liver.reproduce.commands import Words, words_of
from gluon_liver.reproduce.job import Member
from gluon_liver.reproduce.recipe import ROWS

from .cells import CANNOT_TELL, PaperCell, Value
from .job import PaperJob

PLAIN, FLOW = ROWS["us"]


def pairs(job: PaperJob) -> List[Tuple[Member, Member]]:
    """The proposed model and the plain one of each seed, where both are trained."""
    plain = {member.seed: member for member in job.trained(PLAIN)}
    return [(member, plain[member.seed]) for member in job.trained(FLOW) if member.seed in plain]


def words_to_compare(ours: Member, plain: Member) -> Words:
    """The command that sets two runs side by side."""
    return words_of("evaluate --compare", ours.folder, plain.folder)


def sensitivity_of(member: Member, name: str) -> Value:
    """Mean over scenes, as the evaluation has it, with the interval of Student's t over scenes."""
    entry = read_json(member.folder / "results.json")["summary"]["sensitivity"].get(name)
    if entry is None:
        return Value(None, "-", reason=f"the data have no class {name}")
    text = us_tables.mean_sd(entry)
    if entry["mean"] is None or entry["sd"] is None:
        return Value(entry["mean"], text, reason="a scene or none: no interval over scenes")
    from scipy import stats

    reach = float(stats.t.ppf(0.975, entry["n"] - 1)) * entry["sd"] / math.sqrt(entry["n"])
    how = f"95 % of Student's t over {entry['n']} scenes, as if they were independent"
    return Value(entry["mean"], text, (entry["mean"] - reach, entry["mean"] + reach), how)


def doubt_of(job: PaperJob) -> str:
    """Why nothing can be said of a printed value, "" where something may."""
    dataset = job.dataset()
    other = "" if us_tables.has_papers_classes(dataset.classes) else f"other classes: {', '.join(dataset.classes)}"
    return job.doubt(dataset) or other


def not_trained(job: PaperJob, model: str, table: str, cell: str, printed: str) -> List[PaperCell]:
    """The cell of a model that is not trained; none where it is."""
    if model not in job.refused:
        return []
    value = Value(None, "-", reason="not trained")
    return [PaperCell(table, cell, printed, "", value, CANNOT_TELL, f"not trained: {job.refused[model]}")]
