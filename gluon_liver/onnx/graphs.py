"""The graphs that an export holds: a whole detector, and for ultrasound the pair that a stream runs.

Outputs of all of them: ``boxes`` (batch, K, 4) corners in pixels of the input, likeliest first; ``classes`` int64
(batch, K), -1 where there is no detection; ``scores`` (batch, K); ``check`` (batch,), not finite where the network
computes no numbers, or was given what is none: a rectifier may turn a NaN into 0.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
import onnx

from gluon_liver.nn.folding import folded
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.nn.streaming import FrameNet, StreamNet
from gluon_liver.nn.us_detector import USDetector

from .convert import convert

BATCH = None  # of a shape: any number of images
DETECTIONS = ("boxes", "classes", "scores", "check")


def detector_graph(detector: RegionDetector) -> onnx.ModelProto:
    """A detector, from images as :class:`DetectionNet` takes them.

    Inputs: ``image`` (batch, P, 1, D, S, S) of CT, (batch, frames, 3, S, S) of ultrasound; with several phases
    ``present`` (batch, P), 1 or 0.
    """
    inputs = _inputs(detector)
    with _traced(detector) as traced:
        image, *present = map(mx.sym.var, inputs)
        rows, check = DetectionNet(traced).hybrid_forward(mx.sym, image, *present)
        detections = _detections(rows, _checked(check, image, axes=len(inputs["image"])))
        return _converted(traced, detections, inputs=inputs, outputs=DETECTIONS, name="detector")


def features_graph(detector: RegionDetector) -> onnx.ModelProto:
    """The maps that a detector's proposals and ROIs read: ``map0``, ``map1`` and so on, with a texture stage
    ``shallow``. No part of an export; it says where two runtimes begin to differ."""
    inputs = _inputs(detector)
    with _traced(detector) as traced:
        features = traced.features(mx.sym, *map(mx.sym.var, inputs))
        named = {f"map{number}": one for number, one in enumerate(features.maps)}
        if features.shallow is not None:
            named["shallow"] = features.shallow
        return _converted(traced, list(named.values()), inputs=inputs, outputs=list(named), name="features")


def _inputs(detector: RegionDetector) -> Dict[str, Sequence[Optional[int]]]:
    """Of the whole detector, with their shapes."""
    present = {"present": (BATCH, detector.phases)} if detector.phases > 1 else {}
    return {"image": (BATCH, *input_shape(detector)), **present}


def frame_graph(detector: USDetector) -> onnx.ModelProto:
    """What a stream computes of a frame: ``frame`` (1, 3, S, S) -> ``frame_map`` (1, C, S / stride, S / stride)."""
    inputs = {"frame": (1, 3, detector.size, detector.size)}
    with _traced(detector) as traced:
        frame_map = FrameNet(traced).hybrid_forward(mx.sym, mx.sym.var("frame"))
        return _converted(traced, [frame_map], inputs=inputs, outputs=["frame_map"], name="frame")


def stream_graph(detector: USDetector) -> onnx.ModelProto:
    """The rest of it: ``frame`` and ``frame_map``, for us-flow ``previous`` and ``previous_map`` too.

    Where a flow is estimated it is an output, ``flow`` (1, 2, S, S) in pixels of the input.
    """
    frame, frame_map = (1, 3, detector.size, detector.size), (1, *map_shape(detector))
    inputs = {"frame": frame, "frame_map": frame_map}
    if detector.frames > 1:
        inputs.update(previous=frame, previous_map=frame_map)
    with _traced(detector) as traced:
        given = {name: mx.sym.var(name) for name in inputs}
        rows, check, *flow = StreamNet(traced).hybrid_forward(mx.sym, *given.values())
        for name in given:
            check = _checked(check, given[name], axes=len(inputs[name]))
        outputs = [*DETECTIONS, *(["flow"] if flow else [])]
        return _converted(traced, [*_detections(rows, check), *flow], inputs=inputs, outputs=outputs, name="stream")


def input_shape(detector: RegionDetector) -> Tuple[int, ...]:
    """Of one image, as :class:`DetectionNet` takes it."""
    if isinstance(detector, USDetector):
        return (detector.frames, 3, detector.size, detector.size)
    return (detector.phases, 1, detector.slices, detector.size, detector.size)


def map_shape(detector: USDetector) -> Tuple[int, ...]:
    """Of the map that a stream keeps of a frame."""
    frame = mx.sym.var("frame")
    with _traced(detector) as traced:
        frame_map = FrameNet(traced).hybrid_forward(mx.sym, frame)
    return frame_map.infer_shape(frame=(1, 3, detector.size, detector.size))[1][0][1:]


@contextlib.contextmanager
def _traced(detector: RegionDetector) -> Iterator[Any]:
    """The detector without BatchNorm, reading ROIs by the operator instead of the matrices that CPUs have.

    A detector that is its own folded copy is as before afterwards.
    """
    traced = folded(detector, context=mx.cpu())
    before, traced.on_cpu = traced.on_cpu, False
    try:
        yield traced
    finally:
        traced.on_cpu = before


def _checked(check: mx.sym.Symbol, given: mx.sym.Symbol, *, axes: int) -> mx.sym.Symbol:
    """check (B,), not finite either where a number of an input (B, ...) is not; ``axes`` are the input's."""
    return check + mx.sym.sum(given * 0, axis=tuple(range(1, axes)))


def _detections(rows: mx.sym.Symbol, check: mx.sym.Symbol) -> List[mx.sym.Symbol]:
    """Rows (B, K, 6) of class, score and corners -> :data:`DETECTIONS`."""
    classes, scores, boxes = (mx.sym.slice_axis(rows, axis=2, begin=b, end=e) for b, e in ((0, 1), (1, 2), (2, 6)))
    classes = mx.sym.cast(mx.sym.reshape(classes, (0, -1)), "int64")
    return [boxes, classes, mx.sym.reshape(scores, (0, -1)), check]


def _converted(
    detector: RegionDetector,
    symbols: Sequence[mx.sym.Symbol],
    *,
    inputs: Mapping[str, Sequence[Optional[int]]],
    outputs: Sequence[str],
    name: str,
) -> onnx.ModelProto:
    named = detector._collect_params_with_prefix()
    params: Dict[str, np.ndarray] = {}
    names: Dict[str, str] = {}
    for own, parameter in named.items():
        params[parameter.name] = parameter.data(parameter.list_ctx()[0]).asnumpy()
        names[parameter.name] = own
    symbol = mx.sym.Group(list(symbols))
    used = {one: params[one] for one in symbol.list_inputs() if one not in inputs}
    return convert(symbol, used, inputs=inputs, outputs=outputs, name=name, names=names)


# what an export holds, by the names of its files
GRAPHS: Dict[str, Callable[[Any], onnx.ModelProto]] = {
    "detector": detector_graph,
    "frame": frame_graph,
    "stream": stream_graph,
}
