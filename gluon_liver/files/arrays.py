"""Files of named MXNet arrays, read back before they are believed."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping

import mxnet as mx
import numpy as np


def save_arrays(path: Path, arrays: Mapping[str, mx.nd.NDArray]) -> None:
    """Write arrays and read them back: MXNet does not notice every write that fails. Raises OSError."""
    try:
        mx.nd.save(str(path), dict(arrays))
        written = mx.nd.load(str(path))
    except mx.MXNetError as error:  # its text begins with a traceback
        raise OSError(f"{path.name} cannot be written: is the disk full? ({str(error).splitlines()[-1]})") from error
    if not all(np.array_equal(written[name].asnumpy(), array.asnumpy()) for name, array in arrays.items()):
        raise OSError(f"{path.name} reads back as something else: is the disk full?")
