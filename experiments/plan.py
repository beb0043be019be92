"""From claims to runs: what each needs, what identifies it, and in which order they are made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from gluon_liver.errors import InputError

from .spec import Claim

TEST_SEED = 0  # of the phantoms that all runs of a condition are scored on; training phantoms have the run's seed
FLOW_SEED = 1000


def digest(value: Any) -> str:
    """16 hex digits of a plain value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


@dataclass(frozen=True, order=True)
class Key:
    """What a run is called: claim/condition/arm/seed."""

    claim: str
    condition: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.claim}/{self.condition}/{self.arm}/{self.seed}"


@dataclass(frozen=True)
class DataSet:
    """Phantoms of one seed, imported. split: "train" or "test", which all of their patients are in."""

    task: str
    split: str
    count: int
    seed: int
    phantom: str  # options of the command, as JSON
    prepare: str

    @property
    def name(self) -> str:
        """Of its folder: equal for sets that are equal, whichever claims and conditions use them."""
        return f"{self.split}-{self.seed}-{digest(asdict(self))}"


@dataclass(frozen=True)
class FlowTraining:
    """The flow net of a claim."""

    scenes: int
    frames: int
    steps: int
    phantom: str

    @property
    def name(self) -> str:
        return f"flow-{digest(asdict(self))}"


@dataclass(frozen=True)
class PlannedRun:
    """One training and its evaluation."""

    key: Key
    config: str
    overrides: Tuple[str, ...]
    train: DataSet
    test: DataSet
    flow: Optional[FlowTraining]
    evaluate: Tuple[str, ...]  # options of evaluate.py
    pilot_seconds: Optional[float]

    @property
    def setting(self) -> str:
        """Digest of all that the claim's file says of the run; a record of another one is of another experiment."""
        data = [asdict(self.train), asdict(self.test), self.flow and asdict(self.flow)]
        return digest([self.config, list(self.overrides), self.key.seed, data, list(self.evaluate)])

    @property
    def needs(self) -> List[Any]:
        """Data sets and the flow net, in the order in which they are made."""
        return [self.test, self.train, *([self.flow] if self.flow else [])]


def plan_runs(claims: Mapping[str, Claim], only: Sequence[str] = ()) -> List[PlannedRun]:
    """All runs of the claims, the first seed of every arm before any second one.

    only: claim, claim/condition, claim/condition/arm or claim/condition/arm/seed; without any, all. Raises
    :class:`InputError` for one that no run is of.
    """
    runs = [
        _planned(claim, condition, arm, seed)
        for claim in claims.values()
        for condition in claim.conditions
        for arm in claim.arms_of(condition)
        for seed in claim.seeds
    ]
    order = {claim: number for number, claim in enumerate(claims)}
    runs.sort(key=lambda run: (claims[run.key.claim].seeds.index(run.key.seed), order[run.key.claim]))
    for prefix in only:
        if not any(_within(run.key, prefix) for run in runs):
            raise InputError(f"--only {prefix}: no run is called so; the claims are {', '.join(claims)}")
    return [run for run in runs if not only or any(_within(run.key, prefix) for prefix in only)]


def needed(runs: Iterable[PlannedRun]) -> List[str]:
    """Names of what the runs need."""
    return list(dict.fromkeys(need.name for run in runs for need in run.needs))


def arguments(options: Mapping[str, Any]) -> List[str]:
    """Options of a command: {"steep-vessels": [8, 14], "regrid": True} -> --steep-vessels 8 14 --regrid."""
    words: List[str] = []
    for name, value in options.items():
        words.append(f"--{name}")
        if value is not True:
            words += map(str, value if isinstance(value, (list, tuple)) else [value])
    return words


def _within(key: Key, prefix: str) -> bool:
    return f"{key}/".startswith(prefix.rstrip("/") + "/")


def _planned(claim: Claim, condition_name: str, arm_name: str, seed: int) -> PlannedRun:
    condition, arm = claim.conditions[condition_name], claim.arms[arm_name]
    options: Dict[str, str] = {
        kind: json.dumps({**getattr(claim.data, kind), **getattr(condition, kind)}, sort_keys=True)
        for kind in ("phantom", "prepare")
    }
    task, flow = claim.data.task, None
    if arm.flow and claim.flow_net is not None:
        net = claim.flow_net
        flow = FlowTraining(net.scenes, net.frames, net.steps, json.dumps(net.phantom, sort_keys=True))
    return PlannedRun(
        Key(claim.claim, condition_name, arm_name, seed),
        arm.config,
        (*claim.set, *condition.set, *arm.set),
        DataSet(task, "train", claim.data.train, seed, **options),
        DataSet(task, "test", claim.data.test, TEST_SEED, **options),
        flow,
        tuple(arguments(claim.evaluate)),
        arm.seconds,
    )
