"""Which keys two configurations give other values, and which configuration stands for a row of the CT paper."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from .schema import Config

# row of Table 4 -> the packaged configuration that is it, at the paper's size
CONFIG_OF_ROW: Dict[str, str] = {
    "R-50": "r50",
    "R-101": "r101",
    "R-50-2.5D": "r50-2.5d",
    "R-101 region fusion": "r101-fusion",
    "R-50 multi-modal": "r50-multimodal",
    "R-101 multi-modal": "r101-multimodal",
}
US_MODELS = ("us-faster-rcnn", "us-flow")  # names of the models and of their configurations


class Difference(NamedTuple):
    """One key, with its value in either configuration."""

    key: str
    first: Any
    second: Any


def flat(config: Config) -> Dict[str, Any]:
    """Every key with its parents, dots between them, and its plain value."""
    return dict(_flat(config.to_dict(), ""))


def differences(first: Config, second: Config) -> List[Difference]:
    """The keys in which they differ, in the schema's order."""
    one, other = flat(first), flat(second)
    return [Difference(key, one[key], other[key]) for key in one if one[key] != other[key]]


def paper_config(config: Config) -> Optional[str]:
    """The name of the packaged configuration that a run stands beside in the papers' tables; None without one."""
    if config.task == "us":
        return config.model if config.model in US_MODELS else None
    return CONFIG_OF_ROW.get(config.row) if config.row else None


def _flat(tree: Mapping[str, Any], above: str) -> List[Any]:
    found: List[Any] = []
    for name, value in tree.items():
        found += _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else [(above + name, value)]
    return found
