"""Groups of lesions by size, the longest side in the plane: in mm of CT lesions, in pixels of ultrasound's boxes."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

BINS_MM = (10.0, 20.0)
BINS_PIXELS = (32.0, 96.0)  # sides of COCO's small, medium and large


def size_bounds(edges: Sequence[float]) -> List[Tuple[float, float]]:
    """(from, below) of the groups that rising edges part; the last has no end."""
    return list(zip((0.0, *edges), (*edges, np.inf)))


def size_text(low: float, high: Optional[float], unit: str = "") -> str:
    """What a group is called, None for no end: below 10 mm, 10 to 20 mm, 20 mm or more."""
    unit = f" {unit}" if unit else ""
    if high is None:
        return f"{low:g}{unit} or more"
    return f"{low:g} to {high:g}{unit}" if low else f"below {high:g}{unit}"


def size_groups(edges: Sequence[float], unit: str) -> Dict[str, Tuple[float, float]]:
    """Name -> (from, below): small, medium and large where two edges part them."""
    bounds = size_bounds(edges)
    words = {2: ("small, ", "large, "), 3: ("small, ", "medium, ", "large, ")}.get(len(bounds), [""] * len(bounds))
    return {
        word + size_text(low, None if high == np.inf else high, unit): (low, high)
        for word, (low, high) in zip(words, bounds)
    }
