"""Where the run of a net of the zoo lies: what ``--run zoo:NAME`` and ``load_detector("zoo:NAME")`` open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Union

from gluon_liver import __version__
from gluon_liver.config.zoo import Net, find_net
from gluon_liver.errors import RunError

ZOO = "zoo:"
FOLDER = "GLUON_LIVER_ZOO"  # environment variable: the folder that holds the nets
CHECKOUT = Path(__file__).resolve().parents[2]
RELEASE = "weights"  # of a checkout, which `make weights` makes


def resolve_run(run: Union[str, Path]) -> Path:
    """The folder of a run: that of a finished net for ``zoo:NAME``, else the path itself.

    Looks in $GLUON_LIVER_ZOO, the cache and ``weights/`` of a checkout, in this order. Raises :class:`InputError` for
    a name that the zoo does not have and :class:`RunError` for a net that is not there, with the command that makes it.
    """
    text = str(run)
    if not text.startswith(ZOO):
        return Path(run)
    name = text[len(ZOO) :]
    net, folders = find_net(name), zoo_folders()
    for folder in folders:
        if is_made(folder / name, net):
            if net.task == "flow":
                raise RunError(f"{text} is a flow net and no run: give train.py --flow {flow_file(folder / name)}")
            return folder / name
    looked = ", ".join(map(str, folders))
    make = f"`make weights ZOO={name}` in a checkout, or `python -m gluon_liver weights {name}`"
    raise RunError(f"{text} was not made yet: looked in {looked}; {make} makes it, in about {net.minutes} minutes")


def zoo_folders() -> List[Path]:
    """Where nets are looked for, the first first."""
    own = os.environ.get(FOLDER)
    return [*([Path(own)] if own else []), cache_folder(), *([CHECKOUT / RELEASE] if is_checkout() else [])]


def made_in() -> Path:
    """Where nets are made when nothing else is asked for."""
    return zoo_folders()[0]


def cache_folder() -> Path:
    """Of the user's nets of this version: below $XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("XDG_CACHE_HOME")
    return (Path(own) if own else Path.home() / ".cache") / "gluon_liver" / "zoo" / __version__


def is_checkout() -> bool:
    """Whether the package runs from a checkout and not from where pip put it."""
    return (CHECKOUT / "Makefile").is_file() and (CHECKOUT / "setup.py").is_file()


def is_made(folder: Path, net: Net) -> bool:
    """Whether a folder holds a finished net: evaluation and train-flow write results.json last."""
    return (folder / "results.json").is_file() and (net.task == "flow" or (folder / "config.yaml").is_file())


def flow_file(folder: Path) -> Path:
    """The parameters of a flow net."""
    return folder / "flow.params"
