"""An output folder that appears whole or not at all."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator

from gluon_liver.errors import InputError, RunError

from .lock import LOCK, LOCK_FILES, file_lock, locks_are_off

REPLACED = "-replaced"
DATA_ENTRIES = "dataset.json images import-report.json labels.json private splits.json studies".split()


def check_output(out: Path, source: Path, *, overwrite: bool) -> None:
    """Raise InputError unless `out` can be made and does not overlap `source`.

    With `overwrite`, an existing folder is replaced only if it is empty or a data folder (it has a
    dataset.json) in which nothing else was put: everything in it would be deleted.
    """
    real_out, real_source = Path(os.path.realpath(out)), Path(os.path.realpath(source))
    if real_out == real_source or real_source in real_out.parents:
        raise InputError(f"--out {out} lies inside the folder that is read; choose a folder outside of it")
    if real_out in real_source.parents:
        raise InputError(f"--out {out} contains the folder that is read; choose another folder")
    if os.path.lexists(out):
        if not out.is_dir():
            raise InputError(f"--out {out} exists and is no folder")
        if not overwrite:
            raise InputError(f"--out {out} exists; choose another folder, or replace it with --overwrite")
        if any(out.iterdir()) and not (out / "dataset.json").is_file():
            raise InputError(f"--out {out} is no data folder (it has no dataset.json), so --overwrite leaves it alone")
        foreign = sorted({path.name for path in out.iterdir()} - set(DATA_ENTRIES))
        if foreign:
            why = f"holds {foreign[0]!r}, which no import wrote, so --overwrite leaves the folder alone"
            raise InputError(f"--out {out} {why}; move it elsewhere first")
    elif not real_out.parent.is_dir():
        raise InputError(f"--out {out}: its parent folder does not exist")
    if not os.access(real_out.parent, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: its parent folder is not writable")


def check_new(out: Path, *, what: str = "folder") -> None:
    """Raise InputError when something has the name of what is to be made."""
    if os.path.lexists(out):
        raise InputError(f"--out {out} exists: choose another {what}")


def check_replaced(out: Path, mark: str, entries: str) -> None:
    """Raise InputError when a folder that is there would lose something: it has no file `mark`, or holds what
    does not match `entries`, a regular expression of paths below it.
    """
    if not os.path.lexists(out):
        return
    if not (out / mark).is_file():
        raise InputError(f"{out} has no {mark}, so no phantom command wrote it; it is not overwritten")
    paths = sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))
    foreign = [path for path in paths if not re.fullmatch(entries, path)]
    if foreign:
        why = f"{out} holds {foreign[0]!r}, which this command does not write"
        raise InputError(f"{why}; it is not overwritten: move that elsewhere")


def why_not_written(error: OSError) -> str:
    """The reason in words. NumPy reports a full disk as two counts, without an errno."""
    if error.strerror:
        return error.strerror
    if re.search(r"\d+ requested and \d+ written", str(error)):
        return f"writing stopped in the middle ({error}); the disk is probably full"
    return str(error)


@contextmanager
def whole_folder(out: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling of `out`, which takes its name at the end; on an error it is removed.

    A kill leaves the sibling `.<name>.importing-*` behind. Its lock dies with the process, so that the next
    import tells it from one that is at work, and removes it.
    """
    out = Path(os.path.realpath(out))
    prefix = f".{out.name}.importing-"
    for sibling in sorted(out.parent.iterdir()):
        if sibling.name.startswith(prefix):
            _remove_if_stale(sibling, out)
    temporary = _own_folder(out.parent, f"{prefix}{os.getpid()}")
    try:
        with file_lock(temporary / LOCK, busy=f"{out} is being written by {{user}}"):
            yield temporary
            for name in LOCK_FILES:
                (temporary / name).unlink(missing_ok=True)
            if os.path.lexists(out) and not replace:
                raise InputError(f"{out} has come into being meanwhile; choose another --out")
            replaced = temporary.with_name(temporary.name + REPLACED)
            if out.exists():
                os.rename(out, replaced)
            os.rename(temporary, out)
            if replaced.exists():
                shutil.rmtree(replaced)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _own_folder(parent: Path, name: str) -> Path:
    """A new folder of this name or, where a killed process with the same number left it, with a number behind it."""
    for number in itertools.count():
        folder = parent / (f"{name}-{number}" if number else name)
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError


def _remove_if_stale(folder: Path, out: Path) -> None:
    if folder.name.endswith(REPLACED) and not out.exists():
        # A kill fell between the two renames of an overwrite: the old data are still whole.
        os.rename(folder, out)
        return
    if locks_are_off():
        return  # nothing tells it from one that is at work
    try:
        with file_lock(folder / LOCK, busy=f"{folder} is being written by {{user}}"):
            shutil.rmtree(folder)
    except (OSError, RunError):
        pass  # Locked: another import is writing there. Anything else hinders that folder's owner only.
