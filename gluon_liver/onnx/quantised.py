"""Graphs in int8: convolutions by static quantisation, their ranges from images of a calibration split.

Weights have a scale for each filter, activations one for each map (QDQ form). What decides what is detected keeps
float32: the convolutions that read the image, the outputs of the proposal network, relations of phases, optical flow,
and all that is no convolution: predictors, ROIs, the decoding and suppression of boxes.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from pathlib import Path
from typing import Iterable, Iterator, List, Mapping, Optional

import numpy as np
import onnx

INT8 = "int8"
# names of weights begin so; rpn_head is that of a pyramid, one for all levels
FLOAT_LAYERS = ("rpn.score", "rpn.loc", "rpn.rpn_head.score", "rpn.rpn_head.loc", "relation.", "flow.")
PICTURES = ("image", "frame", "previous")  # inputs of graphs


def quantised(model: onnx.ModelProto, inputs: Iterable[Mapping[str, np.ndarray]]) -> onnx.ModelProto:
    """The same graph with convolutions in int8.

    inputs: feeds of the graph, in which the ranges of its maps are seen.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Feeds(CalibrationDataReader):
        """See onnxruntime: the next feed, None at the end."""

        def __init__(self) -> None:
            self._rest: Iterator[Mapping[str, np.ndarray]] = iter(inputs)

        def get_next(self) -> Optional[Mapping[str, np.ndarray]]:
            return next(self._rest, None)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        before, after = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(before))
        quantize_static(
            str(before),
            str(after),
            Feeds(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # onnxruntime 1.19, the last for Python 3.8, wants to have seen the range of every Softmax of a graph
            op_types_to_quantize=["Conv", "Softmax"],
            nodes_to_exclude=[*float_nodes(model), *(one.name for one in model.graph.node if one.op_type == "Softmax")],
        )
        return onnx.load(str(after))


def float_nodes(model: onnx.ModelProto) -> List[str]:
    """Names of the convolutions that keep float32."""
    seen, kept = {one.name for one in model.graph.input if one.name in PICTURES}, []
    for node in model.graph.node:
        reads_picture = bool(seen.intersection(node.input))
        if node.op_type == "Conv":
            if reads_picture or node.input[1].startswith(FLOAT_LAYERS):
                kept.append(node.name)
        elif reads_picture and node.op_type != "Shape":
            seen.update(node.output)
    return kept


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's advice, which it logs, to prepare a graph for shapes that ours have."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
