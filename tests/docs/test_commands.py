"""Every command of the documents is one that the program takes: its options, configurations, make targets, modules."""

import contextlib
import io
import re
from importlib.util import find_spec

import pytest
import yaml

from gluon_liver.commands import COMMANDS
from gluon_liver.commands.parser import parser_of
from gluon_liver.config.load import load_config
from gluon_liver.config.parallel_limits import LAUNCHED, check_parallel
from gluon_liver.errors import ConfigError

from .pages import HAND_WRITTEN, ROOT, Block, blocks_of, prose_of

BLOCKS = [block for page in HAND_WRITTEN for block in blocks_of(page)]
COMMAND_BLOCKS = [block for block in BLOCKS if block.language == "sh"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = re.findall(r'^        "(\w+)": [\[A-Z]', (ROOT / "setup.py").read_text(encoding="utf-8"), re.MULTILINE)
STARTS_A_COMMAND = r"(\.venv/bin/)?(gluon-liver|python3?|train\.py --|evaluate\.py --|make|pip|docker) ?"
# What prose may name beside the options of commands: of scripts, pytest, pip, git and other tools.
OTHER_OPTIONS = {
    *"--help --version --replicates --samples --share --legacy-python --epoch-steps --lr --weights --logdir".split(),
    *"--phase --csv --spacing".split(),  # of predict.py beside exported graphs
}


class Refused(Exception):
    """A command that the program would not take."""


def own_command(words):
    """(command, arguments) of a call of this program by any of its names; None of another program."""
    while words and words[0] in (".venv/bin/python", "python"):
        words = words[1:]
    if words[0] in ("train.py", "evaluate.py"):
        return (words[0][:-3],), words[1:]
    if words[:2] == ["-m", "gluon_liver"]:
        words = words[1:]
    elif words[0] not in ("gluon-liver", ".venv/bin/gluon-liver"):
        return None
    rest = words[1:]
    command = next((tuple(rest[:count]) for count in (2, 1) if tuple(rest[:count]) in COMMANDS), None)
    if command is None:
        raise Refused(f"no command {' '.join(rest[:2])}")
    return command, rest[len(command) :]


def check(words, workers=1):
    """Raise :class:`Refused` for a command that the program, make or pip would not take.

    workers: of the job that the command trains in.
    """
    own = own_command(words)
    if own is not None:
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                args = parser_of(own[0]).parse_args(own[1])
        except SystemExit:
            raise Refused(said.getvalue()) from None
        if own[0] == ("launch",):
            check(own[1][own[1].index("--") + 1 :], args.workers)
        names = getattr(args, "config", None) or []
        names = names if isinstance(names, list) else [names]
        if names and "/" not in str(names[0]):
            settings = getattr(args, "set", None) or []
            settings = [one for part in settings for one in ([part] if isinstance(part, str) else part)]
            store = getattr(args, "kvstore", None)
            settings += [f"parallel.kvstore={store}"] if store else []
            config = load_config(*names, overrides=settings)
            if workers > 1:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv(LAUNCHED, "worker")
                    try:
                        check_parallel(config, workers=workers)
                    except ConfigError as error:
                        raise Refused(str(error)) from None
    elif words[0] == "make":
        for target in (word for word in words[1:] if "=" not in word):
            if not re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE):
                raise Refused(f"no target {target}")
        for variable in (word.partition("=")[0] for word in words[1:] if "=" in word):
            if not re.search(rf"\b{variable}\b", MAKEFILE):
                raise Refused(f"no variable {variable}")
    elif words[0] == "pip":
        extras = re.findall(r"^\.\[([\w,]+)\]$", words[-1])
        if words[1] != "install" or not extras or not {*extras[0].split(",")} <= {*EXTRAS}:
            raise Refused(f"pip of what is no extra: {' '.join(words)}")
    elif words[:2] == [".", ".venv/bin/activate"]:
        return
    elif words[0] in ("python", ".venv/bin/python") and words[1] == "-m":
        if find_spec(words[2]) is None:
            raise Refused(f"no module {words[2]}")
    elif words[0] in ("python", ".venv/bin/python"):
        if not (ROOT / words[1]).is_file():
            raise Refused(f"no file {words[1]}")
    else:
        raise Refused(f"neither this program nor make: {words[0]}")


@pytest.mark.parametrize("block", COMMAND_BLOCKS, ids=lambda block: block.place)
def test_commands_are_taken_or_say_why_not(block: Block):
    assert block.mark == "run" or block.reason or not block.mark.startswith(("run", "not run"))
    commands = list(block.commands())
    assert commands
    if block.reason is None:
        for words in commands:
            try:
                check(words)
            except Refused as error:
                pytest.fail(f"{block.place}: {' '.join(words)}: {error}; or mark it <!-- not run: REASON -->")


def test_the_containers_commands_are_taken():
    text = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))["services"]
    job = services["monitor"]["command"]
    check(["gluon-liver", *job, "--", *services["worker-0"]["command"]])
    assert job[job.index("--workers") + 1] == str(sum(name.startswith("worker") for name in services))


def test_no_command_escapes_the_check():
    """A command stands in a block of ``sh``, where the check sees it, and not in another or an indented one."""
    elsewhere = [block.place for block in BLOCKS if block.language != "sh" and re.match(STARTS_A_COMMAND, block.text)]
    indented = [
        f"{page.relative_to(ROOT)}: {line.strip()}"
        for page in HAND_WRITTEN
        for line in re.findall(rf"^\n(    {STARTS_A_COMMAND}.*)", prose_of(page), re.MULTILINE)
    ]
    assert not elsewhere + indented


@pytest.mark.parametrize(
    "text",
    [
        "gluon-liver train --confg r50",
        "gluon-liver trian",
        "make dmeo",
        "python -m nowhere",
        "gluon-liver launch --workers 3 --servers 1 -- train.py --config r50 --kvstore dist_sync --data D --out R",
    ],
)
def test_a_wrong_command_is_noticed(text):
    with pytest.raises(Refused):
        check(text.split())


def test_options_in_prose_are_options_of_a_command():
    known = {name for words in COMMANDS for action in parser_of(words)._actions for name in action.option_strings}
    unknown = {
        f"{page.relative_to(ROOT)}: {option}"
        for page in HAND_WRITTEN
        if page.name != "CHANGELOG.md"
        for code in re.findall(r"`([^`\n]+)`", prose_of(page))
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", code)
        if option not in known | OTHER_OPTIONS
    }
    assert not unknown
