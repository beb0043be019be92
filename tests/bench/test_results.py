"""Results on disk, and what they say."""

import pytest

from scripts.bench import run
from scripts.bench.pairs import BYTES, PAIRS, RATE, SECONDS, Goal, Pair, Side
from scripts.bench.results import PairResults, met, ratio


def record(*seconds, peak=10, work=1, **constants):
    return {"seconds": list(seconds), "peak_bytes": peak, "work": work, "constants": constants, "checks": {}}


@pytest.fixture
def results(tmp_path):
    results = PairResults(tmp_path, "pair", revision="a")
    results.add(0, "here", record(1.0, 3.0, peak=4, work=6, volumes=8))
    results.add(1, "here", record(2.0, peak=6, work=6))
    results.add(0, "there", record(8.0, peak=3))
    results.add(0, "broken", {"failed": "why"})
    return results


@pytest.mark.parametrize(
    ("figure", "peer", "expected"),
    [
        (SECONDS, "there", 0.25),  # medians over all rounds
        (BYTES, "there", 2.0),  # the largest peaks
        (BYTES, "volumes", 0.75),  # a number that the side itself gives
        (SECONDS, 0.5, 4.0),
        (RATE, 6.0, 0.5),
        (SECONDS, "broken", None),
        (SECONDS, "absent", None),
    ],
)
def test_a_goal_compares_a_figure(results, figure, peer, expected):
    assert ratio(Goal("key", figure, "here", peer, 1), results) == expected


def test_a_goal_of_a_side_that_was_not_run(results):
    assert ratio(Goal("key", SECONDS, "absent", "there", 1), results) is None


def test_a_rate_must_reach_its_limit_and_time_stay_below():
    assert met(Goal("key", RATE, "here", 4.0, 1), 1.0) and not met(Goal("key", RATE, "here", 4.0, 1), 0.99)
    assert met(Goal("key", SECONDS, "here", 4.0, 1), 1.0) and not met(Goal("key", SECONDS, "here", 4.0, 1), 1.01)


def test_results_are_kept_for_the_same_revision_alone(results, tmp_path):
    assert PairResults(tmp_path, "pair", revision="a").done == results.done != set()
    assert PairResults(tmp_path, "pair").revision == "a"
    assert PairResults(tmp_path, "pair", revision="b").done == set()
    assert PairResults(tmp_path, "pair").revision == "b"


def test_a_line_that_was_cut_off_is_not_read(results, tmp_path):
    path = tmp_path / "pair.jsonl"
    results.add(0, "last", record(1.0))
    path.write_text(path.read_text()[:-5])
    assert PairResults(tmp_path, "pair", revision="a").done == results.done - {(0, "last")} != set()


def test_what_failed_is_run_again_and_the_last_try_counts(results):
    assert results.done == {(0, "here"), (1, "here"), (0, "there")}
    results.add(0, "broken", record(5.0))
    assert results.records("broken") == [record(5.0)] and (0, "broken") in results.done


@pytest.fixture
def ran(monkeypatch):
    """The arguments of the sides that were run, in their order."""
    order = []

    def fake(side, **_):
        order.append(side.arguments)
        return dict(record(1.0), others=0.0)

    monkeypatch.setattr(run, "run_side", fake)
    return order


PAIR = Pair("title", "text", {"a": Side("m", "a"), "b": Side("m", "b")}, (), prepare=Side("m", "prepare"))


def test_sides_take_turns(ran, tmp_path):
    run.run_pair(PAIR, PairResults(tmp_path, "pair", revision="a"), 3, {})
    assert ran == ["prepare", "a", "b", "b", "a", "a", "b"]


def test_a_run_that_was_cut_off_goes_on(ran, tmp_path):
    PairResults(tmp_path, "pair", revision="a").add(0, "a", record(1.0))
    run.run_pair(PAIR, PairResults(tmp_path, "pair", revision="a"), 1, {})
    run.run_pair(PAIR, PairResults(tmp_path, "pair", revision="a"), 1, {})
    assert ran == ["prepare", "b"]


def test_a_pair_that_cannot_be_prepared_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "run_side", lambda side, **_: {"failed": "no disk"})
    results = PairResults(tmp_path, "pair", revision="a")
    run.run_pair(PAIR, results, 1, {})
    assert [line["record"]["failed"] for line in results.lines] == ["nothing was prepared: no disk"] * 2


def test_goals_name_sides_that_there_are():
    for pair in PAIRS.values():
        for goal in pair.goals:
            assert goal.side in pair.sides or goal.key == "frame-1000-reduced"
            assert not isinstance(goal.peer, str) or goal.peer in {*pair.sides, "volumes"}
    keys = [goal.key for pair in PAIRS.values() for goal in pair.goals]
    assert len(keys) == len(set(keys))


def test_a_python_without_torch_is_told_and_done_without(tmp_path, capsys):
    assert run.find_torch(tmp_path / "python") is None and "without PyTorch" in capsys.readouterr().err
    assert run.find_torch(None) is None
