"""Steps that are commands of the program: what stands in a manifest is what was done, word for word."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from gluon_liver.cluster import heartbeat
from gluon_liver.errors import RunError
from gluon_liver.files.atomic import write_text
from gluon_liver.system.command_line import command_text

from .steps import Step

PROGRAM = "python -m gluon_liver"
RunCommand = Callable[
    [Sequence[str]], int
]  # words after the program's name -> exit code; raises what the command raises
Words = Tuple[str, ...]


def words_of(*parts: object) -> Words:
    """The words of a command: texts are parted as a shell does, paths and lists of texts stay as they are."""
    words = []
    for part in parts:
        if isinstance(part, str):
            words += shlex.split(part)
        elif isinstance(part, (list, tuple)):
            words += [str(one) for one in part]
        else:
            words.append(str(part))
    return tuple(words)


def as_typed(words: Sequence[str]) -> str:
    """The command as one types it."""
    return command_text([*PROGRAM.split(), *words])


def _without(out: Path, word: str) -> str:
    """A word of a command, with OUT in place of the folder ``out`` where the word is a path in it."""
    path = Path(word)
    return f"OUT/{path.relative_to(out)}" if out != Path() and out in path.parents else word


def command_step(
    name: str,
    title: str,
    words: Callable[[], Words],
    run_command: RunCommand,
    *,
    out: Path,
    reads: str,
    outputs: Tuple[Path, ...],
    inputs: Optional[Callable[[], Mapping[str, Any]]] = None,
    fresh: Tuple[Path, ...] = (),
    printed: Optional[Path] = None,
    costly: bool = False,
) -> Step:
    """A step that is one command.

    words: of the command, asked for when the steps before are done. out: the folder of all steps. inputs: what the
    result depends on; by default the words, but for the name of ``out``, which may be moved. fresh: files and folders
    that the command makes and does not find there: leftovers of a call that was cut off are removed. printed: a file
    that gets what the command prints.
    """

    def said() -> Dict[str, Any]:
        return {"command": " ".join(_without(out, word) for word in words())}

    def run() -> Optional[Dict[str, Any]]:
        for path in fresh:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
        line, screen = words(), io.StringIO()
        with contextlib.redirect_stdout(screen) if printed else contextlib.nullcontext():
            code = run_command(line)
        if code == heartbeat.AGAIN:
            return None
        if code:
            raise RunError(f"{as_typed(line)} ended with code {code}")
        if printed:
            printed.parent.mkdir(exist_ok=True)
            write_text(printed, screen.getvalue())
        return {"command": as_typed(line)}

    return Step(name, title, reads, outputs, inputs or said, run, costly)
