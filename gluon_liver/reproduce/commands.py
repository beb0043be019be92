"""Steps that are commands of the program: what stands in a manifest is what was done, word for word."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from gluon_liver.cluster import heartbeat
from gluon_liver.errors import RunError

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
    return " ".join([PROGRAM, *map(shlex.quote, words)])


def command_step(
    name: str,
    title: str,
    words: Words,
    run_command: RunCommand,
    *,
    out: Path,
    reads: str,
    outputs: Tuple[Path, ...],
    inputs: Callable[[], Mapping[str, Any]] = dict,
    fresh: Tuple[Path, ...] = (),
    costly: bool = False,
) -> Step:
    """A step that is one command.

    out: the folder of all steps, which what is remembered of the command does not name: it may be moved. inputs: what
    the result depends on beside the command. fresh: files and folders that the command makes and does not find there:
    leftovers of a call that was cut off are removed.
    """

    def all_inputs() -> Dict[str, Any]:
        said = " ".join(word.replace(str(out), "OUT") for word in words)
        return {"command": said, **inputs()}

    def run() -> Optional[Dict[str, Any]]:
        for path in fresh:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        code = run_command(words)
        if code == heartbeat.AGAIN:
            return None
        if code:
            raise RunError(f"{as_typed(words)} ended with code {code}")
        return {"command": as_typed(words)}

    return Step(name, title, reads, outputs, all_inputs, run, costly)
