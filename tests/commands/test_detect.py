"""What detect says of a run that is sure of nothing."""

import pytest

from gluon_liver.commands import main
from gluon_liver.commands.detect import _nothing_found


@pytest.mark.parametrize(
    "below, least, wanted",
    [
        (
            {"boxes": 412, "highest_score": 0.317},
            0.01,
            "412 boxes lie below it, the highest at 0.32: --score 0.3 shows",
        ),
        ({"boxes": 7, "highest_score": 0.49}, 0.02, "--score 0.45 shows the likeliest, --score 0.02 all, with another"),
        ({"boxes": 7, "highest_score": 0.03}, 0.01, "highest at 0.03: --score 0.01 shows"),
        ({"boxes": 0, "highest_score": None}, 0.01, "no box at all, not even at 0.01"),
    ],
)
def test_the_score_that_shows_something_is_named(below, least, wanted):
    assert wanted in _nothing_found(below, least)


def test_it_stands_below_the_count_and_what_it_says_is_true(tiny_run, tiny_data, tmp_path, capsys):
    study = tiny_data / "studies" / "case-0000000003"
    assert main(f"detect {study} --run {tiny_run.folder} --out {tmp_path}/a --score 0.999".split()) == 0
    counted, hint = capsys.readouterr().out.splitlines()[:2]
    assert counted.endswith("0 lesions at score 0.999 and above") and "boxes lie below it" in hint
    score = hint.split("--score ")[1].split()[0]
    assert main(f"detect {study} --run {tiny_run.folder} --out {tmp_path}/b --score {score}".split()) == 0
    again = capsys.readouterr().out
    assert " 0 lesions" not in again and "lie below" not in again
