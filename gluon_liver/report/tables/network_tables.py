"""Tables 2 and 3 of the CT paper as printed, and the networks here beside them."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple, Union

from .table import Block, Notes, Table, as_text

TITLES = {50: "Table 2: architecture of the 50-layer network", 101: "Table 3: architecture of the 101-layer network"}
INPUT = (32, 448, 448)  # slices, height, width: what the printed sizes need


class PrintedLayer(NamedTuple):
    """A row: layers and feature size as printed, the layers of a block written in one line."""

    layers: str
    size: str


def _printed(bottlenecks: Sequence[int]) -> Dict[str, PrintedLayer]:
    blocks = [
        f"1x1 {inner}, 3x3 {inner}, 1x1 {4 * inner}, x{count}" for inner, count in zip((64, 128, 256, 512), bottlenecks)
    ]
    return {
        "Conv1": PrintedLayer("7x7 64", "16x224x224"),
        "Pool1": PrintedLayer("", "8x112x112"),
        "Block1": PrintedLayer(blocks[0], "8x112x112"),
        "Pool2": PrintedLayer("", "4x112x112"),
        "Block2": PrintedLayer(blocks[1], "4x56x56"),
        "Block3": PrintedLayer(blocks[2], "4x28x28"),
        "Block4": PrintedLayer(blocks[3], "4x14x14"),
    }


# Tables 2 and 3; their last row, Concat 4x224x224, is never formed here (docs/fidelity.md)
PRINTED: Dict[int, Dict[str, PrintedLayer]] = {50: _printed((3, 4, 6, 3)), 101: _printed((6, 8, 12, 6))}
NOTES = (
    "layers: of poolings not compared. conv1 is printed as 7x7 and read as 7x7x7; the 101-layer network's \"transition "
    'layer to each block to maintain the feature size" is in the text and in no row.',
    "Both tables end with Concat, 4x224x224. The slices are averaged before it here, and the map is never formed: what "
    "follows is linear and computed without it (docs/fidelity.md).",
)


def our_layers(depth: int) -> List[Tuple[str, str, str]]:
    """Name, layers and feature size of each row, of the network of a row of Table 4 at :data:`INPUT`."""
    from gluon_liver.nn.backbones.layer_sizes import layer_sizes

    rows = layer_sizes(depth, slices=INPUT[0], side=INPUT[1])
    return [(row.name, row.layers, "x".join(map(str, row.size))) for row in rows]


def network_text(depth: int) -> str:
    """The table of a network of 50 or 101 layers as printed, and ours beside it."""
    rows: List[Sequence[Union[str]]] = []
    for name, layers, size in our_layers(depth):
        printed = PRINTED[depth][name]
        rows.append((name, printed.layers or "-", layers or "-", printed.size, size))
    header = ("layer", "layers, printed", "here", "feature size, printed", "here")
    title = f"{TITLES[depth]}, at an input of {'x'.join(map(str, INPUT))}"
    blocks: List[Block] = [Table.of(title, header, rows), Notes(NOTES)]
    return as_text(*blocks)
