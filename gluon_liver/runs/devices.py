"""Device names of the command line to MXNet contexts, and their check before MXNet is imported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, List

from gluon_liver.config.schema import DEVICES
from gluon_liver.errors import ConfigError
from gluon_liver.system.gpus import driver_gpus

if TYPE_CHECKING:  # its import takes seconds, and what is wrong with a name is told before
    import mxnet as mx

ADVICE = "run `python -m gluon_liver doctor` to find out why"


def check_device(text: str, *, option: str = "--device") -> None:
    """Raise :class:`ConfigError` unless ``text`` is ``cpu``, or ``gpu:N`` of a GPU that NVIDIA's driver shows."""
    if text != "cpu" and not re.fullmatch(r"gpu:\d+", str(text)):
        raise ConfigError(f"{option} {text!r}: expected cpu or gpu:N")
    if text != "cpu":
        check_devices(text, option=option)


def check_devices(text: str, *, option: str = "--devices") -> None:
    """Raise :class:`ConfigError` unless :func:`parse_devices` takes the text, as far as NVIDIA's driver can tell."""
    kind, _, numbers = text.partition(":")
    names = numbers.split(",")
    if not re.fullmatch(DEVICES, text) or len(set(names)) < len(names):
        raise ConfigError(f"{option} {text!r}: expected cpu, cpu:N or gpu:0,1,... with each GPU once")
    if kind == "gpu":
        count = driver_gpus()
        gone = [name for name in names if int(name) >= count]
        if gone:
            raise ConfigError(f"{option} gpu:{gone[0]}: this machine shows {count} GPUs; {ADVICE}")


def parse_device(text: str) -> mx.Context:
    """``cpu`` or ``gpu:N``. Raises :class:`ConfigError` for anything else and for a GPU that is not there."""
    check_device(text)
    return _contexts(text, option="--device")[0]


def parse_devices(text: str) -> List[mx.Context]:
    """``cpu``, ``cpu:N`` for N contexts that share the processor, or ``gpu:0,1,2,3``.

    Raises :class:`ConfigError` for anything else, a device named twice, and a GPU that is not there.
    """
    check_devices(text)
    return _contexts(text, option="--devices")


def _contexts(text: str, *, option: str) -> List[mx.Context]:
    import mxnet as mx

    kind, _, numbers = text.partition(":")
    if kind == "cpu":
        return [mx.cpu(index) for index in range(int(numbers or 1))]
    count = mx.context.num_gpus()
    for name in numbers.split(","):
        if int(name) >= count:  # an MXNet without CUDA sees none of the driver's
            raise ConfigError(f"{option} gpu:{name}: MXNet sees {count} GPUs; {ADVICE}")
    return [mx.gpu(int(name)) for name in numbers.split(",")]
