"""What is said while work goes on: bars on a terminal alone, few lines elsewhere, nothing with --quiet."""

import ast
import io
import warnings
from pathlib import Path

import pytest

import gluon_liver
from gluon_liver.system import terminal
from gluon_liver.system.terminal import duration, progress_bar, say, set_quiet


class Screen(io.StringIO):
    """A terminal, as far as one is asked for."""

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until a test moves it: clock[0] is the time in seconds."""
    time = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: time[0])
    return time


@pytest.fixture
def quiet():
    set_quiet(True)
    yield
    set_quiet(False)


def test_without_a_terminal_long_work_says_a_line_every_half_minute_and_one_at_its_end(clock, capsys):
    for _ in progress_bar(range(1600), text="studies"):
        clock[0] += 0.0625  # 100 seconds in all
    assert capsys.readouterr().err.splitlines() == [
        "studies: 480 of 1,600, about 70 s left",
        "studies: 960 of 1,600, about 40 s left",
        "studies: 1,440 of 1,600, about 10 s left",
        "studies: 1,600 of 1,600 in 2 min",
    ]


def test_short_work_says_nothing_without_a_terminal(clock, capsys):
    with progress_bar(total=10, text="studies") as bar:
        for _ in range(10):
            clock[0] += 2
            bar.update()
    assert list(progress_bar([3, 1, 2], text="few")) == [3, 1, 2]
    assert capsys.readouterr().err == ""


def test_what_is_left_is_reckoned_without_what_was_done_before(clock, capsys):
    with progress_bar(total=100, done=60, text="studies") as bar:
        clock[0] += 40
        bar.update(20)
    assert "studies: 80 of 100, about 40 s left" in capsys.readouterr().err


def test_a_line_of_another_kind_puts_the_next_one_off(clock, capsys):
    with progress_bar(total=100, text="training", every=60) as bar:
        clock[0] += 50
        bar.restart()
        clock[0] += 50
        bar.update()
        assert capsys.readouterr().err == ""
        clock[0] += 10
        bar.update()
        assert capsys.readouterr().err.startswith("training: 2 of 100")


def test_a_terminal_has_a_bar_and_lines_above_it(monkeypatch):
    monkeypatch.setattr("sys.stderr", Screen())
    with progress_bar(total=4, text="studies", unit="study") as bar:
        bar.update(3)
        bar.note(loss="0.5")
        say("a line")
    shown = terminal.sys.stderr.getvalue()
    assert "\r" in shown and "3/4" in shown and "loss=0.5" in shown and "study/s" in shown
    assert "a line\n" in shown


@pytest.mark.parametrize("screen", [io.StringIO, Screen])
def test_quiet_is_silent_on_a_terminal_and_elsewhere(screen, monkeypatch, clock, quiet):
    monkeypatch.setattr("sys.stderr", screen())
    for _ in progress_bar(range(3), text="studies"):
        clock[0] += 100
    say("a line")
    assert terminal.sys.stderr.getvalue() == ""


@pytest.mark.parametrize("screen", [io.StringIO, Screen])
def test_what_is_not_shown_is_silent(screen, monkeypatch, clock):
    monkeypatch.setattr("sys.stderr", screen())
    for _ in progress_bar(range(3), text="studies", show=False):
        clock[0] += 100
    assert terminal.sys.stderr.getvalue() == ""


@pytest.mark.parametrize(
    "seconds, text",
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3500, "58 min"), (3600, "1 h"), (12000, "3 h 20 min")],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("seconds, text", [(35.4, "35 s"), (119, "119 s"), (265, "4 min 25 s"), (7199, "119 min 59 s")])
def test_exact_durations_tell_phases_apart(seconds, text):
    assert duration(seconds, exact=True) == text
    assert duration(12000, exact=True) == duration(12000)


def test_days_are_days():
    assert duration(52 * 3600) == "2 d 4 h" and duration(48 * 3600) == "2 d"


def test_nothing_else_makes_bars():
    users = []
    for path in Path(gluon_liver.__file__).parent.rglob("*.py"):
        names = [
            node.module for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        users += [path.name] * ("tqdm" in names)
    assert users == ["terminal.py"]


def test_warnings_for_users_are_lines_and_others_stay_as_they_are():
    usual = warnings.formatwarning
    with terminal.plain_warnings():
        assert warnings.formatwarning("no box of hcc", UserWarning, "train.py", 3) == "note: no box of hcc\n"
        assert "train.py:3: RuntimeWarning: overflow" in warnings.formatwarning(
            "overflow", RuntimeWarning, "train.py", 3
        )
    assert warnings.formatwarning is usual
