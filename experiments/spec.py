"""A claim as its YAML file states it before any run: arms, conditions, seeds, one endpoint, the rule of the verdict.

Unknown keys are refused, and so are names that nothing has: a comparison of an arm that is not there, say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Tuple

from gluon_liver.errors import InputError
from gluon_liver.files.json_records import read_yaml
from gluon_liver.files.typed import ONE_OR_MORE, Rules, above, at_least, build, limited, matching, required

FOLDER = Path(__file__).parent
CLAIMS = ("depth", "slices", "fusion", "phases", "flow")  # in the order of the papers
LEAST_SEEDS = 5
NAME = matching(r"[a-z0-9][a-z0-9.-]*", "small letters, digits, dots and hyphens")
Options = Dict[str, Any]  # of phantoms, as their commands call them: steep-vessels: [8, 14]


@dataclass(frozen=True)
class Paper:
    """What the paper says: the sentence as printed, and where it stands."""

    sentence: str
    place: str


@dataclass(frozen=True)
class Data:
    """Phantoms of a task. train: studies (CT) or scenes (ultrasound) that a seed trains on, other ones for each seed;
    test: those that all runs of a condition are scored on.
    """

    task: Literal["ct", "us"]
    train: int = required(at_least(1))
    test: int = required(at_least(1))
    phantom: Options = field(default_factory=dict)
    prepare: Options = field(default_factory=dict)  # further options of `import`


@dataclass(frozen=True)
class FlowNet:
    """The flow net of arms that need one: trained once, on phantoms of its own."""

    scenes: int = required(at_least(1))
    frames: int = required(at_least(2))
    steps: int = required(at_least(1))
    phantom: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Condition:
    """Where the arms are compared. mechanism: whether the data, or the training, hold what the claim rests on."""

    text: str
    mechanism: bool
    phantom: Options = field(default_factory=dict)
    prepare: Options = field(default_factory=dict)
    set: List[str] = field(default_factory=list)
    arms: Optional[List[str]] = limited(None, ONE_OR_MORE)  # those that are run here; null for all


@dataclass(frozen=True)
class Arm:
    """What is trained: a configuration, and what is set in it after what is set for the claim and the condition."""

    text: str
    config: str
    set: List[str] = field(default_factory=list)
    flow: bool = False  # whether it starts with the flow net
    seconds: Optional[float] = limited(None, above(0))  # of one run, as the pilots took; for the estimate alone


@dataclass(frozen=True)
class Endpoint:
    """A share, 0 to 1.

    path: a key of the summary in results.json, ap50.mean say; an entry with an interval stands for its value.

    Several with " + " between them stand for their mean.
    """

    path: str
    text: str


@dataclass(frozen=True)
class Comparison:
    """``arm`` minus ``against`` in one condition, seed by seed.

    role: the claim itself (``claim``), where it must not show (``control``), further (``secondary``), or thought of
    when runs were in (``afterwards``), which no verdict and no Holm's P may know. expects: what the paper, or the
    mechanism, lets expect of the difference.
    """

    condition: str
    arm: str
    against: str
    role: Literal["claim", "control", "secondary", "afterwards"]
    expects: Literal["higher", "lower", "same"]
    endpoint: Optional[str] = None  # path; null for the claim's own endpoint
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """One file of experiments/. smallest: the smallest difference worth speaking of, see :mod:`.verdict`.

    afterwards: endpoints of comparisons that were added when runs were in.
    """

    title: str
    paper: Paper
    question: str
    data: Data
    set: List[str]
    endpoint: Endpoint
    rule: str
    claim: str = required(NAME)
    smallest: float = required(above(0))
    conditions: Dict[str, Condition] = required(ONE_OR_MORE)
    arms: Dict[str, Arm] = required(ONE_OR_MORE)
    comparisons: List[Comparison] = required(ONE_OR_MORE)
    seeds: Tuple[int, ...] = limited((1, 2, 3, 4, 5), ONE_OR_MORE)
    secondary: List[Endpoint] = field(default_factory=list)
    afterwards: List[Endpoint] = field(default_factory=list)
    flow_net: Optional[FlowNet] = None
    evaluate: Options = field(default_factory=dict)  # further options of evaluate.py
    notes: str = ""

    def rules(self) -> Rules:
        for kind in ("conditions", "arms"):
            names = list(getattr(self, kind))
            yield kind, all(map(NAME.holds, names)), f"called by {NAME.wanted}"
        yield "seeds", len(set(self.seeds)) == len(self.seeds) and min(self.seeds) > 0, "different, from 1"
        for condition in self.conditions.values():
            known = set(condition.arms or ()) <= set(self.arms)
            yield "conditions", known, f"of arms that are there: {', '.join(self.arms)}"
        late = {one.path for one in self.afterwards}
        paths = {self.endpoint.path, *(one.path for one in self.secondary)} | late
        for one in self.comparisons:
            there = one.condition in self.conditions and {one.arm, one.against} <= set(self.arms_of(one.condition))
            yield "comparisons", there, "of two arms in a condition that has both"
            yield "comparisons", one.role != "control" or one.expects == "same", "such that a control expects: same"
            yield "comparisons", one.endpoint is None or one.endpoint in paths, "of the endpoints that are named"
            known = one.role == "afterwards" or one.endpoint not in late
            yield "comparisons", known, "of role afterwards where the endpoint was added afterwards"
        yield "comparisons", any(one.role == "claim" for one in self.comparisons), "one of role claim, or more"
        flow = self.flow_net is not None or not any(arm.flow for arm in self.arms.values())
        yield "flow_net", flow, "given where arms start with it"

    def arms_of(self, condition: str) -> List[str]:
        """The arms of a condition."""
        return list(self.conditions[condition].arms or self.arms)

    @property
    def endpoints(self) -> List[Endpoint]:
        """The endpoint fixed beforehand, then the others."""
        return [self.endpoint, *self.secondary, *self.afterwards]

    def endpoint_at(self, path: Optional[str]) -> Endpoint:
        """The endpoint of a comparison."""
        return next(one for one in self.endpoints if one.path == (path or self.endpoint.path))


def load_claim(path: Path) -> Claim:
    """Read a claim. Raises :class:`InputError` that names the file and the key at fault."""
    claim = build(Claim, read_yaml(path), where=path.name, refuse_unknown=True, text_numbers=True)
    if claim.claim != path.stem:
        raise InputError(f"{path.name}: claim is {claim.claim!r}; it must be the file's name, {path.stem!r}")
    return claim


def load_claims(folder: Path = FOLDER) -> Dict[str, Claim]:
    """The claims of a folder by name, in the order of the papers; others follow by name."""
    paths = sorted(folder.glob("*.yaml"), key=lambda path: ([*CLAIMS, path.stem].index(path.stem), path.stem))
    if not paths:
        raise InputError(f"{folder} holds no claim: NAME.yaml is one")
    return {path.stem: load_claim(path) for path in paths}
