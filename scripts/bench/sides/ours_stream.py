"""An ultrasound detector on frames one after the other, as ``watch`` reads them."""

from __future__ import annotations

import sys

import numpy as np

from .ours import PACKAGES, mx, options, random_detector, read_config
from .report import print_record, timed


def main() -> int:
    from gluon_liver.inference.detector import SliceDetector
    from gluon_liver.inference.stream import StreamDetector

    parser = options(__doc__)
    parser.add_argument("--size", type=int, default=320)
    args = parser.parse_args()
    args.set.append(f"data.size={args.size}")
    config = read_config(args)
    stream = StreamDetector(SliceDetector(random_detector(config), config=config, context=mx.cpu()))
    rng = np.random.default_rng(2)
    scene = rng.integers(0, 256, (args.size // 8 + 8, args.size // 8 + 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    place = 0

    def call() -> None:  # the scene moves by a few pixels a frame
        nonlocal place
        place = (place + 3) % 60
        stream.detect(np.ascontiguousarray(scene[place : place + args.size, place : place + args.size]))

    seconds = timed(call, warm_up=args.warm_up + 1, calls=max(5, args.calls))
    print_record(seconds, packages=PACKAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
