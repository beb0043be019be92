"""The GEMM peak of this machine: MXNet's dot of two 2048x2048 float32 matrices. ``work`` is floating-point operations.

The best of many calls says what the cores can do; ratios of it tell how much a network leaves.
"""

from __future__ import annotations

import sys

from .ours import PACKAGES, mx
from .report import print_record, timed

SIDE = 2048


def main() -> int:
    one, other = (mx.nd.random.normal(shape=(SIDE, SIDE)) for _ in range(2))
    seconds = timed(lambda: mx.nd.dot(one, other).wait_to_read(), warm_up=3, calls=20)
    print_record(seconds, packages=PACKAGES, work=2 * SIDE**3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
