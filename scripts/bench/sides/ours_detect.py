"""Inference of a configuration here on one image, from its grey values to boxes."""

from __future__ import annotations

import sys

import numpy as np

from .ours import PACKAGES, mx, options, random_detector, random_images, read_config
from .report import print_record, timed


def main() -> int:
    from gluon_liver.inference.detector import SliceDetector

    parser = options(__doc__)
    parser.add_argument("--precision", default="float32", help="or bfloat16, of Block4")
    args = parser.parse_args()
    config = read_config(args)
    network = random_detector(config, phases=args.phases)
    detector = SliceDetector(network, config=config, context=mx.cpu(), precision=args.precision)
    images, present = random_images(config, phases=args.phases), np.ones((1, args.phases), bool)
    size = config.data.size

    def call() -> None:
        detector.detect(images, present, scales=[1.0], shapes=[(size, size)])

    print_record(timed(call, warm_up=args.warm_up, calls=args.calls), packages=PACKAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
