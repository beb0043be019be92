"""Two evaluated ultrasound runs in the layout of the paper's tables: differences and the paired t-test."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from gluon_liver.errors import InputError, RunError
from gluon_liver.metrics.sensitivity import PairedTest, check_same_scenes, paired_t_test
from gluon_liver.metrics.us_summary import sensitivities
from gluon_liver.report.records.results import read_results
from gluon_liver.report.tables import us_tables
from gluon_liver.report.tables.table import Block, Notes, Table, as_text, data_statement

from .scored import kind_of


class EvaluatedUsRun(NamedTuple):
    """An evaluated ultrasound run: its folder's name and results.json."""

    name: str
    results: Dict[str, Any]


def read_us_run(folder: Path) -> EvaluatedUsRun:
    """Raises :class:`RunError` for a folder that holds no evaluated ultrasound run."""
    return EvaluatedUsRun(folder.resolve().name, read_results(folder, us_tables.KIND))


def us_tables_text(folder_a: Path, folder_b: Path) -> Optional[str]:
    """:func:`compare_text` of two ultrasound runs; None unless both are ultrasound runs.

    Raises :class:`RunError` for a folder that holds no evaluated run, and as :func:`compare_text`.
    """
    if {kind_of(folder_a), kind_of(folder_b)} != {us_tables.KIND.name}:
        return None
    return compare_text(read_us_run(folder_a), read_us_run(folder_b))


def us_paper_tables(folder_a: Path, folder_b: Path) -> Dict[str, Table]:
    """Tables 1 and 2 of :func:`us_tables_text`, by the names of their files; none unless both are ultrasound runs."""
    if {kind_of(folder_a), kind_of(folder_b)} != {us_tables.KIND.name}:
        return {}
    run_a, run_b = read_us_run(folder_a), read_us_run(folder_b)
    tests, columns = paired_tests(run_a, run_b), _columns(run_a, run_b)
    a, b = run_a.results, run_b.results
    precision = _ap_table(a["summary"], b["summary"], columns)
    return {"table-1": precision, "table-2": _sensitivity_table(a, b, tests, columns)}


def paired_tests(run_a: EvaluatedUsRun, run_b: EvaluatedUsRun) -> Dict[str, PairedTest]:
    """The t-test of A - B for each class. Raises :class:`RunError` as :func:`check_comparable`."""
    check_comparable(run_a, run_b)
    a, b = run_a.results["summary"], run_b.results["summary"]
    return {name: paired_t_test(sensitivities(a, name), sensitivities(b, name)) for name in a["boxes"]}


def check_comparable(run_a: EvaluatedUsRun, run_b: EvaluatedUsRun) -> None:
    """Raise :class:`RunError` unless both were scored on the same frames, boxes and scenes in the same way."""
    a, b = run_a.results, run_b.results
    refusal = f"{run_a.name} and {run_b.name} cannot be compared"
    one, other = ({**results, "settings": results["summary"]["settings"]} for results in (a, b))
    for what in ("classes", "split", "settings"):
        if one[what] != other[what]:
            raise RunError(f"{refusal}: their {what} are {one[what]} and {other[what]}; evaluate both alike")
    try:
        check_same_scenes(*({row["scene"]: row for row in results["summary"]["scenes"]} for results in (a, b)))
    except InputError as error:
        raise RunError(f"{refusal}: {error}; evaluate both on the same data") from error
    if a["data"]["fingerprint"] != b["data"]["fingerprint"]:
        raise RunError(f"{refusal}: their data are not the same recordings; evaluate both with --data")
    if a["summary"]["truth"] != b["summary"]["truth"]:
        changed = "the same scenes have other frames or boxes: the labels have changed between the evaluations"
        raise RunError(f"{refusal}: {changed}; evaluate both again")


