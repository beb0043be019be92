"""Where a run is from and how it is repeated, for its page."""

from __future__ import annotations

import shlex
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from gluon_liver.config.differences import Difference, differences, paper_config
from gluon_liver.config.explain import as_yaml
from gluon_liver.config.load import load_config
from gluon_liver.config.schema import Config
from gluon_liver.report.tables.table import Table
from gluon_liver.system.command_line import command_text

_OLDER = "not written down by the version that did it"
_DIGITS = 12  # of a digest on the page; environment.json and results.json have all


class Provenance(NamedTuple):
    """facts: (name, value). differing: keys that are not the paper's; None where no row stands beside the run or
    nothing differs. commands: what repeats the run, a line each. note: what they need."""

    facts: List[Tuple[str, str]]
    differing: Optional[Table]
    commands: List[str]
    note: str


def provenance_of(
    results: Mapping[str, Any], environment: Mapping[str, Any], config: Optional[Config], *, imported: bool = False
) -> Provenance:
    """What environment.json and results.json say; what an older version did not write is told as such."""
    commands, needs = zip(*_commands(results, environment))
    note = " ".join(dict.fromkeys(filter(None, needs)))
    return Provenance(
        _facts(results, environment, "Imported" if imported else "Trained"), _differing(config), list(commands), note
    )


def _facts(results: Mapping[str, Any], environment: Mapping[str, Any], made: str) -> List[Tuple[str, str]]:
    evaluated = results.get("evaluated") or {}
    machine, packages = environment.get("machine") or {}, environment.get("packages") or {}
    digests = results["data"].get("digests") or {}
    configuration = environment.get("configuration") or {}
    names, changes = configuration.get("names") or [], configuration.get("set") or []
    parts = [f"{machine.get('cores')} cores" if machine.get("cores") else "", str(machine.get("processor") or "")]
    parts += [
        str(machine.get("system") or ""),
        f"{environment['threads']} threads" if environment.get("threads") else "",
    ]
    stack = [f"Python {environment['python']}"] if environment.get("python") else []
    stack += [f"{name} {packages[name]}" for name in ("mxnet", "mxnet-cu112", "gluoncv", "numpy") if name in packages]
    facts = [
        (f"{made} by", _version(environment)),
        (f"{made} on", environment.get("date") or _OLDER),
        ("Configuration", ", ".join(map(str, [*names, *changes])) or _OLDER),
        ("Seed", str(environment.get("seed", "-"))),
        ("Checkpoint", str(results.get("checkpoint", "-"))),
        ("Evaluated by", _version(evaluated)),
        ("Engine", _engine(results)),
        ("Evaluated on", evaluated.get("date") or _OLDER),
        ("Data", ", ".join(f"{name} {str(value)[:_DIGITS]}" for name, value in digests.items() if value) or _OLDER),
        ("Machine", ", ".join(part for part in parts if part) or "-"),
        ("Stack", ", ".join(stack) or "-"),
    ]
    return [(name, str(value)) for name, value in facts]


def _version(record: Mapping[str, Any]) -> str:
    known = [f"version {record['version']}"] if record.get("version") else []
    known += [f"revision {record['revision']}"] if record.get("revision") else []
    return "gluon_liver " + ", ".join(known) if known else _OLDER


def _engine(results: Mapping[str, Any]) -> str:
    """What computed the network, on what, and in which precision."""
    engine = results.get("engine") or {"name": "mxnet", "precision": results.get("precision")}
    graphs = f"{engine['graphs']} graphs" if engine.get("graphs") else ""
    name = " ".join(str(engine[part]) for part in ("name", "version") if engine.get(part))
    parts = [name, *(str(engine.get(part) or "") for part in ("provider", "device", "precision")), graphs]
    return ", ".join(part for part in parts if part)


def _differing(config: Optional[Config]) -> Optional[Table]:
    name = paper_config(config) if config else None
    if config is None or name is None:
        return None
    keys: Sequence[Difference] = differences(config, load_config(name))
    rows = [(one.key, as_yaml(one.first), as_yaml(one.second)) for one in keys]
    title = f"Keys with other values than {name}, the paper's size"
    return Table.of(title, ("key", "this run", name), rows) if rows else None


def _commands(results: Mapping[str, Any], environment: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """(command, what it needs) of training and of evaluation: as typed where that is known, else as they would be."""
    data, split = str(environment.get("data", "DATA")), str(results["split"])
    trained, evaluated = environment.get("command"), (results.get("evaluated") or {}).get("command")
    told = "As typed; give another --out: one that exists is refused, or with --resume gone on with."
    made = f"Run in the run's folder, with config.yaml as below and the data at {data}."
    lines: Dict[str, Tuple[str, str]] = {
        "train": (f"python train.py --config config.yaml --data {shlex.quote(data)} --out ../repeated", made),
        "evaluate": (f"python evaluate.py --run ../repeated --split {shlex.quote(split)}", ""),
    }
    for what, command in (("train", trained), ("evaluate", evaluated)):
        if isinstance(command, list) and command:
            words = (["python"] if str(command[0]).endswith(".py") else []) + command
            lines[what] = (command_text([str(word) for word in words]), told)
    return list(lines.values())
