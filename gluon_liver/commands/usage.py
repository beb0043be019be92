"""What is printed where no command is run: the list of commands, a group of them, the version, and misspelt words."""

from __future__ import annotations

import difflib
import platform
from typing import Iterable, List, Optional, Sequence

from .names import COMMANDS, GROUPS, Words, commands_of

ABOUT = """Liver lesion detection in CT and ultrasound, as in two papers, with MXNet. Research software: not a medical
device, not for diagnosis."""
OPTIONS = """options:
  -h, --help       this list
  --version        print the version, and those of what it stands on
  -q, --quiet      before or behind a command: print results, warnings and errors alone"""


def command_words(arguments: Sequence[str]) -> Optional[Words]:
    """The words of the command that arguments begin with; None where they name none."""
    return next((words for words in (tuple(arguments[:2]), tuple(arguments[:1])) if words in COMMANDS), None)


def usage(program: str) -> str:
    """The list of all commands."""
    lines = [f"usage: {program} COMMAND ...", "", ABOUT, "", "commands:", *_lines(COMMANDS), "", OPTIONS, ""]
    return "\n".join([*lines, f"`{program} COMMAND --help` tells a command's options, with examples."])


def group_usage(group: str, program: str) -> str:
    """The commands of a group."""
    words = commands_of(group)
    one_of = "|".join(second for _, second in words)
    lines = [f"usage: {program} {group} {{{one_of}}} ...", "", f"{group}: {GROUPS[group]}", "", *_lines(words), ""]
    return "\n".join([*lines, f"`{program} {' '.join(words[0])} --help` tells a command's options, with examples."])


def _lines(commands: Iterable[Words]) -> List[str]:
    return [f"  {' '.join(words):<15}  {COMMANDS[words][1]}" for words in commands]


def unknown(given: Sequence[str], program: str) -> str:
    """What to say of words that name no command."""
    if given[0] in GROUPS:
        known = [second for _, second in commands_of(given[0])]
        near = difflib.get_close_matches(given[1], known, n=1) if given[1:] else []
        what = f"{given[0]} has no command {given[1]!r}" if given[1:] else f"{given[0]} needs one word more"
        hint = f"did you mean {given[0]} {near[0]}?" if near else f"there is {', '.join(known)};"
        return f"{what}; {hint} `{program} {given[0]} --help` tells what they do"
    if given[0].startswith("-"):
        return f"there is no option {given[0]} before a command; `{program} --help` lists both"
    names = {" ".join(words): None for words in COMMANDS}
    typed = " ".join(word for word in given[:2] if not word.startswith("-"))
    near = difflib.get_close_matches(typed, names, n=1, cutoff=0.7)
    near = near or difflib.get_close_matches(given[0], [*names, *GROUPS], n=2, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    return f"no command {given[0]!r}{hint} `{program} --help` lists the commands"


def version_text() -> str:
    """The package's version and revision, and the versions of what it stands on, without importing them."""
    from gluon_liver import __version__
    from gluon_liver.system.environment import describe_environment

    found = describe_environment(0)
    versions = found["packages"]
    beside = [f"{name} {versions[name]}" for name in ("mxnet", "mxnet-cu112", "gluoncv", "numpy") if name in versions]
    revision = f" ({found['revision']})" if found["revision"] else ""
    return f"gluon_liver {__version__}{revision}\nPython {platform.python_version()}, {', '.join(beside)}"
