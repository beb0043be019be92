"""Where a listing may go: asked before anything that reads or draws is imported."""

from __future__ import annotations

import os
from pathlib import Path

from gluon_liver.errors import InputError
from gluon_liver.files.output_folder import check_output


def check_new_folder(out: Path, source: Path) -> None:
    """Raise InputError unless a listing of ``source`` can be written to ``out``."""
    if os.path.lexists(out):
        raise InputError(f"--out {out} exists; choose another folder: a phase file that was filled in is not replaced")
    if source.is_dir():
        check_output(out, source, overwrite=False)
