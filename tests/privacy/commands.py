"""Runs commands of the program in a process of their own and keeps what they say."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def program(*arguments, folder, code=0):
    """Everything that a command prints. Its home, caches and temporary files lie below ``folder``/machine.

    code: how it has to end; None: as a check ends, with findings or without.
    """
    machine = Path(folder, "machine")
    places = {name: machine / name.lower() for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **{name: str(place) for name, place in places.items()}, "PYTHONPATH": str(ROOT)}
    environment.update(OMP_NUM_THREADS="1", PYTHONWARNINGS="default")
    command = [sys.executable, "-m", "gluon_liver", *map(str, arguments)]
    ended = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = ended.stdout.decode("utf-8", "replace")
    assert ended.returncode in ((0, 1) if code is None else (code,)), text
    return ended.stdout
