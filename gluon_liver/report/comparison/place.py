"""Where a comparison's page goes that is given no folder: beside the first run's report."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any, List, Sequence

from gluon_liver.errors import GluonLiverError
from gluon_liver.files.json_records import read_json

FOLDER, RECORD = "comparisons", "comparison.json"
TRUTH = "truth.json"  # of a scored run, see .scored


def default_folder(folders_a: Sequence[Path], folders_b: Sequence[Path]) -> Path:
    """RUN_A/comparisons/RUN_B; where that holds another comparison, RUN_B-2 and so on.

    Of several runs an arm the names say how many.
    """
    first, other = folders_a[0].resolve(), folders_b[0].resolve()
    name = other.name if other.name != first.name else f"{other.parent.name}-{other.name}"
    if len(folders_a) > 1 or len(folders_b) > 1:
        name = f"{len(folders_a)}-runs-and-{len(folders_b)}-of-{name}"
    runs = [sorted(relative(folders, first)) for folders in (folders_a, folders_b)]
    for number in itertools.count(1):
        folder = folders_a[0] / FOLDER / (name if number == 1 else f"{name}-{number}")
        if not os.path.lexists(folder) or _runs_of(folder) == runs:
            return folder
    raise AssertionError("unreachable")


def relative(folders: Sequence[Path], first: Path) -> List[str]:
    """Run folders as seen from the first run's, with slashes."""
    return [Path(os.path.relpath(folder.resolve(), first.resolve())).as_posix() for folder in folders]


def _runs_of(folder: Path) -> List[List[str]]:
    """The runs of either arm whose comparison a folder holds; none where it holds something else."""
    try:
        found: Any = read_json(folder / RECORD)
        return [sorted(str(run["folder"]) for run in found[letter]) for letter in ("a", "b")]
    except (GluonLiverError, KeyError, TypeError):
        return []
