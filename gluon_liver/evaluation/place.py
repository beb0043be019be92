"""What an evaluation writes, and the folders that it may write to, asked before anything that computes is imported."""

from __future__ import annotations

import os
from pathlib import Path

from gluon_liver.errors import InputError
from gluon_liver.files.lock import HOLDER
from gluon_liver.report.comparison import place as comparisons
from gluon_liver.report.comparison.place import TRUTH
from gluon_liver.runs.run import Run
from gluon_liver.runs.tensorboard import FOLDER as BOARD

COPIED = ("config.yaml", "environment.json", "log.jsonl")  # of a run, to where it is evaluated
WRITTEN = ("overlays", "detections.json", TRUTH, "figures", "tables", "report.html", "results.json")  # in this order
FOLDER = ".evaluating"
LOCKED = FOLDER + ".lock"


def check_out(run: Run, out: Path) -> None:
    """Raise :class:`InputError` for a folder that is not the run's and holds something else: another run that was
    trained, data, or files of the user's."""
    if out == run.folder:
        return
    if os.path.lexists(out) and not out.is_dir():
        raise InputError(f"--out {out} exists and is no folder")
    known = {*COPIED, *WRITTEN, FOLDER, LOCKED, LOCKED + HOLDER, comparisons.FOLDER, BOARD}
    foreign = sorted(path.name for path in out.iterdir() if path.name not in known) if out.is_dir() else []
    if foreign:
        raise InputError(f"--out {out} holds {foreign[0]!r}, which no evaluation wrote; choose another folder")
