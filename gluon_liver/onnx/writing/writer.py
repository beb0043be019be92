"""A graph that is written node by node."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .shapes import Shape, is_fixed, lengths

LARGEST = np.iinfo(np.int64).max  # an end of Slice that lies behind every end


class Writer:
    """Nodes and constants of a graph; every value has a name.

    names: of constants that are given, names to write them under; a node that reads one as its weight is named after
        it.
    """

    def __init__(self, names: Optional[Mapping[str, str]] = None):
        self.nodes: List[onnx.NodeProto] = []
        self.constants: Dict[str, np.ndarray] = {}
        self._names = names or {}
        self._same: Dict[Tuple[Any, ...], str] = {}
        self._counts: Counter = Counter()

    def weight(self, name: str, array: np.ndarray) -> str:
        """A constant with a name of its own."""
        name = self._names.get(name, name)
        self.constants[name] = array
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A constant; equal ones are one."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._same:
            self._same[key] = self._new("constant")
            self.constants[self._same[key]] = array
        return self._same[key]

    def integers(self, *values: int) -> str:
        """A constant list of int64."""
        return self.constant(values, np.int64)

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Write a node of one output, and give the output's name. "" is an input that is left out."""
        return self.several(operator, *inputs, outputs=1, **attributes)[0]

    def several(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> List[str]:
        """As calling it, for a node of several outputs."""
        weight = inputs[1] if len(inputs) > 1 and inputs[1].endswith(".weight") else None
        name = self._new(weight[: -len(".weight")] if weight else operator)
        made = [name] if outputs == 1 else [f"{name}.{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), made, name=name, **attributes))
        return made

    def reshape(self, x: str, shape: Shape) -> str:
        """An array in another shape, of which one axis may be the batch."""
        return self("Reshape", x, self.integers(*lengths(shape)))

    def sliced(
        self, x: str, axes: Sequence[int], begins: Sequence[int], ends: Sequence[int], steps: Sequence[int] = ()
    ) -> str:
        """A part of an array along some axes."""
        places = [self.integers(*begins), self.integers(*ends), self.integers(*axes)]
        return self("Slice", x, *places, *([self.integers(*steps)] if steps else []))

    def expanded(self, x: str, shape: Shape, target: Shape, like: Optional[str] = None) -> str:
        """x of ``shape`` repeated to ``target``; ``like`` is a value of that shape, for a batch axis that x lacks."""
        if shape == target:
            return x
        wanted: Shape = tuple(1 if length == own else length for own, length in zip(shape, target))
        if is_fixed(wanted):
            return self("Expand", x, self.integers(*lengths(wanted)))
        if like is None:
            raise ValueError(f"{shape} to {target}: the batch is not known")
        return self("Expand", x, self("Shape", like))

    def true(self, x: str) -> str:
        """Where an array is not 0, as bool."""
        return self("Cast", x, to=onnx.TensorProto.BOOL)

    def number(self, x: str) -> str:
        """An array as float32."""
        return self("Cast", x, to=onnx.TensorProto.FLOAT)

    def _new(self, base: str) -> str:
        base = base[0].lower() + base[1:]
        self._counts[base] += 1
        return f"{base}_{self._counts[base]}"

    def graph(
        self,
        name: str,
        *,
        inputs: Mapping[str, Shape],
        outputs: Mapping[str, Tuple[str, Shape, int]],
    ) -> onnx.GraphProto:
        """The graph as it stands. outputs: by name the value that it is, its shape and its element type."""
        ends = [helper.make_node("Identity", [value], [one]) for one, (value, _, _) in outputs.items()]
        return helper.make_graph(
            [*self.nodes, *ends],
            name,
            [described(one, onnx.TensorProto.FLOAT, shape) for one, shape in inputs.items()],
            [described(one, kind, shape) for one, (_, shape, kind) in outputs.items()],
            [numpy_helper.from_array(np.array(array, order="C"), one) for one, array in self.constants.items()],
        )


def described(name: str, kind: int, shape: Shape) -> onnx.ValueInfoProto:
    """An input or output; the batch axis is called batch."""
    axes: List[Union[int, str]] = []
    for length in shape:
        axes.append(length if isinstance(length, int) else "batch" if length.count == 1 else f"{length.count}*batch")
    return helper.make_tensor_value_info(name, kind, axes)
