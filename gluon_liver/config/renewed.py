"""Keys of configurations that earlier versions wrote, as those of today."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from gluon_liver.errors import ConfigError

RELATION_OF = {False: "off", True: "full"}  # network.multi_modal, and what YAML makes of an unquoted off


def renewed(tree: Mapping[str, Any]) -> Dict[str, Any]:
    """A tree of keys in which network.relation takes the place of network.multi_modal.

    Raises :class:`ConfigError` when both are there.
    """
    tree, network = dict(tree), tree.get("network")
    if not isinstance(network, Mapping):
        return tree
    tree["network"] = network = dict(network)
    if "multi_modal" in network:
        if "relation" in network:
            raise ConfigError("network.multi_modal is the former name of network.relation: give the latter alone")
        related = network.pop("multi_modal")
        if type(related) is not bool:
            raise ConfigError(f"network.multi_modal: expected bool, found {related!r}; network.relation replaces it")
        network["relation"] = RELATION_OF[related]
    if network.get("relation") is False:  # YAML reads off as false
        network["relation"] = "off"
    return tree
