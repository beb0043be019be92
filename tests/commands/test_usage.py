"""What is said where no command is run, and how errors of a command line look."""

import re

import pytest

import gluon_liver
from gluon_liver.commands import COMMANDS, main
from gluon_liver.commands.names import GROUPS
from gluon_liver.system import terminal


def said(capsys, line):
    """(exit code, standard output, standard error) of a command line."""
    capsys.readouterr()
    try:
        code = main(line.split())
    except SystemExit as stop:
        code = stop.code
    return (code, *capsys.readouterr())


@pytest.mark.parametrize(
    "line, wanted",
    [
        ("trian --config r50", "no command 'trian'; did you mean train?"),
        ("imprt ct", "no command 'imprt'; did you mean import ct?"),
        ("evalute --run x", "did you mean evaluate?"),
        ("confg list", "did you mean config list?"),
        ("config expain", "config has no command 'expain'; did you mean config explain?"),
        ("phantom", "phantom needs one word more; there is ct, us;"),
        ("import xyz", "import has no command 'xyz'; there is ct, us;"),
        ("qqqqqq", "no command 'qqqqqq'; `python -m gluon_liver --help` lists"),
        ("--verbose train", "there is no option --verbose before a command"),
    ],
)
def test_a_misspelt_command_is_told_what_is_like_it(capsys, line, wanted):
    code, out, error = said(capsys, line)
    assert code == 2 and out == "" and error.startswith("error: ") and error.count("\n") == 1
    assert wanted in error and "--help` " in error


@pytest.mark.parametrize(
    "line, wanted",
    [
        (
            "train --confg r50",
            "there is no option --confg; did you mean --config? `python -m gluon_liver train --help`",
        ),
        ("train --config r50", "the following arguments are required: --data, --out;"),
        ("detect x --run r --out o --score high", "argument --score: invalid float value: 'high';"),
        ("score --run r --detections d --split tst", "invalid choice: 'tst'"),
        ("doctor --zzzz", "there is no option --zzzz; `"),
        ("export --legacy", "required: RUN, --out"),
    ],
)
def test_errors_of_the_command_line_look_like_all_others(capsys, line, wanted):
    code, out, error = said(capsys, line)
    assert code == 2 and out == "" and error.startswith("error: ") and error.count("\n") == 1
    assert wanted in error and error.endswith("--help` tells the options\n")


def test_shortened_options_and_what_is_behind_two_dashes_are_taken(monkeypatch):
    seen = []
    monkeypatch.setattr("gluon_liver.commands.launch.run", lambda args: seen.append(args) or 0)
    assert main("launch --work 2 -- train.py --confg r50".split()) == 0
    assert seen[0].workers == 2 and seen[0].command == ["train.py", "--confg", "r50"]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_tells_its_commands(capsys, group):
    code, out, error = said(capsys, f"{group} --help")
    mine = [words for words in COMMANDS if words[0] == group]
    assert code == 0 and error == "" and GROUPS[group] in out
    assert re.findall(rf"^  {group} (\S+) ", out, re.MULTILINE) == [second for _, second in mine]


def test_the_list_of_commands_has_each_of_them_with_what_it_does(capsys):
    code, out, _ = said(capsys, "--help")
    assert code == 0 and "--version" in out and "--quiet" in out
    for words, (_, summary) in COMMANDS.items():
        assert re.search(rf"^  {' '.join(words)} +{re.escape(summary)}$", out, re.MULTILINE)


def test_the_version_is_the_packages(capsys):
    code, out, _ = said(capsys, "--version")
    assert code == 0 and out.startswith(f"gluon_liver {gluon_liver.__version__}") and "mxnet" in out and "numpy" in out


@pytest.mark.parametrize(
    "line, quiet", [("--quiet config list", True), ("config list -q", True), ("config list", False)]
)
def test_quiet_stands_before_or_behind_a_command_and_is_of_it_alone(capsys, monkeypatch, line, quiet):
    seen = []
    monkeypatch.setattr("gluon_liver.commands.config.names.run", lambda args: terminal.say("words") or 0)
    seen = said(capsys, line)
    assert seen == (0, "", "" if quiet else "words\n")
    assert said(capsys, "config list")[2] == "words\n"


def test_a_job_of_one_of_the_programs_own_commands_is_told_how_it_is_written(capsys):
    assert main(["launch", "--workers", "2", "--", "train", "--config", "r50"]) == 2
    assert "'train' is no program: give the workers' command as python -m gluon_liver train" in capsys.readouterr().err
