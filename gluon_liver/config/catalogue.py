"""The packaged configurations by name: what each one is, and which of them are laid over others.

An **experiment** is a whole configuration; a **fragment** names no model and is laid over one; a **base** is what
experiments share. The first line of each file, a comment, says what it is.
"""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Optional

from gluon_liver.errors import ConfigError

CONFIG_FOLDER = Path(__file__).parent / "experiments"
SET_FOLDER = Path(__file__).parent / "sets"  # of public data: what each set asks of a row, and rows on it
EXPERIMENT, FRAGMENT, BASE = "experiment", "fragment", "base"
READINGS = ("-centre", "-channels", "-1x7x7")  # endings of experiments that read a row otherwise
LISTED = "`python -m gluon_liver config list` says what each is"


def config_names() -> List[str]:
    """Names that ``--config`` takes for any data: rows, readings of them, demos and what is laid over them."""
    return _names(CONFIG_FOLDER)


def set_config_names() -> List[str]:
    """Names that ``--config`` takes for public sets: ``on-SET`` to lay over a row, ``SET-ROW`` with both in one."""
    return _names(SET_FOLDER)


def _names(folder: Path) -> List[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


@lru_cache(maxsize=None)
def _text(name: str) -> Optional[str]:
    paths = [folder / f"{name}.yaml" for folder in (CONFIG_FOLDER, SET_FOLDER)]
    return next((path.read_text(encoding="utf-8") for path in paths if path.is_file()), None)


def kind_of(name: str) -> str:
    """:data:`EXPERIMENT`, :data:`FRAGMENT` or :data:`BASE`, of a packaged configuration."""
    return BASE if name.startswith("base-") else EXPERIMENT if _names_a_model(name) else FRAGMENT


def _names_a_model(name: str) -> bool:
    text = _text(name) or ""
    below = re.search(r"^BASE: *(.+?)(?: *#.*)?$", text, re.MULTILINE)
    bases = re.findall(r"[^\s,\[\]]+", below.group(1)) if below else []
    own = re.search(r"^model:", text, re.MULTILINE) is not None
    return own or any(_names_a_model(base.replace(".yaml", "")) for base in bases)


def check_experiment(name: str) -> None:
    """Raise :class:`ConfigError` for a packaged fragment: by itself it would train the schema's defaults."""
    if _text(name) is not None and kind_of(name) == FRAGMENT:
        what = "is laid over an experiment and is none itself"
        raise ConfigError(f"{name} {what}: name one first, e.g. --config r50 {name}; {LISTED}")


def described(name: str) -> str:
    """What a packaged configuration is, in one line."""
    return (_text(name) or "").splitlines()[0].lstrip("# ").rstrip(".")


def by_kind() -> Dict[str, List[str]]:
    """Kind -> names of all packaged configurations, those of public sets behind the others."""
    found: Dict[str, List[str]] = {EXPERIMENT: [], FRAGMENT: [], BASE: []}
    for name in [*config_names(), *set_config_names()]:
        found[kind_of(name)].append(name)
    return found


def choices_text() -> str:
    """Experiments and fragments, apart and short, for help and messages."""
    kinds = by_kind()
    rows = [name for name in kinds[EXPERIMENT] if not name.endswith(READINGS) and not name.startswith("deeplesion")]
    more = len(kinds[EXPERIMENT]) - len(rows)
    fragments = ", ".join(name for name in config_names() if kind_of(name) == FRAGMENT)
    sets = "of public sets on-lits and so on"
    return f"experiments {', '.join(rows)} and {more} more; laid over one: {fragments}, {sets}; {LISTED}"


def name_help(name: str) -> str:
    """What to do instead of a name that there is not, to be put behind it: names like it, or else all of them."""
    near = difflib.get_close_matches(name.lower(), [*config_names(), *set_config_names()], n=2, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}? {LISTED}"
    return f": give a path to a YAML file or one of these: {choices_text()}"
