"""The names of a detector's parameters in PyTorch's words: torchvision's for the residual network, ours for the rest.

stem, Block1 to Block3    backbone.stem.conv1.weight     conv1.weight
                          backbone.stem.bn1.gamma        bn1.weight
                          backbone.block1.0.skip_conv    layer1.0.downsample.0
                          backbone.block1.0.skip_bn      layer1.0.downsample.1
transition layers         backbone.block1.6.bn.beta      layer1.6.bn.bias
Block4                    block4.2.bn3.running_mean      layer4.2.bn3.running_mean
all else                  aggregation.bn1.gamma          aggregation.bn1.weight
"""

from __future__ import annotations

import re

BACKBONE = re.compile(r"backbone\.(?:stem\.|(?=block))")
BLOCK = re.compile(r"block(\d\.\d+\.)")
LAYERS = {"skip_conv": "downsample.0", "skip_bn": "downsample.1"}
VALUES = {"gamma": "weight", "beta": "bias"}


def torch_name(name: str) -> str:
    """PyTorch's name of one of our structural names; no two parameters of a detector get the same."""
    *layers, value = BACKBONE.sub("", name, count=1).split(".")
    path = ".".join([*(LAYERS.get(layer, layer) for layer in layers), VALUES.get(value, value)])
    return BLOCK.sub(r"layer\1", path) if name.startswith(("backbone.", "block4.")) else path
