"""One node of an MXNet symbol, as the operators read it."""

from __future__ import annotations

import ast
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Set, Tuple

from gluon_liver.errors import InputError

from .shapes import Shape

# say how MXNet computes, or again what the shapes say
NO_MEANING = {
    "workspace",
    "cudnn_tune",
    "cudnn_off",
    "num_args",
    "num_filter",
    "num_hidden",
    "num_outputs",
    "ctx",
    "cudnn_algo_verbose",
}


class Attributes:
    """The attributes of a node, which MXNet keeps as text. Each must be read: what nobody reads is not converted."""

    def __init__(self, texts: Mapping[str, str], *, what: str):
        self._texts = {name: text for name, text in texts.items() if not name.startswith("__")}
        self._what = what
        self._read: Set[str] = set()

    def get(self, name: str, default: Any) -> Any:
        """The number, tuple, text, bool or None of that name."""
        self._read.add(name)
        if name not in self._texts:
            return default
        text = self._texts[name]
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text

    def axes(self, name: str) -> Tuple[int, ...]:
        """Axes, given as one or as several; none where there are none."""
        value = self.get(name, None)
        return () if value is None else (value,) if isinstance(value, int) else tuple(value)

    def only(self, **expected: Any) -> None:
        """Raise :class:`InputError` where an attribute that is given is another one than the form here is for."""
        for name, value in expected.items():
            found = self.get(name, value)
            if found != value:
                raise InputError(f"{self._what}: {name} {found} is not converted to ONNX, only {value}")

    def check_read(self) -> None:
        """Raise :class:`InputError` where an attribute was not looked at."""
        for name in sorted(set(self._texts) - self._read - NO_MEANING):
            raise InputError(f"{self._what}: the attribute {name} ({self._texts[name]}) is not converted to ONNX")


class Node(NamedTuple):
    """A node whose inputs are written already."""

    operator: str  # MXNet's name
    attributes: Attributes
    inputs: Sequence[str]  # names of the values in the ONNX graph
    shapes: Sequence[Shape]  # of the inputs
    outputs: Sequence[Shape]
    readers: Sequence[Tuple[str, Mapping[str, str]]]  # operators that read an output, with their attributes

    def __str__(self) -> str:
        return f"the operator {self.operator}"

    @property
    def shape(self) -> Shape:
        """Of the first output."""
        return self.outputs[0]

    def refuse(self, why: str) -> InputError:
        """The error for a form of the operator that has none here."""
        return InputError(f"{self}: {why} is not converted to ONNX")


class SymbolNode(NamedTuple):
    """A node as the JSON of a symbol has it."""

    operator: str  # null for a variable
    name: str
    attributes: Dict[str, str]
    inputs: List[Tuple[int, int]]  # number of a node and of its output


def symbol_nodes(tree: Mapping[str, Any]) -> Iterator[SymbolNode]:
    """The nodes of a symbol's JSON, inputs before those that read them."""
    for node in tree["nodes"]:
        inputs = [(number, output) for number, output, *_ in node["inputs"]]
        yield SymbolNode(node["op"], node["name"], node.get("attrs", {}), inputs)
