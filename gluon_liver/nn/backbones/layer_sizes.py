"""Layers and feature sizes of the CT paper's networks at an input of any size, without parameters or arithmetic."""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import mxnet as mx

from .blocks import Bottleneck, Transition, make_block
from .stem import DepthPool, Stem


class LayerSize(NamedTuple):
    """A row of the printed tables: its name, its convolutions ("" of a pooling), and slices, height, width behind it.

    Convolutions are "1x1 64, 3x3 64, 1x1 256, x3" for three bottlenecks of three layers.
    """

    name: str
    layers: str
    size: Tuple[int, int, int]


def layer_sizes(depth: int, *, slices: int = 32, side: int = 448) -> List[LayerSize]:
    """Conv1 to Block4 of the rows' network of 50 or 101 layers, by MXNet's shape inference.

    slices, side: of the input; 32 slices of 448 pixels are what the printed sizes need.
    """
    data = mx.sym.var("data")
    stem = Stem(slices=slices)
    pool1 = stem(data)
    pool2 = DepthPool(stem.pool1.slices_out, channels=256)
    blocks = [make_block(number, depth=depth) for number in (1, 2, 3, 4)]
    conv1 = stem.conv1.convolve(mx.sym, stem.conv1.windows(mx.sym, data), stem.bn1)
    channels, _, *kernel = stem.conv1.weight.shape
    rows = [("Conv1", f"{'x'.join(map(str, kernel))} {channels}", conv1), ("Pool1", "", pool1)]
    x = pool1
    for number, block in enumerate(blocks, 1):
        x = block(x)
        rows.append((f"Block{number}", _layers(block), x))
        if number == 1:
            x = pool2(x)
            rows.append(("Pool2", "", x))
    found = []
    for name, layers, symbol in rows:
        count, _, height, width = symbol.infer_shape(data=(1, 1, slices, side, side))[1][0]
        found.append(LayerSize(name, layers, (count, height, width)))
    return found


def _layers(block: mx.gluon.Block) -> str:
    """The convolutions of a block's bottlenecks, which are alike, how many there are, and a transition behind them."""
    units = list(block._children.values())
    bottlenecks = [unit for unit in units if isinstance(unit, Bottleneck)]
    kinds = {", ".join(map(_convolution, (unit.conv1, unit.conv2, unit.conv3))) for unit in bottlenecks}
    layers = f"{' or '.join(sorted(kinds))}, x{len(bottlenecks)}"
    transitions = [unit for unit in units if isinstance(unit, Transition)]
    return layers + "".join(f", then {_convolution(unit.conv)}" for unit in transitions)


def _convolution(layer: mx.gluon.nn.Conv2D) -> str:
    channels, _, height, width = layer.weight.shape
    return f"{height}x{width} {channels}"
