"""Runs commands of the program in a process of their own and keeps what they say."""

import json
import os
from pathlib import Path

from tests.conftest import TINY
from tests.in_turn import in_turn


def narrow():
    """A configuration whose files of parameters are soon searched."""
    tree = json.loads(json.dumps(TINY))
    tree["network"]["width"] = 0.0625
    return tree


def programs(*commands, folder):
    """Everything that the commands print, one after the other; each has to end with 0.

    The process's home, caches and temporary files lie below ``folder``/machine.
    """
    machine = Path(folder, "machine")
    places = {name: machine / name.lower() for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **{name: str(place) for name, place in places.items()}}
    # every warning, also one that another command had before
    environment.update(OMP_NUM_THREADS="1", PYTHONWARNINGS="always")
    said = b""
    for words, ended in zip(commands, in_turn(commands, folder=folder, environment=environment)):
        text = ended.out + ended.err
        assert ended.code == 0, (words, text.decode("utf-8", "replace"))
        said += text
    return said
