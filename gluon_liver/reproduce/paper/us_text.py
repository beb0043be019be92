"""Numbers of the ultrasound paper that stand in its text alone: what it counts, and by how much its model is better."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.metrics.us_summary import sensitivities
from gluon_liver.report.comparison.compare_runs import compare_runs
from gluon_liver.report.comparison.us_compare import read_us_run
from gluon_liver.report.tables import us_tables
from gluon_liver.report.tables.table import Printed, printed
from gluon_liver.reproduce.commands import as_typed, words_of
from gluon_liver.reproduce.job import Member

from .cells import CANNOT_TELL, PaperCell, Value, judge, judge_exactly
from .job import PaperJob
from .shared import PRINTED, SUMMARY, summary_of
from .us_runs import FLOW, doubt_of, not_trained, pairs, sensitivity_of, words_to_compare

TABLE = "Results, in the text"
# what the text says of the data: (name, printed, splits, key of the splits' counts or of a class's boxes)
COUNTS = (
    ("labelled images", "91", ("train", "val"), "images"),
    ("training images", "72", ("train",), "images"),
    ("evaluation images", "19", ("val",), "images"),
    ("scenes", "30", ("test",), "scenes"),
    ("images of the scenes", "150", ("test",), "images"),
    ("unlearned images", "169", ("val", "test"), "images"),
    ("tumors in them", "142", ("test",), "tumor"),
    ("blood vessels in them", "689", ("test",), "vessel"),
)
GAIN_AP = printed("0.019")  # abstract and "Performance evaluation": mAP of the proposed model, better by
GAINS = {"abstract": us_tables.ABSTRACT.better, "results": us_tables.RESULTS.better}  # of tumors' mean sensitivity
NO_RUN = "both models are needed, of one seed"


def text_cells(job: PaperJob) -> List[PaperCell]:
    """What the text counts, the abstract's sensitivity, and what the proposed model gains."""
    return [*_counts(job), *_abstract(job), *_gains(job)]


def _counts(job: PaperJob) -> List[PaperCell]:
    splits, doubt, found = summary_of(job)["splits"], job.doubt(job.dataset()), []
    command = as_typed(words_of("data summary", job.data, "--no-pixels"))
    for name, number_printed, names, key in COUNTS:
        number = _sum([_count(splits.get(split, {}), key) for split in names])
        text = "-" if number is None else str(number)
        missing = "" if number is not None else f"the data have no {' or no '.join(names)} split, or no class {key}"
        verdict, why = judge_exactly(number_printed, text, doubt or missing)
        place = f"{SUMMARY}/summary.json: " + " + ".join(f"splits.{split}" for split in names)
        value = Value(number, text, reason="a count has no interval")
        found.append(PaperCell("Data, in the text", name, number_printed, command, value, verdict, why, place))
    return found


def _count(split: Mapping[str, Any], key: str) -> Optional[int]:
    number = split.get(key) if key in ("images", "scenes") else split.get("classes", {}).get(key, {}).get("boxes")
    return None if number is None else int(number)


def _sum(numbers: Sequence[Optional[int]]) -> Optional[int]:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _abstract(job: PaperJob) -> List[PaperCell]:
    """The tumors' sensitivity of the abstract, which is not that of Table 2."""
    theirs, cell, doubt = us_tables.ABSTRACT.sensitivity, "Tumor sensitivity of our model, abstract", doubt_of(job)
    found = not_trained(job, FLOW, TABLE, cell, theirs.text)
    for member in job.trained(FLOW):
        value = sensitivity_of(member, "tumor")
        verdict, why = judge(theirs.mean, value, doubt)
        why = why if verdict == CANNOT_TELL else f"{why}; Table 2 prints {us_tables.RESULTS.sensitivity.text}"
        command = as_typed(job.words_to_evaluate(member))
        found.append(PaperCell(TABLE, cell, theirs.text, command, value, verdict, why, "", member.seed))
    return found


def _gains(job: PaperJob) -> List[PaperCell]:
    """Of the mean AP, and of the tumors' mean sensitivity a scene as abstract and results have it."""
    named: Dict[str, Printed] = {"Mean AP, our model better by": GAIN_AP}
    named.update({f"Tumor sensitivity, our model better by, {where}": one for where, one in GAINS.items()})
    found, doubt = [], doubt_of(job)
    if not pairs(job):
        value = Value(None, "-", reason=NO_RUN)
        return [PaperCell(TABLE, cell, one.text, "", value, CANNOT_TELL, NO_RUN) for cell, one in named.items()]
    for ours, plain in pairs(job):
        command, place = as_typed(words_to_compare(ours, plain)), f"{PRINTED}/compare-seed{ours.seed}.txt"
        values = [_gain_ap(ours, plain), *[_gain_sensitivity(ours, plain)] * len(GAINS)]
        for (cell, one), value in zip(named.items(), values):
            verdict, why = judge(one.value, value, doubt)
            found.append(PaperCell(TABLE, cell, one.text, command, value, verdict, why, place, ours.seed))
    return found


def _gain_ap(ours: Member, plain: Member) -> Value:
    """Of the evaluations, with the interval of their comparison."""
    a, b = (read_us_run(one.folder).results["summary"]["ap"]["mean"] for one in (ours, plain))
    if a is None or b is None:
        return Value(None, "-", reason="undefined here: nothing to count over")
    figures = compare_runs([ours.folder], [plain.folder])["figures"]
    entry = next(one for one in figures if (one["family"], one["name"]) == ("overall", "AP"))
    if entry["low"] is None:
        return Value(a - b, f"{a - b:+.3f}", reason=entry["reason"] or "the comparison has no interval")
    how = "95 % over patients, of the comparison's AP, which is computed again from detections.json"
    return Value(a - b, f"{a - b:+.3f}", (entry["low"], entry["high"]), how)


def _gain_sensitivity(ours: Member, plain: Member) -> Value:
    """The mean of the scenes' differences, with the interval of Student's t over scenes, as of the paired test."""
    summaries = [read_us_run(one.folder).results["summary"] for one in (ours, plain)]
    if any("tumor" not in summary["sensitivity"] for summary in summaries):
        return Value(None, "-", reason="the data have no class tumor")
    a, b = (sensitivities(summary, "tumor") for summary in summaries)
    differences = np.array([a[scene] - b[scene] for scene in sorted(a)])
    if not len(differences):
        return Value(None, "-", reason="no scene has a tumor")
    number = float(differences.mean())
    interval = _over_scenes(differences)
    if interval is None:
        return Value(number, f"{number:+.3f}", reason="one scene: no interval over scenes")
    how = f"95 % of Student's t over {len(differences)} scenes, paired, as if they were independent"
    return Value(number, f"{number:+.3f}", interval, how)


def _over_scenes(differences: np.ndarray[Any, Any]) -> Optional[Tuple[float, float]]:
    n = len(differences)
    if n < 2:
        return None
    from scipy import stats

    mean = float(differences.mean())
    reach = float(stats.t.ppf(0.975, n - 1)) * float(differences.std(ddof=1)) / math.sqrt(n)
    return mean - reach, mean + reach