def compare_text(run_a: EvaluatedUsRun, run_b: EvaluatedUsRun) -> str:
    """Both tables with two runs, their differences and t-tests below the printed ones; at most 110 columns.

    Raises :class:`RunError` for runs that were not scored on the same scenes.
    """
    tests = paired_tests(run_a, run_b)
    a, b = run_a.results, run_b.results
    columns = _columns(run_a, run_b)
    legend = [
        f"{letter}: {run.name}, {us_tables.network_text(run.results)}, checkpoint {run.results['checkpoint']}."
        for letter, run in (("A", run_a), ("B", run_b))
    ]
    if a["model"] == b["model"]:
        ours, baseline = us_tables.COLUMNS
        legend.append(
            f"Both runs are {a['model']}; the paper compares {ours} (us-flow) with {baseline}: its rows of Table 2 "
            f"have {ours} under A and {baseline} under B."
        )
    counted = us_tables.counted_text(a["detections"], b["detections"])
    notes = us_tables.us_notes(a["summary"], counted=counted, split_by=a["data"]["split_by"])
    notes += [f"{us_tables.label_of(name)}: no t-test: {test.reason}." for name, test in tests.items() if test.reason]
    notes.append(
        "Our P values are two-sided, and t is positive where A is better. The test takes scenes for independent draws, "
        "which scenes of one patient are not."
    )
    data = list(dict.fromkeys(run["data"]["note"] for run in (a, b)))
    printed: List[Block] = []
    if not us_tables.has_papers_classes(tests):
        printed = [one(a["summary"], model=a["model"]) for one in (us_tables.table1, us_tables.table2)]
        printed.append(us_tables.other_classes_note(list(tests)))
    return as_text(
        *printed,
        _ap_table(a["summary"], b["summary"], columns),
        _sensitivity_table(a, b, tests, columns),
        "\n".join(legend),
        data_statement(" / ".join(data), a["data"]["phantom"] or b["data"]["phantom"]),
        Notes([*notes, *us_tables.PAPER_NOTES]),
    )


def _columns(run_a: EvaluatedUsRun, run_b: EvaluatedUsRun) -> Sequence[str]:
    """The paper's columns in the order of the runs, so that printed differences and ours have one direction."""
    swapped = (run_a.results["model"], run_b.results["model"]) == ("us-faster-rcnn", "us-flow")
    return us_tables.COLUMNS[:: -1 if swapped else 1]


def _ap_table(a: Dict[str, Any], b: Dict[str, Any], columns: Sequence[str]) -> Table:
    rows: List[Tuple[str, ...]] = []
    if not us_tables.has_papers_classes(a["boxes"]):
        for row, key in us_tables.AP_ROWS.items():
            ours = [a[key]["mean"], b[key]["mean"]]
            rows.append((row, *(us_tables.decimals(value) for value in ours), _difference(*ours)))
        return Table.of("Average precision over the runs' own classes", ("", "A", "B", "A - B"), rows)
    for row, key in us_tables.AP_ROWS.items():
        paper = [us_tables.TABLE1[row][column] for column in columns]
        ours = [a[key]["mean"], b[key]["mean"]]
        texts = [*(one.text for one in paper), _difference(*(one.value for one in paper))]
        rows.append((row, *texts, *(us_tables.decimals(value) for value in ours), _difference(*ours)))
    header = ("", *(f"paper: {column}" for column in columns), "difference", "A", "B", "A - B")
    return Table.of(us_tables.TITLE1, header, rows)


def _sensitivity_table(
    a: Dict[str, Any], b: Dict[str, Any], tests: Dict[str, PairedTest], columns: Sequence[str]
) -> Table:
    rows: List[Tuple[str, ...]] = []
    papers = us_tables.has_papers_classes(tests)
    for name, test in tests.items():
        paper = us_tables.TABLE2[us_tables.label_of(name)] if papers else None
        if paper:
            one, other = (paper.sensitivity[column] for column in columns)
            texts = [one.text, other.text, _difference(one.mean, other.mean), paper.p.text, paper.t.text, "30"]
            rows.append((f"{us_tables.label_of(name)}, paper", *texts))
        texts = [us_tables.mean_sd(run["summary"]["sensitivity"][name]) for run in (a, b)]
        p_text = "<0.001" if test.p is not None and test.p < 0.0005 else us_tables.decimals(test.p)
        texts += [_difference(test.difference, 0.0), p_text, us_tables.decimals(test.t), str(test.n)]
        rows.append((f"{us_tables.label_of(name)}, A and B", *texts))
    # two runs of one model are not the paper's two columns
    letters = ("A", "B") if a["model"] == b["model"] or not papers else (f"{columns[0]} / A", f"{columns[1]} / B")
    header = ("Label", *letters, "difference", "P value", "t-value", "scenes")
    title = us_tables.TITLE2 if papers else "The runs' own classes: mean sensitivity per scene, \u00b1 SD over scenes"
    return Table.of(f"{title}, and paired t-test", header, rows)


def _difference(one: Optional[float], other: Optional[float]) -> str:
    return "-" if one is None or other is None else f"{one - other:+.3f}"
