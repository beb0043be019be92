"""How many GPUs NVIDIA's driver shows, asked of the driver itself: MXNet takes seconds to say it."""

from __future__ import annotations

import ctypes

DRIVER = "libcuda.so.1"


def driver_gpus() -> int:
    """GPUs that a process may use, ``CUDA_VISIBLE_DEVICES`` heeded; 0 without a driver that works."""
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(DRIVER)
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    except (OSError, AttributeError):  # no driver, or a stub of it for linking
        return 0
    return 0 if failed else count.value
