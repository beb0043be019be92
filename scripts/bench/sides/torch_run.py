"""The PyTorch network of :mod:`.torch_c4` on one 800x800 image: inference, or a training step with SGD.

With --like FILE it takes the weights that ``ours_export`` wrote, and says how far its maps and heads are from ours.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import Any, Dict, Mapping

import numpy as np
import torch

from .report import print_record, timed
from .torch_c4 import detector
from .torch_weights import differences, load_ours

BOXES = [[100.0, 120.0, 180.0, 210.0], [400.0, 300.0, 470.0, 380.0], [560.0, 600.0, 690.0, 700.0]]
MOST_DIFFERENT = 1e-5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=("detect", "train"))
    parser.add_argument("--slices", type=int, default=1)
    parser.add_argument("--proposals", type=int, default=100)
    parser.add_argument("--norm", choices=("frozen", "eval"), default="frozen")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--like", help="weights and outputs of ours_export")
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--calls", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    net = detector(slices=args.slices, norm=args.norm, proposals=args.proposals)
    net.eval()
    checks: Dict[str, Any] = {}
    if args.like:
        checks = compare(net, np.load(args.like))
    if args.channels_last:
        net = net.to(memory_format=torch.channels_last)
    image = torch.rand(3 if args.slices == 1 else args.slices, 800, 800, generator=torch.Generator().manual_seed(1))
    call = detecting(net, image) if args.mode == "detect" else training(net, image, checks)
    seconds = timed(call, warm_up=args.warm_up, calls=args.calls)
    if not math.isfinite(checks.get("loss", 0.0)):
        sys.exit("the loss is not finite")
    print_record(seconds, packages=("torch", "torchvision", "numpy"), checks=checks)
    return 0


def compare(net: Any, arrays: Mapping[str, np.ndarray]) -> Dict[str, str]:
    """Give the network our weights; the largest difference of each output, relative to its largest value."""
    load_ours(net, arrays)
    with torch.inference_mode():
        found = differences(net, arrays)
    wrong = {name: value for name, value in found.items() if not value <= MOST_DIFFERENT}
    if wrong:
        sys.exit(f"the networks differ by more than {MOST_DIFFERENT}: {wrong}")
    return {f"difference of {name}": f"{value:.1e}" for name, value in found.items()}


def detecting(net: Any, image: torch.Tensor) -> Any:
    def call() -> None:
        with torch.inference_mode():
            net([image])

    return call


def training(net: Any, image: torch.Tensor, checks: Dict[str, Any]) -> Any:
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # running statistics, as with frozen BatchNorm here; scales and offsets learn
    targets = [{"boxes": torch.tensor(BOXES), "labels": torch.tensor([1, 2, 3])}]
    learned = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=1e-6, momentum=0.9, weight_decay=1e-4)

    def call() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = sum(net([image], targets).values())
        loss.backward()
        optimizer.step()
        checks["loss"] = round(float(loss.detach()), 4)

    return call


if __name__ == "__main__":
    sys.exit(main())
