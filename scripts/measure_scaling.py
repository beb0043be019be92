"""One training, parted in many ways: what each leaves against one device, and how fast each is on this machine.

    python scripts/measure_scaling.py --data DATA --config demo-ct --batch-size 4 --steps 10

Every way trains the same steps of the same images with frozen BatchNorm and SGD. Prints for each the largest absolute
difference of any parameter from the run on one device, and images a second over the last steps, one after the other on
one machine whose cores all of them share. The processes of a job get an equal part of the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mxnet as mx
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
# name: (workers, servers, options of train.py)
WAYS = {
    "1 device": (0, 0, []),
    "1 device, 2 parts": (0, 0, ["--set", "parallel.accumulate=2"]),
    "2 devices, local": (0, 0, ["--devices", "cpu:2", "--kvstore", "local"]),
    "4 devices, local": (0, 0, ["--devices", "cpu:4", "--kvstore", "local"]),
    "2 devices, device": (0, 0, ["--devices", "cpu:2"]),
    "4 devices, device": (0, 0, ["--devices", "cpu:4"]),
    "1 worker, dist_sync": (1, 1, ["--kvstore", "dist_sync"]),
    "2 workers, dist_sync": (2, 2, ["--kvstore", "dist_sync"]),
    "3 workers, dist_sync": (3, 1, ["--kvstore", "dist_sync"]),
    "4 workers, dist_sync": (4, 2, ["--kvstore", "dist_sync"]),
    "2 workers of 2 devices, dist_sync": (2, 1, ["--kvstore", "dist_sync", "--devices", "cpu:2"]),
    "2 workers, dist_device_sync": (2, 2, ["--kvstore", "dist_device_sync"]),
    "2 workers, dist_async": (2, 2, ["--kvstore", "dist_async"]),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=list(WAYS), default=list(WAYS))
    args, options = parser.parse_known_args()
    reference = None
    print(f"{'way':<36} {'difference':>12} {'images/s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name in dict.fromkeys(["1 device", *args.only]):
            parameters, speed = one_way(name, Path(folder) / name.replace(" ", "-"), args, options)
            reference = parameters if reference is None else reference
            difference = max(
                float(np.abs(parameters[key].asnumpy() - reference[key].asnumpy()).max()) for key in reference
            )
            print(f"{name:<36} {difference:>12.1e} {speed:>10.2f}", flush=True)
    return 0


def one_way(name: str, out: Path, args: argparse.Namespace, options: list) -> tuple:
    """Parameters after the last step, and images a second over the second half of the steps."""
    workers, servers, own = WAYS[name]
    command = [
        str(ROOT / "train.py"),
        "--config",
        args.config,
        "--data",
        args.data,
        "--out",
        str(out),
        "--steps",
        str(args.steps),
        "--set",
        "network.batch_norm=frozen",
        "--set",
        "train.optimizer=sgd",
        "--set",
        f"train.batch_size={args.batch_size}",
        "--set",
        "train.log_every=1",
        *own,
        *options,
    ]
    settings = dict(os.environ, PYTHONPATH=str(ROOT))
    if workers:
        command = ["-m", "gluon_liver", "launch", "--workers", str(workers), "--servers", str(servers), "--", *command]
    done = subprocess.run(
        [sys.executable, *command],
        env=settings,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    records = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [record for record in records if record["event"] == "step"]
    half = steps[len(steps) // 2 :]
    seconds = half[-1]["time"] - half[0]["time"]
    speed = (len(half) - 1) * args.batch_size / seconds
    return mx.nd.load(str(out / "checkpoints" / f"step-{args.steps:08d}" / "net.params")), speed


if __name__ == "__main__":
    sys.exit(main())
