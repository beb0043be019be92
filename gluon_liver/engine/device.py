"""Device names of the command line to MXNet contexts."""

from __future__ import annotations

import re

import mxnet as mx

from ..errors import ConfigError


def parse_device(text: str) -> mx.Context:
    """``cpu`` or ``gpu:N``. Raises :class:`ConfigError` for anything else and for a GPU that is not there."""
    if text == "cpu":
        return mx.cpu()
    match = re.fullmatch(r"gpu:(\d+)", text)
    if not match:
        raise ConfigError("--device {!r}: expected cpu or gpu:N".format(text))
    index, found = int(match.group(1)), mx.context.num_gpus()
    if index >= found:
        raise ConfigError(
            "--device {}: MXNet sees {} GPUs; run `python -m gluon_liver doctor` to find out why".format(text, found)
        )
    return mx.gpu(index)
