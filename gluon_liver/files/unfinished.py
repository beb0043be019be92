"""An output folder that is made in parts, and gone on with where it was interrupted."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from gluon_liver.errors import InputError

from .lock import LOCK, LOCK_FILES, file_lock
from .output_folder import REPLACED

UNFINISHED = ".unfinished"
PARTS = "parts"  # the folder in it that says which parts are done


@contextmanager
def unfinished_folder(out: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield ``out`` + :data:`UNFINISHED`, a folder with what an interrupted run left there; at the end it becomes
    ``out``, without its folder :data:`PARTS`, in which each finished part has a .json file.

    On an error, and where the process is killed, it stays; one without a finished part is removed. Raises
    :class:`RunError` where another process writes in it, and OSError.
    """
    out = Path(os.path.realpath(out))
    folder = out.with_name(out.name + UNFINISHED)
    replaced = out.with_name(f".{out.name}{REPLACED}")
    if replaced.exists() and not out.exists():
        os.rename(replaced, out)  # a kill fell between the two renames below: the old data are still whole
    folder.mkdir(exist_ok=True)
    with file_lock(folder / LOCK, busy=f"{folder} is being written by {{user}}"):
        (folder / PARTS).mkdir(mode=0o700, exist_ok=True)
        try:
            yield folder
        except BaseException:
            if not any((folder / PARTS).glob("*.json")):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if os.path.lexists(out) and not replace:
            raise InputError(f"{out} has come into being meanwhile; choose another --out")
        shutil.rmtree(folder / PARTS)
        for name in LOCK_FILES:
            (folder / name).unlink(missing_ok=True)
        if out.exists():
            os.rename(out, replaced)
        os.rename(folder, out)
        shutil.rmtree(replaced, ignore_errors=True)
