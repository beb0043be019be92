"""The checkpoints of a run folder: which there are, the best, the newest intact one, and how old ones go.

A folder is written as NAME.partial and taken away as NAME.removed, so what bears a checkpoint's name is complete
whenever the process is killed. What is in one is :mod:`.checkpoint`'s; this module does without MXNet.
"""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Collection, Dict, List, Optional, Tuple

from gluon_liver.errors import RunError
from gluon_liver.files.atomic import PARTIAL, sync
from gluon_liver.files.json_records import read_record

from .fault_points import fault_point
from .manifest import MANIFEST, STATE, DamageError, verified
from .run import CHECKPOINT, Run

REMOVED = ".removed"
BEST = "best.json"  # of a run folder: which checkpoint is the best
NO_BEST = "delete it to use the newest checkpoint"
REMEDY = "delete that folder to use the checkpoint before it, or train again"


@dataclass(frozen=True)
class Best:
    """What best.json says: the checkpoint by name, its COCO mAP, and the split that was scored."""

    checkpoint: str
    map: float
    split: str


def checkpoint_name(step: int) -> str:
    """Of the folder of a checkpoint after ``step`` updates."""
    return f"step-{step:08d}"


def newest_checkpoint(folder: Path) -> Path:
    """The last complete checkpoint of a run. Raises :class:`RunError` when there is none."""
    checkpoints = checkpoints_of(folder)
    if not checkpoints:
        raise RunError(f"no checkpoint in {folder}: the run was not trained to its first checkpoint")
    return checkpoints[0]


def chosen_checkpoint(run: Run) -> Path:
    """The best checkpoint of a run that chose one, else the newest. Raises :class:`RunError` when there is none."""
    best = read_best(run)
    if best is None:
        return newest_checkpoint(run.checkpoints)
    path = run.checkpoints / Path(best.checkpoint).name
    if path.name != best.checkpoint or not CHECKPOINT.fullmatch(path.name) or not path.is_dir():
        raise RunError(f"{run.folder / BEST} names {path.name}, which is not there: {NO_BEST}")
    return path


def read_best(run: Run) -> Optional[Best]:
    """What best.json of a run says, None where it has none. Raises :class:`RunError` when it is damaged."""
    path = run.folder / BEST
    if not path.exists():
        return None
    return read_record(Best, path, error=RunError, remedy=NO_BEST)


def newest_intact(folder: Path, *, resumable: bool = False) -> Tuple[Optional[Path], List[str]]:
    """The newest checkpoint whose files are what its manifest says, or None; and why newer ones were passed over.

    With ``resumable``, those without a training state are passed over too.
    """
    passed = []
    for path in checkpoints_of(folder):
        try:
            manifest = verified(path)
        except DamageError as damage:
            passed.append(f"{path.name}: {damage}")
            continue
        if not resumable or STATE in manifest["files"]:
            return path, passed
        passed.append(f"{path.name}: it holds no training state")
    return None, passed


def resumable_files(path: Path) -> Collection[str]:
    """The files of a checkpoint with a training state, which are all what its manifest says.

    Raises :class:`RunError` when one is missing or damaged, or the checkpoint was saved without a state.
    """
    listed: Dict[str, Any] = read_manifest(path)["files"]
    if STATE not in listed:
        raise RunError(f"{path} holds no training state: it can be evaluated, but not resumed from")
    return listed


def prune(folder: Path, *, keep: int, spare: Collection[str] = (), step: Optional[int] = None) -> List[Path]:
    """Remove all checkpoints but the newest ``keep`` intact ones and those named in ``spare``; returns the removed.

    With ``step``, which the run is at, later ones go too: they are of a part of the run that was left for an earlier
    checkpoint.

    Also clears away what a killed process left half-written or half-removed. Reads ``keep`` checkpoints whole: a
    damaged one must not crowd out a good one. Raises :class:`RunError` when one cannot be removed.
    """
    checkpoints = checkpoints_of(folder)
    standing = [path for path in checkpoints if step is None or path.name <= checkpoint_name(step)]
    intact = list(itertools.islice(filter(_is_intact, standing), keep))
    # where none is intact, a disk that cannot be read just now is likelier than that all are lost
    surplus = [path for path in checkpoints if path not in intact and path.name not in spare] if intact else []
    try:
        for path in surplus:
            remove_checkpoint(path)
        for path in folder.glob("step-*"):
            if path.name.endswith((PARTIAL, REMOVED)):
                shutil.rmtree(str(path))
    except OSError as error:
        raise RunError(f"{folder}: an old checkpoint cannot be removed ({error})") from error
    return surplus


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint; whatever stops that half-way, nothing incomplete bears its name."""
    aside = _set_aside(path)
    sync(path.parent)
    fault_point("checkpoint.pruned")
    shutil.rmtree(str(aside))


def checkpoints_of(folder: Path) -> List[Path]:
    """The checkpoints of a run, whole or damaged, newest first."""
    return sorted((path for path in folder.glob("*") if CHECKPOINT.fullmatch(path.name)), reverse=True)


def read_manifest(path: Path, *names: str) -> Dict[str, Any]:
    try:
        return verified(path, *names)
    except DamageError as damage:
        raise RunError(f"{path}: {damage}; {REMEDY}") from damage


def _is_intact(path: Path) -> bool:
    try:
        return bool(verified(path))
    except DamageError:
        return False


def put_in_place(partial: Path, target: Path) -> None:
    before = None
    if target.exists():
        # nothing to gain, and between two renames the name would be gone for a moment
        if _is_intact(target) and (target / MANIFEST).read_bytes() == (partial / MANIFEST).read_bytes():
            return
        before = _set_aside(target)
    os.rename(str(partial), str(target))
    fault_point("checkpoint.renamed")
    sync(target.parent)
    if before is not None:
        shutil.rmtree(str(before))


def _set_aside(path: Path) -> Path:
    aside = path.with_name(path.name + REMOVED)
    shutil.rmtree(str(aside), ignore_errors=True)
    os.rename(str(path), str(aside))
    return aside
