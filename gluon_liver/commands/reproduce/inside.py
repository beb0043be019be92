"""A command that another one runs, in its own process: errors are the outer one's to print."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

from gluon_liver.commands.names import COMMANDS
from gluon_liver.commands.parser import module_of, parser_of
from gluon_liver.commands.paths import parents_made
from gluon_liver.reproduce.commands import PROGRAM
from gluon_liver.system.command_line import typed_command


def run_inside(words: Sequence[str], *, inside: Optional[Path] = None) -> int:
    """Run the command that ``words`` name, as typed behind the program's name; returns its exit code.

    Runs say that this was typed, for it gives the same: in the folder ``inside``, whose own path, which is of the
    machine, they leave out. Raises what the command raises, and :class:`SystemExit` for
    options that it does not have.
    """
    names = next(tuple(words[:count]) for count in (2, 1) if tuple(words[:count]) in COMMANDS)
    args = parser_of(names).parse_args(list(words[len(names) :]))
    typed = list(words) if inside is None else [_within(inside, word) for word in words]
    with typed_command([*PROGRAM.split(), *typed]), parents_made(args):
        return int(module_of(names).run(args))


def _within(folder: Path, word: str) -> str:
    """A word of a command as it is typed in the folder: what lies in it by its path from there."""
    path = Path(word)
    return str(path.relative_to(folder)) if folder in path.parents else word
