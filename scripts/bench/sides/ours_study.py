"""A CT study read slice by slice: seconds a slice, in windows one by one or densely along the study."""

from __future__ import annotations

import sys
import time

import numpy as np

from .ours import PACKAGES, mx, options, random_detector, read_config
from .report import print_record


def main() -> int:
    from gluon_liver.data.ct_loader import OpenCase
    from gluon_liver.data.study import Study
    from gluon_liver.inference.detector import SliceDetector
    from gluon_liver.inference.slices import detect_slices

    parser = options(__doc__)
    parser.add_argument("--dense", action="store_true")
    parser.add_argument("--slices", type=int, required=True)
    args = parser.parse_args()
    config = read_config(args)
    detector = SliceDetector(random_detector(config), config=config, context=mx.cpu())

    def read(slices: int) -> float:
        hu = np.random.default_rng(0).normal(150, 30, (slices, 512, 512))
        study = Study.from_arrays(hu, spacing=(1.0, 0.7, 0.7), phases=("arterial",))
        begin = time.perf_counter()
        found = detect_slices(detector, OpenCase.in_memory(study, config.data), dense=args.dense, progress=False)
        assert len(list(found)) == slices
        return time.perf_counter() - begin

    read(2)
    print_record([read(args.slices) / args.slices], packages=PACKAGES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
