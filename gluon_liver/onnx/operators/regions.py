"""Operators of region proposals: pooled ROIs, decoded and suppressed boxes."""

from __future__ import annotations

from typing import List, Optional

import numpy as np
from onnx import TensorProto

from gluon_liver.onnx.writing.node import Node
from gluon_liver.onnx.writing.writer import Writer

NEVER = -3.0e38  # the score of what is no candidate


def roi_align(write: Writer, node: Node) -> str:
    """Maps and rows (R, 5) of image index and corners -> means of bilinear samples.

    The standard's half_pixel is MXNet's ``aligned``, and both read the edge up to one cell outside.
    """
    height, width = node.attributes.axes("pooled_size")
    scale, samples = node.attributes.get("spatial_scale", 1.0), node.attributes.get("sample_ratio", -1)
    aligned = node.attributes.get("aligned", False)
    node.attributes.only(position_sensitive=False)
    images = write("Cast", write.sliced(node.inputs[1], [1], [0], [1]), to=TensorProto.INT64)
    corners = write.sliced(node.inputs[1], [1], [1], [5])
    return write(
        "RoiAlign",
        node.inputs[0],
        corners,
        write.reshape(images, node.shapes[1][:1]),
        output_height=height,
        output_width=width,
        sampling_ratio=max(0, samples),
        spatial_scale=float(scale),
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
        mode="avg",
    )


def roi_pooling(write: Writer, node: Node) -> str:
    """Maps and rows (R, 5) of image index and corners -> maxima over whole cells."""
    size, scale = node.attributes.axes("pooled_size"), float(node.attributes.get("spatial_scale", 1.0))
    return write("MaxRoiPool", *node.inputs, pooled_shape=size, spatial_scale=scale)


def box_decode(write: Writer, node: Node) -> str:
    """Offsets (B, N, 4) from anchors (1, N, 4) -> corners."""
    stds = np.array([node.attributes.get(f"std{number}", 1.0) for number in range(4)], np.float32)
    most, form = node.attributes.get("clip", -1.0), node.attributes.get("format", "center")
    anchors = node.inputs[1]
    begin, end = (write.sliced(anchors, [2], [at], [at + 2]) for at in (0, 2))
    middle, size = begin, end
    if form == "corner":
        size = write("Sub", end, begin)
        middle = write("Add", begin, write("Mul", size, write.constant(0.5)))
    moved, grown = (write.sliced(node.inputs[0], [2], [at], [at + 2]) for at in (0, 2))
    if (stds != 1).any():
        moved, grown = write("Mul", moved, write.constant(stds[:2])), write("Mul", grown, write.constant(stds[2:]))
    if most > 0:
        grown = write("Min", grown, write.constant(float(most)))
    middle = write("Add", write("Mul", moved, size), middle)
    half = write("Mul", write("Mul", write("Exp", grown), size), write.constant(0.5))
    return write("Concat", write("Sub", middle, half), write("Add", middle, half), axis=2)


def box_nms(write: Writer, node: Node) -> str:
    """Rows (B, N, W) -> those that are left, likeliest first, then rows of -1.

    Candidates are sorted before, and suppression sees their places in that order instead of their scores: then no two
    are equal, and it cannot depend on what an implementation does with equal ones.
    """
    score, corner, own = (
        node.attributes.get(f"{name}", d) for name, d in (("score_index", 1), ("coord_start", 2), ("id_index", -1))
    )
    valid, overlap = node.attributes.get("valid_thresh", 0.0), node.attributes.get("overlap_thresh", 0.5)
    most, force = node.attributes.get("topk", -1), node.attributes.get("force_suppress", False)
    node.attributes.only(background_id=-1, in_format="corner", out_format="corner")
    rows = node.inputs[0]
    if len(node.shape) != 3:
        raise node.refuse(f"an array of {len(node.shape)} axes")
    _, count, _ = node.shape
    assert isinstance(count, int)
    kept = count if most < 0 else min(count, most)

    scores = _column(write, rows, score)
    candidate = write("Greater", scores, write.constant(float(valid)))
    if own >= 0:
        candidate = write(
            "And", candidate, write("Not", write("Equal", _column(write, rows, own), write.constant(-1.0)))
        )
    ranked = write("Where", candidate, scores, write.constant(NEVER))
    values, places = write.several("TopK", ranked, write.integers(kept), outputs=2, axis=1)
    rows = _rows_at(write, rows, places)
    rank = write.constant(np.arange(kept, 0, -1)[None])  # above 0.5 for candidates
    rank = write("Where", write("Greater", values, write.constant(NEVER / 2)), rank, write.constant(0.0))

    wanted = _read(node)
    left = kept if wanted is None else min(kept, wanted)
    by_class = write("Unsqueeze", rank, write.integers(1))
    if own >= 0 and not force:
        by_class = _by_class(write, by_class, _column(write, rows, own))
    selected = write(
        "NonMaxSuppression",
        write.sliced(rows, [2], [corner], [corner + 4]),
        by_class,
        write.integers(left),
        write.constant([float(overlap)]),
        write.constant([0.5]),
    )
    places = write("Gather", selected, write.integers(0, 2), axis=1)  # (selected, 2): image and row
    zeros = write("ConstantOfShape", write("Shape", rank))
    stay = write(
        "ScatterND",
        zeros,
        places,
        write.number(
            write("Greater", write("ReduceSum", places, write.integers(1), keepdims=0), write.constant(-1, np.int64))
        ),
    )
    values, places = write.several("TopK", write("Mul", rank, stay), write.integers(left), outputs=2, axis=1)
    rows = _rows_at(write, rows, places)
    here = write("Unsqueeze", write("Greater", values, write.constant(0.5)), write.integers(2))
    rows = write("Where", here, rows, write.constant(-1.0))
    empty = (count if wanted is None else wanted) - left
    if empty > 0:
        rows = write("Pad", rows, write.integers(0, 0, 0, 0, empty, 0), write.constant(-1.0), mode="constant")
    return rows


def _by_class(write: Writer, rank: str, ids: str) -> str:
    """Places (B, 1, K) and classes (B, K) -> (B, C, K), 0 where the row is of another class."""
    last = write("Max", write("ReduceMax", ids, keepdims=0), write.constant(0.0))
    count = write("Add", last, write.constant(1.0))
    classes = write("Range", write.constant(0.0), count, write.constant(1.0))
    classes = write("Unsqueeze", classes, write.integers(0, 2))
    same = write("Equal", write("Unsqueeze", ids, write.integers(1)), classes)
    return write("Where", same, rank, write.constant(0.0))


def _column(write: Writer, rows: str, number: int) -> str:
    """(B, N, W) -> (B, N)."""
    return write("Gather", rows, write.constant(number, np.int64), axis=2)


def _rows_at(write: Writer, rows: str, places: str) -> str:
    """Rows (B, N, W) at places (B, K) -> (B, K, W)."""
    return write("GatherND", rows, write("Unsqueeze", places, write.integers(2)), batch_dims=1)


def _read(node: Node) -> Optional[int]:
    """How many of the first rows are read, where all readers cut off the rest: suppression may stop there."""
    ends: List[int] = []
    for operator, attributes in node.readers:
        if operator != "slice_axis" or attributes.get("axis") not in ("1", "-2") or attributes.get("begin") != "0":
            return None
        if attributes.get("end", "None") == "None" or int(attributes["end"]) < 0:
            return None
        ends.append(int(attributes["end"]))
    return max(ends) if ends else None
