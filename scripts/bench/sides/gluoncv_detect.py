"""GluonCV's faster_rcnn_resnet50_v1b_coco on one 800x800 frame, as it comes or tuned.

Tuned is what this project does to MXNet around it: as many threads as cores, the CPU's own kernels of OpenBLAS, a
static graph.
"""

from __future__ import annotations

import argparse
import os
import sys

import gluon_liver

from .report import print_record, timed

SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_CORETYPE")  # that the import above gave MXNet


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--calls", type=int, default=3)
    args = parser.parse_args()
    assert gluon_liver.__version__  # it also gives NumPy the names that MXNet needs on Python 3.12
    if not args.tuned:
        for name in SETTINGS:
            os.environ.pop(name, None)
    import mxnet as mx
    from gluoncv.model_zoo import get_model

    mx.random.seed(0)
    net = get_model("faster_rcnn_resnet50_v1b_coco", pretrained=False, pretrained_base=False)
    net.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    if args.tuned:
        net.hybridize(static_alloc=True, static_shape=True)
    image = mx.nd.random.normal(shape=(1, 3, 800, 800))

    def call() -> None:
        for output in net(image):
            output.asnumpy()

    print_record(timed(call, warm_up=args.warm_up, calls=args.calls), packages=("mxnet", "gluoncv", "numpy"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
