"""Types of arrays for annotations; shapes and units stand in the docstrings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FloatArray = NDArray["np.floating[Any]"]
IntArray = NDArray["np.integer[Any]"]
BoolArray = NDArray[np.bool_]
