"""What the network of a configuration is called in a sentence."""

from __future__ import annotations

from fractions import Fraction
from typing import List

from .differences import differences, paper_config
from .load import load_config
from .schema import Config

_PAPERS_NET = ("network.", "flow.", "data.size", "data.slices")  # keys that make a network the paper's, or another
_US_TITLES = {"us-flow": "the flow-guided Faster R-CNN", "us-faster-rcnn": "Faster R-CNN"}
_WORDS = {Fraction(1, 2): "half the", Fraction(1, 4): "a quarter of the", Fraction(1, 8): "an eighth of the"}


def network_title(config: Config) -> str:
    """What the network is called: by the paper's name only where it is the paper's network at the paper's size.

    "R-50", or for the demo "a net like R-50 with an eighth of the width, at 256 pixels".
    """
    name = paper_config(config)
    if name is None:
        return f"{_own_title(config)}, {_size_text(config)}"
    other = other_keys(config, load_config(name))
    title = config.row if config.row else _US_TITLES[config.model]
    if not other:
        return title
    rest = [key for key in other if key not in ("network.width", "data.size")]
    told = [f"with {_width_text(config.network.width)} width"] if "network.width" in other else []
    told += [f"at {config.data.size} pixels"] if "data.size" in other else []
    told += [] if told else [f"with {', '.join(rest)} of its own" if len(rest) <= 2 else f"with {len(rest)} other keys"]
    return f"a net like {title} {', '.join(told)}"


def other_keys(config: Config, paper: Config) -> List[str]:
    """The keys of ``config`` that make its network another than that of ``paper``, in the schema's order."""
    return [one.key for one in differences(config, paper) if one.key.startswith(_PAPERS_NET)]


def _own_title(config: Config) -> str:
    if config.task == "us":
        return _US_TITLES.get(config.model, config.model)
    title = f"a ResNet-{config.network.depth} Faster R-CNN of {config.data.slices} slice"
    title += "s" if config.data.slices > 1 else ""
    parts = [("region fusion", config.network.fusion), ("all phases", config.network.multi_modal)]
    more = [name for name, has in parts if has]
    return title + (f" with {' and '.join(more)}" if more else "")


def _size_text(config: Config) -> str:
    width = "" if config.network.width == 1 else f"with {_width_text(config.network.width)} width "
    return f"{width}at {config.data.size} pixels"


def _width_text(width: float) -> str:
    share = Fraction(width).limit_denominator(64)
    return _WORDS.get(share, f"{width:g} of the")
