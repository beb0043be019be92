"""The driver's count of GPUs: that of a driver that answers, none of one that is absent, a stub, or fails."""

import ctypes

import pytest

from gluon_liver.errors import ConfigError
from gluon_liver.runs import devices
from gluon_liver.system import gpus


class Driver:
    """A libcuda of so many GPUs; it begins with ``failure``."""

    def __init__(self, count, failure=0):
        self.count, self.failure = count, failure

    def cuInit(self, flags):
        return self.failure

    def cuDeviceGetCount(self, count):
        count._obj.value = self.count
        return 0


@pytest.mark.parametrize("driver, count", [(Driver(2), 2), (Driver(2, failure=100), 0), (object(), 0)])
def test_what_the_driver_says(monkeypatch, driver, count):
    monkeypatch.setattr(ctypes, "CDLL", {gpus.DRIVER: driver}.__getitem__)
    assert gpus.driver_gpus() == count


def test_no_driver(monkeypatch):
    monkeypatch.setattr(gpus, "DRIVER", "libnone.so.1")
    assert gpus.driver_gpus() == 0


def test_devices_of_two_gpus(monkeypatch):
    monkeypatch.setattr(devices, "driver_gpus", lambda: 2)
    for text in ("cpu", "cpu:4", "gpu:0", "gpu:1,0"):
        devices.check_devices(text)
    with pytest.raises(ConfigError, match="--devices gpu:2: this machine shows 2 GPUs; run .* doctor"):
        devices.check_devices("gpu:0,2")
    with pytest.raises(ConfigError, match="--device gpu:2: this"):
        devices.check_device("gpu:2")


def test_an_mxnet_that_sees_fewer_than_the_driver(monkeypatch):
    """The CPU build on a machine with GPUs."""
    monkeypatch.setattr(devices, "driver_gpus", lambda: 2)
    monkeypatch.setattr("mxnet.context.num_gpus", lambda: 0)
    with pytest.raises(ConfigError, match="--devices gpu:1: MXNet sees 0 GPUs"):
        devices.parse_devices("gpu:1")
