"""The command line: one module a command, each with ``add_arguments(parser)`` and ``run(args) -> exit code``.

Modules are imported when their command is asked for, so that ``doctor`` works where MXNet does not.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Optional, Sequence

from gluon_liver.cluster import heartbeat
from gluon_liver.errors import GluonLiverError, InputError
from gluon_liver.files.lock import without_locks
from gluon_liver.system.command_line import typed_command
from gluon_liver.system.interrupts import quiet_imports
from gluon_liver.system.terminal import plain_warnings, set_quiet

from .names import COMMANDS as COMMANDS
from .names import GROUPS, Words
from .parser import module_of
from .parser import parser_of as parser_of
from .paths import check_apart, check_paths, check_there, parents_made
from .usage import command_words, group_usage, unknown, usage, version_text

GRACE_SECONDS = 5.0  # that the others of a job get to write down what ended their training


def console() -> int:
    """The console script ``gluon-liver``; a shell that completes a line calls it too."""
    if "_ARGCOMPLETE" in os.environ:
        from .completion import complete

        complete()
    return main(sys.argv[1:], program=Path(sys.argv[0]).name)


def main(arguments: Sequence[str], *, program: str = "python -m gluon_liver") -> int:
    """Run the command that ``arguments`` name; returns the exit code (2 bad input, 3 training failed)."""
    given = list(arguments)
    quiet = [given.pop(0)] if given[:1] and given[0] in ("-q", "--quiet") else []
    words = command_words(given)
    if words is not None:
        return run_command(words, [*quiet, *given[len(words) :]], program=" ".join([program, *words]))
    if given[:1] == ["--version"]:
        print(version_text())
        return 0
    if not given or given[0] in ("-h", "--help"):
        print(usage(program))
        return 0 if given else 2
    if given[0] in GROUPS and given[1:2] and given[1] in ("-h", "--help"):
        print(group_usage(given[0], program))
        return 0
    print(f"error: {unknown(given, program)}", file=sys.stderr)
    return 2


def run_command(words: Words, arguments: Sequence[str], *, program: str) -> int:
    """Parse ``arguments`` for one command and run it, turning expected errors into messages."""
    try:
        with quiet_imports(), plain_warnings(), typed_command([*program.split(), *arguments]):
            _let_any_letter_be_printed()
            return _parse_and_run(words, arguments, program)
    except BaseException as error:
        if isinstance(error, SystemExit) and not _of_an_import(error):  # of argparse
            raise
        code = print_expected(error)
        if code is None and heartbeat.launched():
            traceback.print_exc()
        # Here, while the error still holds the KVStore: where it is freed the other workers abort. They fail together
        # where training fails, and each may keep its batch before the first one ends the job.
        heartbeat.leave(1 if code is None else code, grace=GRACE_SECONDS if code == 3 else 0.0)
        if code is None:
            raise
        return code


def _of_an_import(error: BaseException) -> bool:
    """Whether an import was going on; looks at frames alone, for help needs none of what tells more."""
    return any(frame.f_code.co_name == "<module>" for frame, _ in traceback.walk_tb(error.__traceback__))


def _parse_and_run(words: Words, arguments: Sequence[str], program: str) -> int:
    args = parser_of(words, prog=program).parse_args(list(arguments))
    set_quiet(args.quiet)
    check_paths(args)
    check_there(args)
    check_apart(args)
    with without_locks() if getattr(args, "no_lock", False) else nullcontext(), parents_made(args):
        return int(module_of(words).run(args))


def _let_any_letter_be_printed() -> None:
    """Names of classes are in any language and those of files may be no text: a terminal that cannot show one gets
    escapes instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_expected(error: BaseException) -> Optional[int]:
    """Print what an expected error says; returns its exit code, None for an error that is a defect of the program."""
    if isinstance(error, GluonLiverError):
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 3
    unusable = _failed_import(error)
    if unusable:
        print(f"error: {unusable}", file=sys.stderr)
        return 2
    if isinstance(error, OSError):
        # the disk, a permission or a path of the user's: no defect of the program
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    return None


def _failed_import(error: BaseException) -> str:
    from gluon_liver.system.packages import failed_import  # here: help needs none of it

    return failed_import(error)
