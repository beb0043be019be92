"""One training step and one inference of a configuration at its own size, each configuration in a process of its own.

    python scripts/measure_rows.py r50 r101-fusion --batch-size 1

Prints seconds, the peak memory of the process, the losses, and which parameters get a gradient. The input is noise
with one box an image: nothing here is a result. Three steps are made, because what lies behind weights that start at
zero gets its first gradient later: in the second step behind bn3.gamma of each bottleneck and the projection of a
relation, in the third phi, behind the relation's theta.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time


def measure(name: str, overrides: list, phases: int) -> dict:
    """Figures of one configuration, in this process."""
    from gluon_liver.system.runtime import prefer_synchronous_engine

    prefer_synchronous_engine()
    import mxnet as mx
    import numpy as np

    from gluon_liver.config.load import load_config
    from gluon_liver.data.ct_labels import CLASSES
    from gluon_liver.data.samples import Sample
    from gluon_liver.inference.detector import SliceDetector
    from gluon_liver.training.batches import make_batch
    from gluon_liver.training.trainer import DetectorTrainer

    config = load_config(name, overrides=overrides)
    phases = phases if config.network.multi_modal else 1
    size, slices, batch_size = config.data.size, config.data.slices, config.train.batch_size
    rng = np.random.default_rng(0)

    def sample():
        image = rng.integers(0, 256, (phases, 1, slices, size, size)).astype(np.uint8)
        box = np.array([[0.3, 0.35, 0.42, 0.5]], np.float32) * size
        return Sample(image, box, np.array([1], np.int32), 1.0, np.ones(phases, bool))

    trainer = DetectorTrainer(config, classes=CLASSES, phases=phases, contexts=[mx.cpu()])
    batch = make_batch(
        [sample() for _ in range(batch_size)],
        anchors=trainer.anchors,
        network=config.network,
        rngs=[np.random.default_rng(i) for i in range(batch_size)],
        random_numbers=rng.random((batch_size, trainer.detector.random_number_count), np.float32),
    )
    seconds, losses, without = [], [], []
    for _ in range(3):
        start = time.monotonic()
        losses.append(trainer.step(batch, learning_rate=1e-4))
        mx.nd.waitall()
        seconds.append(time.monotonic() - start)
        gradients = {
            key: parameter
            for key, parameter in trainer.detector.collect_learned().items()
            if parameter.grad_req != "null"
        }
        without.append([key for key, one in gradients.items() if not np.abs(one.grad().asnumpy()).max() > 0])
    learned = trainer.detector.collect_learned()
    figures = {
        "config": name,
        "size": size,
        "slices": slices,
        "phases": phases,
        "batch_size": batch_size,
        "parameters_million": round(sum(int(np.prod(one.shape)) for one in gradients.values()) / 1e6, 2),
        "anchors": len(trainer.anchors),
        "mirrored": config.train.mirror,
        "train_seconds": [round(value, 1) for value in seconds],
        "train_peak_gb": peak_gb(),
        "losses": losses,
        "no_gradient_by_design": sorted({key.rpartition(".")[2] for key in set(learned) - set(gradients)}),
        "zero_gradient_first_step": len(without[0]),
        "zero_gradient_third_step": without[2],
    }
    detector = SliceDetector(trainer.detector, config=config, context=mx.cpu())
    one = sample()
    for _ in range(2):  # the first call plans the graph
        start = time.monotonic()
        detector.detect(one.image[None], one.present[None], scales=[1.0], shapes=[(size, size)])
        figures["detect_seconds"] = round(time.monotonic() - start, 2)
    return figures


def peak_gb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", metavar="CONFIG")
    parser.add_argument("--batch-size", type=int, help="images a step; 1 freezes BatchNorm, which needs 2 when live")
    parser.add_argument("--phases", type=int, default=3, help="of configurations that relate phases (default 3)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    overrides = list(args.set)
    if args.batch_size is not None:
        overrides.append(f"train.batch_size={args.batch_size}")
    if args.batch_size == 1:
        overrides.append("network.batch_norm=frozen")
    if args.here:
        print(json.dumps(measure(args.configs[0], overrides, args.phases), indent=1))
        return 0
    status = 0
    for name in args.configs:
        command = [sys.executable, __file__, name, "--here", "--phases", str(args.phases)]
        for override in overrides:
            command += ["--set", override]
        finished = subprocess.run(command)
        if finished.returncode:
            print(f"{name}: ended with {finished.returncode} (-9: the machine had no memory left)")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
