"""Symbol files that both versions of MXNet read. What 1.0.0 saves, 1.9.1 loads as it is; the other way round needs
:func:`portable_json`."""

from __future__ import division

import json

MXNET_1_0_0 = 10000
NEW_ATTRIBUTES = {"_arange": ("infer_range",)}  # operator -> attributes that 1.9.1 writes and 1.0.0 refuses


def portable_json(symbol):
    """JSON text of a symbol of this package, without what MXNet 1.0.0 refuses or warns of."""
    tree = json.loads(symbol.tojson())
    for node in tree["nodes"]:
        for name in NEW_ATTRIBUTES.get(node["op"], ()):
            node.get("attrs", {}).pop(name, None)
    tree["attrs"]["mxnet_version"] = ["int", MXNET_1_0_0]
    return json.dumps(tree, indent=1, sort_keys=True)
