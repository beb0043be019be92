"""One entry of an axis, for graphs that are traced with symbols, which have no ``array[index]``."""

from __future__ import annotations

from typing import Any


def entry(F: Any, array: Any, index: int, *, axis: int) -> Any:
    """``array`` at ``index`` of ``axis``, which is gone then."""
    return F.squeeze(F.slice_axis(array, axis=axis, begin=index, end=index + 1), axis=axis)
