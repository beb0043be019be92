"""What commands say of themselves: units, defaults, and examples that are true."""

import shlex

import pytest

from gluon_liver.commands import COMMANDS, parser_of
from gluon_liver.commands.names import GROUPS, commands_of
from gluon_liver.commands.parser import Parser, examples_text, module_of, option_help
from gluon_liver.commands.phantom.options import phantom_options
from gluon_liver.config.load import load_config
from gluon_liver.flow.training import FlowTraining
from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.us.config import USPhantomConfig
from scripts.make_reference import FOLDER, pages

# metavars of numbers: their unit, or what they count
UNITS = set("N M K MM HU SHARE DB DEGREES PIXELS FRAMES SECONDS GB RATE X1 Y1 X2 Y2 FIRST LAST TRAIN VAL TEST".split())
WORDS = sorted(COMMANDS)


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_option_says_what_it_is_and_numbers_their_unit(words):
    for action in parser_of(words)._actions:
        name = "/".join(action.option_strings) or action.dest
        assert action.help and len(action.help) > 3, f"{name} has no help"
        if action.type in (int, float):
            shown = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
            in_words = "HU" in action.help  # LOW HIGH
            assert {*shown} <= UNITS or in_words, f"{name}: its metavar {shown} is no unit of {sorted(UNITS)}"


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_defaults_stand_in_the_help_once(words):
    for action in parser_of(words)._actions:
        if action.option_strings and action.nargs != 0 and action.default not in (None, []):
            values = action.default if isinstance(action.default, tuple) else [action.default]
            told = option_help(action)
            assert told.count("default") == 1, told
            assert "default" in action.help or told.endswith(f"(default: {' '.join(map(str, values))})")


def test_the_defaults_of_train_flow_are_those_of_the_training():
    told = {action.dest: action.help for action in parser_of(("train-flow",))._actions}
    for name in ("width", "size", "steps", "matching_steps", "batch_size", "learning_rate", "seed"):
        assert f"(default {getattr(FlowTraining(), name)})" in told[name]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_examples_are_command_lines_that_the_command_takes(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a checkout may hold the folders that examples make
    examples = module_of(words).EXAMPLES
    assert 1 <= len(examples) <= 4 and len({what for what, _ in examples}) == len(examples)
    parser = parser_of(words)
    for what, arguments in examples:
        args = parser.parse_args(shlex.split(arguments))
        names = getattr(args, "config", None) or getattr(args, "configs", None) or []
        names = [names] if isinstance(names, str) else names
        if names:
            load_config(*names[:1], *(names[1:] if words == ("train",) else []), overrides=args.set)
        if words[0] == "phantom":
            phantom_options(args, {"ct": CTPhantomConfig, "us": USPhantomConfig}[words[1]])
        assert what[0].islower() or what.split()[0].isupper() or what.startswith("Table")
        assert f"{parser.prog} {arguments}".strip() in parser.format_help()


def test_the_help_of_a_command_ends_with_its_examples(capsys):
    with pytest.raises(SystemExit):
        parser_of(("detect",), prog="python -m gluon_liver detect").parse_args(["--help"])
    printed = capsys.readouterr().out
    assert printed.split("examples:")[1].startswith(
        "\n  python -m gluon_liver detect demo/data/studies/CASE --run demo/run"
    )


def test_a_command_without_examples_says_nothing_of_them():
    assert examples_text("it", ()) == "" and "examples" not in Parser("it", "does this").format_help()


def test_percent_signs_in_defaults_are_printed_as_they_are():
    parser = Parser("it", "does this")
    parser.add_argument("--share", default="5%", help="so much")
    assert "so much (default: 5%)" in parser.format_help()


def test_groups_are_the_first_words_of_commands():
    assert set(GROUPS) == {words[0] for words in COMMANDS if len(words) == 2}
    assert commands_of("import") == [("import", "ct"), ("import", "us")]


@pytest.mark.parametrize("name", ["commands.md", "configuration.md"])
def test_the_reference_pages_are_current(name):
    """They are made of the commands' own words and the schema's."""
    same = (FOLDER / name).is_file() and (FOLDER / name).read_text(encoding="utf-8") == pages()[name]
    assert same, (
        f"docs/reference/{name} is not current: run `python -m scripts.make_reference` and commit what it wrote"
    )
