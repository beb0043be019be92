from __future__ import annotations

import json
import shutil

import pytest
import yaml

from gluon_liver.errors import RunError
from gluon_liver.report.tables.ct_tables import DENOMINATOR_WARNING
from gluon_liver.report.tables.table import PHANTOM_WARNING
from gluon_liver.report.tables.table4 import EvaluatedRun, read_run, rows_text


def make(summary, row, *, name="run", seed=0, data="a", split="test", phantom=True):
    results = dict(row=row, split=split, classes=[*summary["boxes"]], summary=summary)
    results["data"] = {"phantom": phantom, "note": "made up"}
    return EvaluatedRun(name, seed, data, "192 pixels, width 0.125", results)


def test_ours_stand_below_the_printed_row(summary):
    again = make(summary, "R-50", name="again")
    runs = [make(summary, "R-101 multi-modal", seed=7), make(summary, "R-50", data="b"), again]
    lines = rows_text(runs).splitlines()
    body = [line for line in lines if line[:4] in ("R-50", "R-10", "    ")]
    names = [line.split("  ")[0] for line in body]
    assert ",".join(names) == "R-50,,,R-101,R-50-2.5D,R-101 region fusion,R-50 multi-modal,R-101 multi-modal,"
    assert body[0].split()[1:] == ["paper", "69.23", "64.29", "70.96"]
    assert body[1].split()[:5] == ["run,", "seed", "0,", "set", "2"]
    assert body[2].split()[:5] == ["again,", "seed", "0,", "set", "1"]
    ours = summary["top1"]["cyst"]
    assert f"{100 * ours['value']:.1f} [{100 * ours['low']:.1f}, {100 * ours['high']:.1f}]" in body[-1]
    overall = summary["ap50"]["mean"], summary["precision"]["all"], summary["recall"]["all"]
    assert body[-1].split()[-3:] == [f"{100 * entry['value']:.1f}" for entry in overall]
    text = " ".join(rows_text(runs).split())
    assert PHANTOM_WARNING in text and DENOMINATOR_WARNING in text and "there are 2 sets" in text
    assert max(map(len, lines)) <= 130


def test_run_folders_are_read(tiny_run, tmp_path, summary):
    folder = tmp_path / "run"
    shutil.copytree(str(tiny_run.folder), str(folder))
    with pytest.raises(RunError, match="results.json cannot be read: No such file"):
        read_run(folder)
    results = make(summary, "R-50").results
    results.update(format=1, kind="ct", curves={}, overlays=[], checkpoint="x")
    (folder / "results.json").write_text(json.dumps(results))
    run = read_run(folder)
    assert run.seed == tiny_run.config.train.seed and run.name == "run"
    assert "seed 0" in rows_text([run])
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("shuffled_labels: false", "shuffled_labels: true"))
    with pytest.raises(RunError, match="the control experiment"):
        read_run(folder)
    (folder / "environment.json").write_text("{}")
    with pytest.raises(RunError, match="seed is missing"):
        read_run(folder)


@pytest.mark.parametrize(
    ("changes", "row", "reading"),
    [
        ({"slice_fusion": "channels"}, "R-50-2.5D", "slice_fusion channels"),
        (
            {"depth": 101, "fusion": True, "slice_fusion": "centre", "stem": "1x7x7"},
            "R-101 region fusion",
            "stem 1x7x7, slice_fusion centre",
        ),
        ({"relation": "full", "slice_fusion": "centre"}, "R-50 multi-modal", "slice_fusion centre"),
        ({"relation": "position"}, None, ""),
        ({"depth": 101}, None, ""),
        ({"fusion": True, "depth": 101, "fusion_blocks": "block3"}, None, ""),
    ],
)
def test_other_readings_of_the_slices_stand_under_their_row(tiny_run, tmp_path, summary, changes, row, reading):
    folder = tmp_path / "run"
    shutil.copytree(str(tiny_run.folder), str(folder))
    results = make(summary, None).results
    results.update(format=1, kind="ct", curves={}, overlays=[], checkpoint="x")
    (folder / "results.json").write_text(json.dumps(results))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"]["slices"] = 9
    config["network"].update({"depth": 50, "fusion": False, "relation": "off", **changes})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    run = read_run(folder)
    assert (run.results["row"], run.reading) == (row, reading)
    if row is None:
        with pytest.raises(RunError, match="no row of Table 4"):
            rows_text([run])
    else:
        text = rows_text([run])
        lines = text.splitlines()
        printed = next(place for place, line in enumerate(lines) if line.startswith(f"{row}  "))
        assert lines[printed + 1].split()[:2] == ["run*,", "seed"]
        assert f"run: {reading}" in " ".join(text.split())


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("file", "nothing"):
        with pytest.raises(RunError, match="no such run folder"):
            read_run(tmp_path / name)


def test_runs_that_cannot_stand_beside_the_paper_or_the_first_are_refused(summary):
    assert PHANTOM_WARNING not in rows_text([make(summary, "R-50", phantom=False)])
    strict = {**summary, "settings": {**summary["settings"], "score_threshold": 0.9}}
    fewer = make(summary, "R-50", name="other")
    fewer.results["classes"] = ["cyst"]
    for other, message in (
        (make(summary, None), "no row of Table 4"),
        (make(summary, "R-50", split="train"), "scored on the train patients"),
        (make(summary, "R-50"), "run is given twice"),
        (make(strict, "R-101", name="strict"), "strict: scored with .*0.9"),
        (fewer, "other: has the classes"),
    ):
        with pytest.raises(RunError, match=message):
            rows_text([make(summary, "R-50"), other])


def test_runs_scored_on_other_labels_are_marked(summary):
    runs = [make(summary, "R-50", name=name) for name in ("one", "two", "three", "old")]
    for run, digest in zip(runs, ("a" * 64, "a" * 64, "b" * 64)):
        run.results["data"]["digests"] = {"labels": digest, "volumes": None}
    text = rows_text(runs)
    marks = [line.split("seed 0")[1].split("  ")[0] for line in text.splitlines() if "seed 0" in line]
    assert marks == [", labels 1", ", labels 1", ", labels 2", ", labels not known"]
    assert "their figures do not compare" in " ".join(text.split()) and "older version" in text
    assert "labels" not in rows_text(runs[:2]) and "not known" in rows_text(runs[1::2])
    assert "labels" not in rows_text(runs[3:])
