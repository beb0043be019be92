"""The ultrasound paper: its steps beyond the trainings, the cells of its two tables, its counts and its figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

from gluon_liver.data.us_dataset import USDataset
from gluon_liver.files.digest import hash_file
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import build
from gluon_liver.metrics.bootstrap import bootstrap_weights, with_interval
from gluon_liver.metrics.coco import IOU_THRESHOLDS, weighted_ap
from gluon_liver.metrics.figures import Figure as Measured
from gluon_liver.metrics.figures import Ranked
from gluon_liver.metrics.matching import match_class
from gluon_liver.report.comparison.scored import ScoredRun, read_scored
from gluon_liver.report.comparison.us_compare import paired_tests, read_us_run
from gluon_liver.report.tables import us_tables
from gluon_liver.reproduce.commands import as_typed, command_step, words_of
from gluon_liver.reproduce.job import Member
from gluon_liver.reproduce.steps import Step
from gluon_liver.structures.detections import CocoDetection

from .cells import CANNOT_TELL, Figure, PaperCell, Value, judge
from .job import PaperJob
from .shared import DRAWING, FIGURES, PRINTED, below, summary_step
from .us_runs import FLOW, PLAIN, doubt_of, not_trained, pairs, sensitivity_of, words_to_compare
from .us_text import text_cells

IOUS = {"ap": slice(None), "ap50": slice(0, 1), "ap75": slice(5, 6)}  # of COCO's ten, by key of a summary
OTHER_IMAGES = "printed is the best epoch on the images that chose it, ours is of the test split"


def flow_steps(job: PaperJob) -> List[Step]:
    """Phantoms with exact motion, and LiteFlowNet trained on them; none where it is given or not needed."""
    if job.flow is not None or not job.trained(FLOW):
        return []
    phantoms, net = job.out / "flow" / "phantoms", job.out / "flow" / "net"
    labels = phantoms / "labels.json"
    make = command_step(
        "flow/phantoms",
        "make phantoms with exact motion",
        lambda: words_of("phantom us --out", phantoms, job.own.flow_phantoms),
        job.run_command,
        out=job.out,
        reads="nothing",
        outputs=(labels,),
        fresh=(phantoms,),
    )
    learn = command_step(
        "flow/net",
        "train LiteFlowNet",
        lambda: words_of("train-flow --out", net, "--phantoms", phantoms, job.own.flow),
        job.run_command,
        out=job.out,
        reads="these phantoms",
        outputs=(net / "flow.params", net / "flow.json"),
        fresh=(net,),
        printed=job.out / PRINTED / "train-flow.txt",
    )
    return [make, learn]


def further_steps(job: PaperJob) -> List[Step]:
    """The comparisons of both models, and the figures."""
    return [summary_step(job), *[_compare_step(job, *pair) for pair in pairs(job)], *_figure_steps(job)]


def _compare_step(job: PaperJob, ours: Member, plain: Member) -> Step:
    printed = job.out / PRINTED / f"compare-seed{ours.seed}.txt"
    return command_step(
        f"compare/seed-{ours.seed}",
        f"compare both models, seed {ours.seed}",
        lambda: words_to_compare(ours, plain),
        job.run_command,
        out=job.out,
        reads="results of both",
        outputs=(printed,),
        inputs=lambda: {one.name: hash_file(one.folder / "results.json") for one in (ours, plain)},
        printed=printed,
    )


def _figure_steps(job: PaperJob) -> List[Step]:
    """Drawn from the data and the first seed's runs by the whole command, which finds what is missing."""
    results = {member.name: member.folder / "results.json" for member in job.members}

    def inputs() -> Dict[str, Any]:
        return {name: hash_file(path) for name, path in results.items()}

    def step(name: str, title: str, draw: Callable[[Path], str]) -> Step:
        path = job.out / FIGURES / f"{name}.png"
        read = "data, both runs"
        return Step(name, f"draw {title}", read, (path,), inputs, lambda: {"note": draw(path)})

    flow = [step("figure-3", "Figure 3", partial(_draw_flow, job))] if job.trained(FLOW) else []
    labelled = step("figure-4", "Figure 4", lambda path: _pictures().draw_labelled(_dataset(job), path))
    return [*flow, labelled, step("figure-s1", "Figure S1", partial(_draw_scenes, job))]


def _draw_flow(job: PaperJob, path: Path) -> str:
    from gluon_liver.inference.choice import EngineChoice
    from gluon_liver.inference.stream import StreamDetector
    from gluon_liver.runs.run import Run

    dataset = _dataset(job)
    label = _pictures().pair_of(dataset) or dataset.labels_of("test")[0]
    device = job.device.split(",")[0] if job.device.startswith("gpu") else "cpu"
    stream, _ = StreamDetector.from_run(Run.open(job.trained(FLOW)[0].folder), choice=EngineChoice(device=device))
    frames = dataset.frames(label.case)
    stream.detect(frames[dataset.previous_row(label)], 0)
    result = stream.detect(frames[label.row], stream.step)
    if result.flow is None:
        raise AssertionError("us-flow of a paper's configuration estimates a flow")
    return _pictures().draw_flow(dataset, label, result.flow, path)


def _draw_scenes(job: PaperJob, path: Path) -> str:
    first = job.members[0].seed
    names = {FLOW: us_tables.PROPOSED, PLAIN: us_tables.BASELINE}
    runs = [(names[row], one) for row in names for one in job.trained(row) if one.seed == first]
    rows = [(name, _detections(one.folder)) for name, one in runs]
    return _pictures().draw_scenes(_dataset(job), rows, path)


