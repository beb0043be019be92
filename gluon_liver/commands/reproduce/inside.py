"""A command that another one runs, in its own process: errors are the outer one's to print."""

from __future__ import annotations

from typing import Sequence

from gluon_liver.commands.names import COMMANDS
from gluon_liver.commands.parser import module_of, parser_of
from gluon_liver.commands.paths import parents_made
from gluon_liver.system.command_line import typed_command

PROGRAM = "python -m gluon_liver"


def run_inside(words: Sequence[str]) -> int:
    """Run the command that ``words`` name, as typed behind the program's name; returns its exit code.

    Runs say that this was typed, for it gives the same. Raises what the command raises, and :class:`SystemExit` for
    options that it does not have.
    """
    names = next(tuple(words[:count]) for count in (2, 1) if tuple(words[:count]) in COMMANDS)
    args = parser_of(names).parse_args(list(words[len(names) :]))
    with typed_command([*PROGRAM.split(), *words]), parents_made(args):
        return int(module_of(names).run(args))
