"""Layers that compute in bfloat16, the upper half of float32: eight bits of each number instead of 24.

Weights and maps are rounded to it, oneDNN sums products in float32. What goes into such layers is cast to it, what
comes out is cast back, so that nothing outside of them knows.
"""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
from mxnet.gluon import nn

BFLOAT16 = np.dtype([("bfloat16", np.uint16)])  # as MXNet 1.9.1 names it


class Stage(nn.HybridSequential):
    """Layers one after the other, in float32 until :meth:`reduce` is called."""

    reduced = False

    def reduce(self) -> None:
        """Compute in bfloat16 from now on, with these parameters, rounded; only inference on a CPU can."""
        self.reduced = True
        for parameter in self.collect_params().values():
            value = parameter.data()
            parameter.cast(BFLOAT16)  # cuts the lower half off, where amp_cast rounds
            parameter.set_data(mx.nd.amp_cast(value, dtype=BFLOAT16))

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """All layers, from float32 to float32."""
        return self.leave(F, super().hybrid_forward(F, self.enter(F, x)))

    def enter(self, F: Any, x: Any) -> Any:
        """A float32 array as the layers take it."""
        return F.amp_cast(x, dtype=BFLOAT16) if self.reduced else x

    def leave(self, F: Any, x: Any) -> Any:
        """What a layer gave, as float32."""
        return F.amp_cast(x, dtype="float32") if self.reduced else x