def _detections(folder: Path) -> List[CocoDetection]:
    path = folder / "detections.json"
    return [build(CocoDetection, row, where=str(path)) for row in read_json(path)]


def _pictures() -> Any:
    from . import us_pictures  # matplotlib takes a second

    return us_pictures


def _dataset(job: PaperJob) -> USDataset:
    dataset = job.dataset()
    assert isinstance(dataset, USDataset)
    return dataset


def cells(job: PaperJob) -> List[PaperCell]:
    """Numbers of the text, and Tables 1 and 2."""
    scored = {member.name: read_scored(member.folder) for member in job.members}
    return [*text_cells(job), *_table1(job, scored), *_table2(job)]


def _table1(job: PaperJob, scored: Mapping[str, ScoredRun]) -> List[PaperCell]:
    doubt, found = doubt_of(job), []
    for row, key in us_tables.AP_ROWS.items():
        for model in (FLOW, PLAIN):
            column = us_tables.COLUMN_OF_MODEL[model]
            printed = us_tables.TABLE1[row][column]
            found += not_trained(job, model, "Table 1", f"{row}, {column}", printed.text)
            for member in job.trained(model):
                value = _average_precision(scored[member.name], key)
                verdict, why = judge_precision(printed.value, value, doubt)
                place = f"{below(job, member.folder)}/results.json: summary.{key}.mean"
                command = as_typed(job.words_to_evaluate(member))
                cell = f"{row}, {column}"
                found.append(PaperCell("Table 1", cell, printed.text, command, value, verdict, why, place, member.seed))
    return found


def judge_precision(printed: float, value: Value, doubt: str) -> Tuple[str, str]:
    """As :func:`judge`; where something may be said, that the images are others than the printed value's."""
    verdict, why = judge(printed, value, doubt)
    return verdict, why if verdict == CANNOT_TELL else f"{why}; {OTHER_IMAGES}"


def _average_precision(run: ScoredRun, key: str) -> Value:
    """As the evaluation has it, with an interval of a bootstrap over patients."""
    number, classes = run.results["summary"][key]["mean"], run.results["classes"]
    matched = [
        match_class(run.images, label, iou_threshold=iou)
        for label in range(len(classes))
        for iou in IOU_THRESHOLDS[IOUS[key]].tolist()
    ]
    parts = [Ranked(records, weighted_ap) for records in matched if records.gt_count.any()]
    text = us_tables.decimals(number)
    if not parts:
        return Value(number, text, reason="undefined here: nothing to count over")
    measured = Measured(parts)
    patients = len(measured.counts)
    entry = with_interval(number, measured.at(bootstrap_weights(patients)), measured.counts)
    if entry["low"] is None:
        return Value(number, text, reason=entry["reason"])
    how = "95 % bootstrap over patients, by this command from truth.json and detections.json"
    return Value(number, text, (entry["low"], entry["high"]), how)


def _table2(job: PaperJob) -> List[PaperCell]:
    doubt, found = doubt_of(job), []
    classes = {label: name for name, label in us_tables.LABEL_OF_CLASS.items()}
    for label, printed in us_tables.TABLE2.items():
        for model in (FLOW, PLAIN):
            column = us_tables.COLUMN_OF_MODEL[model]
            theirs, cell = printed.sensitivity[column], f"{label}, {column}"
            found += not_trained(job, model, "Table 2", cell, theirs.text)
            for member in job.trained(model):
                value = sensitivity_of(member, classes[label])
                verdict, why = judge(theirs.mean, value, doubt)
                place = f"{below(job, member.folder)}/results.json: summary.sensitivity.{classes[label]}"
                command = as_typed(job.words_to_evaluate(member))
                found.append(PaperCell("Table 2", cell, theirs.text, command, value, verdict, why, place, member.seed))
        for ours, plain in pairs(job):
            test = paired_tests(*(read_us_run(one.folder) for one in (ours, plain))).get(classes[label])
            command = as_typed(words_to_compare(ours, plain))
            p = None if test is None else test.p
            p_text = "<0.001" if p is not None and p < 0.0005 else us_tables.decimals(p)
            t = None if test is None else test.t
            why_p = "the printed P is one-sided, ours two-sided, and a P value has no interval"
            why_t = "the printed signs of t fit no one direction, and a t value has no interval; ours: ours - plain"
            for what, text, number, shown, why in (
                ("P value", printed.p.text, p, p_text, why_p),
                ("t-value", printed.t.text, t, us_tables.decimals(t), why_t),
            ):
                reason = (test.reason if test is not None else "other classes") or why
                value = Value(number, shown, reason=reason)
                why = doubt or reason
                found.append(
                    PaperCell("Table 2", f"{label}, {what}", text, command, value, CANNOT_TELL, why, "", ours.seed)
                )
    return found


def figures(job: PaperJob) -> List[Figure]:
    """All figures, with what was made and what not."""
    from gluon_liver.reproduce.steps import read_record_of

    found = [
        Figure("Figure 1", "overview of the model", note=DRAWING),
        Figure("Figure 2", "Faster R-CNN", note=DRAWING),
    ]
    titles = {"figure-3": "optical flow map", "figure-4": "training images", "figure-s1": "detections in unseen scenes"}
    for key, title in titles.items():
        record = read_record_of(key, job.out)
        name = key.replace("-", " ").capitalize().replace("s1", "S1")
        if record is None:
            found.append(Figure(name, title, note=f"{FLOW} is not trained"))
        else:
            found.append(Figure(name, title, (f"{FIGURES}/{key}.png",), job.command, record.figures["note"]))
    return found
