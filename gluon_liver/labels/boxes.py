"""Boxes as label tools write them -> x, y, width, height."""

from __future__ import annotations

import math
import re
from typing import Any, List, Mapping, Optional, Tuple

import numpy as np

XYWH = Tuple[float, float, float, float]
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def as_box(value: Any) -> Optional[XYWH]:
    """The four numbers of a box, written as numbers or as text; None for anything else."""
    if isinstance(value, str):
        value = re.sub(r"\b(np\.|numpy\.)?(float|int|array|tensor)\d*\(", "(", value)  # as arrays print themselves
        found = _NUMBER.findall(value)
        value = found if re.fullmatch(r"[\s\[\](),;]*", _NUMBER.sub("", value)) else None
    if not isinstance(value, (list, tuple)) or len(value) != 4 or any(isinstance(one, bool) for one in value):
        return None
    try:
        x, y, width, height = (float(one) for one in value)
    except (TypeError, ValueError, OverflowError):
        return None
    return (x, y, width, height) if all(map(math.isfinite, (x, y, width, height))) else None


def box_around(segmentation: Any, width: int, height: int) -> Optional[XYWH]:
    """The box around polygons or a run-length mask of an image; None for what is neither, or empty."""
    if isinstance(segmentation, Mapping):
        return _box_of_mask(segmentation, width, height)
    if not isinstance(segmentation, list) or not segmentation:
        return None
    polygons: List[Any] = segmentation if isinstance(segmentation[0], list) else [segmentation]
    try:
        flat = [np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in polygons]
        points = np.concatenate(flat)
    except (OverflowError, TypeError, ValueError):
        return None
    if not len(points) or not np.isfinite(points).all():
        return None
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    return float(x1), float(y1), float(x2 - x1), float(y2 - y1)


def _box_of_mask(mask: Mapping[str, Any], width: int, height: int) -> Optional[XYWH]:
    from pycocotools.mask import frPyObjects, toBbox

    size, counts = mask.get("size"), mask.get("counts")
    if size != [height, width] or not isinstance(counts, (list, str)) or not counts:
        return None
    if isinstance(counts, list):
        if any(type(one) is not int or one < 0 for one in counts) or sum(counts) != width * height:
            return None
        encoded = frPyObjects({"size": size, "counts": counts}, height, width)
    else:
        # what is no run-length code makes pycocotools read beyond its memory
        runs = _runs(counts)
        if runs is None or sum(runs) != width * height:
            return None
        encoded = {"size": size, "counts": counts}
    x, y, w, h = (float(edge) for edge in toBbox(encoded))
    return (x, y, w, h) if w > 0 and h > 0 else None


def _runs(code: str) -> Optional[List[int]]:
    """The runs of a compressed run-length code; None for what is none: five bits a character, from 48 on."""
    runs: List[int] = []
    value = shift = 0
    for character in code:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            if len(runs) > 2:
                value += runs[-2]
            if value < 0:
                return None
            runs.append(value)
            value = shift = 0
    return None if shift else runs


def turned(box: XYWH, degrees: float) -> XYWH:
    """The upright box around one that is turned about its centre."""
    x, y, width, height = box
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    wide, high = width * cos + height * sin, width * sin + height * cos
    return x + (width - wide) / 2, y + (height - high) / 2, wide, high


def size_hint(given: Tuple[int, int], true: Tuple[int, int]) -> str:
    """What may be behind a size (width, height) that is not the ``true`` one: the end of a message, or empty."""
    if given == true[::-1]:
        return "; width and height are exchanged: label the image as it is shown, turned as its header says"
    scale = true[0] / given[0]
    if all(abs(side * scale - other) <= max(1, scale) for side, other in zip(given, true)):
        return f"; these seem to be scaled copies: export without resizing, or multiply boxes and sizes by {scale:.6g}"
    return ""
