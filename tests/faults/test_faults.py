"""The short form of `python -m tests.faults`."""

import pytest

from .trials import Bench

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("faults"), seed=1)


@pytest.mark.parametrize(
    "trials",
    [
        lambda bench: bench.kills(2),
        lambda bench: bench.fault_points(["checkpoint.parameters"]),
        lambda bench: bench.two_at_once(),
    ],
    ids=["kills", "fault point", "two at once"],
)
def test_a_broken_run_ends_where_a_whole_one_does(bench, trials):
    trials(bench)
    assert bench.passed and not bench.failed, bench.summary()
