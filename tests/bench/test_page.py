"""docs/benchmarks.md: what readers see."""

import pytest

from scripts.bench import page
from scripts.bench.machine import machine_facts
from scripts.bench.page import NOTES, amount, read_notes, write_page
from scripts.bench.pairs import BYTES, PAIRS, RATE, SECONDS
from scripts.bench.results import PairResults

from .test_results import record

RECORD = {"versions": {"mxnet": "1.9.1"}, "others": 0.01}
MACHINE = {"CPU": "a CPU", "cores": 2}


@pytest.fixture
def results(tmp_path):
    step = PairResults(tmp_path, "step", revision="abc")
    step.add(0, "gluon_liver", dict(record(3.0, 4.0, 5.0, peak=6e9), **RECORD))
    step.add(0, "torchvision", dict(record(8.0, peak=3e9), **dict(RECORD, others=0.5)))
    frame = PairResults(tmp_path, "frame", revision="abc")
    frame.add(0, "torchvision", {"left_out": "no PyTorch"})
    frame.add(0, "gluon_liver", dict(record(0.5, 0.4), **RECORD, checks={"difference": "1e-7"}))
    peak = PairResults(tmp_path, "machine", revision="abc")
    peak.add(0, "peak", record(2.0, 1.0, work=3e9))
    return tmp_path


def read(results, *, notes=""):
    (results / "notes.md").write_text(notes, encoding="utf-8")
    write_page(results / "page.md", results, MACHINE, notes=results / "notes.md")
    return (results / "page.md").read_text(encoding="utf-8")


def test_each_goal_has_its_ratio(results):
    text = read(results)
    title = PAIRS["step"].title
    assert f"| {title} | 4 s | torchvision: 8 s | 0.50 | at most 0.7 | met |" in text
    assert f"| {title} | 6 GB | torchvision: 3 GB | 2.00 | at most 1.2 | **missed** |" in text
    assert text.count("| not measured |") == sum(len(pair.goals) for pair in PAIRS.values()) - 2


def test_what_holds_a_goal_is_said_where_it_is_missed(results):
    text = read(results, notes="## step-memory\nThe\nblocks.\n## step-time\nNever shown.\n\n# Further\n\nMore.\n")
    assert "6 GB beside torchvision: 3 GB. The blocks.\n" in text
    assert "Never shown" not in text and text.endswith("\nMore.\n")
    assert "beside torchvision: 3 GB. Not found out yet." in read(results)
    assert "450 ms beside torchvision. torchvision: no PyTorch." in text  # of the frame


def test_each_side_has_its_median_and_spread(results):
    text = read(results)
    assert "| gluon_liver | 4 s | 3 s to 5 s | 3 | 6 GB |" in text
    assert "| torchvision | no PyTorch | | | |" in text
    assert "- gluon_liver: difference 1e-7." in text
    assert "While torchvision ran, other processes took up to 50% of the cores." in text
    assert "While gluon_liver ran" not in text
    assert PAIRS["import"].title in text and f"## {PAIRS['import'].title}" not in text


def test_the_machine_is_described(results):
    text = read(results)
    assert "| GEMM peak, float32, measured | 3 GFLOP/s |" in text
    for line in ("| cores | 2 |", "| mxnet | 1.9.1 |", "| revision of this project | abc |"):
        assert line in text


def test_a_rate_has_a_column(results):
    stream = PairResults(results, "stream", revision="abc")
    stream.add(0, "us-flow, width 1.0", dict(record(0.5, work=1), **RECORD))
    text = read(results)
    assert "| us-flow, width 1.0 | 500 ms | 500 ms to 500 ms | 1 | 1e-08 GB | 2.00 |" in text
    assert "| us-flow, width 1.0: 2 a second | 4 a second | 0.50 | at least 1 | **missed** |" in text


def test_facts_of_the_machine_do_not_name_it():
    facts = machine_facts()
    assert facts["cores"] > 0 and "(family" in facts["CPU"]
    assert not {"host", "name", "node"} & {key.lower() for key in facts}


def test_amounts():
    assert [amount(SECONDS, 1.0), amount(SECONDS, 0.0456), amount(BYTES, 1.5e9), amount(RATE, 4.0)] == [
        "1 s",
        "45.6 ms",
        "1.5 GB",
        "4 a second",
    ]


def test_notes_are_about_goals_that_there_are():
    assert read_notes(NOTES).keys() - {""} <= {goal.key for pair in PAIRS.values() for goal in pair.goals}
    assert page.NOTES.exists()
