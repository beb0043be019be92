"""zoo.yaml: trained nets with what makes them again."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

from gluon_liver.errors import ConfigError, InputError
from gluon_liver.files.json_records import read_yaml
from gluon_liver.files.typed import build, limited, one_of

ZOO_FILE = Path(__file__).parent / "zoo.yaml"


@dataclass(frozen=True)
class Net:
    """What makes one net, and what it was when it was made: see zoo.yaml.

    phantoms, import_, training: options of a command, as typed. flow: the net whose flow it is trained with. minutes:
    of all commands on the machine of zoo.yaml. metrics: name -> value as printed. revision: of the code that made it.
    """

    task: str = limited("ct", one_of("ct", "us", "flow"))
    title: str = ""
    phantoms: str = ""
    import_: str = ""
    training: str = ""
    config: List[str] = field(default_factory=list)
    set: List[str] = field(default_factory=list)
    seed: int = 0
    flow: Optional[str] = None
    minutes: int = 0
    sha256: Optional[str] = None
    metrics: Dict[str, str] = field(default_factory=dict)
    revision: Optional[str] = None


@dataclass(frozen=True)
class Machine:
    """Where the digests of zoo.yaml were made."""

    processor: str
    instructions: str
    threads: int
    packages: Dict[str, str]


@functools.lru_cache(maxsize=None)
def read_zoo() -> Dict[str, Net]:
    """The nets by name, in the order of the file."""
    return {name: _net(name, one) for name, one in _read()["nets"].items()}


def zoo_machine() -> Machine:
    """Where the digests were made."""
    return build(Machine, _read()["machine"], where=str(ZOO_FILE), error=ConfigError)


def find_net(name: str) -> Net:
    """The net of that name. Raises :class:`InputError` that lists the names."""
    nets = read_zoo()
    if name not in nets:
        raise InputError(f"the zoo has no net {name!r}: it has {', '.join(nets)}")
    return nets[name]


def _net(name: str, entry: Dict[str, Any]) -> Net:
    told = {"import_" if key == "import" else key: value for key, value in entry.items()}
    return build(Net, told, where=f"{ZOO_FILE}: {name}", error=ConfigError, refuse_unknown=True)


def _read() -> Dict[str, Any]:
    tree: Dict[str, Any] = read_yaml(ZOO_FILE, error=ConfigError)
    return tree
