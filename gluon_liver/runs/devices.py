"""Device names of the command line to MXNet contexts."""

from __future__ import annotations

import re
from typing import List

import mxnet as mx

from gluon_liver.config.schema import DEVICES
from gluon_liver.errors import ConfigError


def parse_device(text: str) -> mx.Context:
    """``cpu`` or ``gpu:N``. Raises :class:`ConfigError` for anything else and for a GPU that is not there."""
    if text == "cpu":
        return mx.cpu()
    match = re.fullmatch(r"gpu:(\d+)", str(text))
    if not match:
        raise ConfigError(f"--device {text!r}: expected cpu or gpu:N")
    index, count = int(match.group(1)), mx.context.num_gpus()
    if index >= count:
        advice = "run `python -m gluon_liver doctor` to find out why"
        raise ConfigError(f"--device {text}: MXNet sees {count} GPUs; {advice}")
    return mx.gpu(index)


def parse_devices(text: str) -> List[mx.Context]:
    """``cpu``, ``cpu:N`` for N contexts that share the processor, or ``gpu:0,1,2,3``.

    Raises :class:`ConfigError` for anything else, a device named twice, and a GPU that is not there.
    """
    kind, _, numbers = text.partition(":")
    names = numbers.split(",")
    if not re.fullmatch(DEVICES, text) or len(set(names)) < len(names):
        raise ConfigError(f"--devices {text!r}: expected cpu, cpu:N or gpu:0,1,... with each GPU once")
    if kind == "cpu":
        return [mx.cpu(index) for index in range(int(numbers or 1))]
    return [parse_device("gpu:" + name) for name in names]
