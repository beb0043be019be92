"""A training step of a configuration here on one image: targets, forward, backward, update."""

from __future__ import annotations

import math
import sys

from .ours import CLASSES, PACKAGES, mx, options, random_batch, random_sample, read_config
from .report import print_record, timed

RATE = 1e-6  # nothing is learned of random images


def main() -> int:
    from gluon_liver.training.trainer import DetectorTrainer

    args = options(__doc__).parse_args()
    config = read_config(args)
    trainer = DetectorTrainer(config, classes=CLASSES, phases=args.phases, contexts=[mx.cpu()])
    samples = [random_sample(config, phases=args.phases)]
    losses = {}

    def call() -> None:
        batch = random_batch(config, trainer.detector, trainer.anchors, samples)
        losses.update(trainer.step(batch, learning_rate=RATE))
        mx.nd.waitall()

    seconds = timed(call, warm_up=args.warm_up, calls=args.calls)
    if not math.isfinite(losses["total"]):
        sys.exit(f"the loss is not finite: {losses}")
    print_record(seconds, packages=PACKAGES, checks={"loss": round(losses["total"], 4)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
