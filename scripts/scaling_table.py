"""The tables of docs/distributed.md: bytes a step, step time and efficiency that are to be expected. Computed, not run.

    python scripts/scaling_table.py                 assumptions as they stand below
    python scripts/scaling_table.py --share 0.25    another achieved share of a GTX 1080's peak

Parameters and multiplications are counted in the networks of the configurations themselves; the rest is arithmetic.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

PEAK = 8.9e12  # float32 FLOP/s of a GTX 1080, printed by NVIDIA
PCIE = 6e9  # bytes/s one way: 8 lanes of PCIe 3.0 (7.9e9 on paper), as boards for four cards give each
LINK_SHARE = 0.8  # of a network's bit rate that ps-lite gets through
SUM = 5e9  # bytes/s of gradients that a server adds up
LINKS = (1, 10, 25, 100)  # Gbit/s
WORKERS = (8, 64, 256, 1024)
UNSPLIT = 10**6  # MXNET_KVSTORE_BIGARRAY_BOUND: an array with fewer elements goes to one server whole

# configuration -> phases, images a device, and passes over the network a step: forward 1, backward 2, mirrored 1 more
ROWS = {"r50": (1, 1, 3), "r101-multimodal": (3, 1, 4), "us-flow": (1, 2, 3)}


@dataclass(frozen=True)
class Load:
    """One training step of one device."""

    name: str
    images: int
    parameters: int  # that are learned
    unsplit: int  # elements of the largest array below UNSPLIT
    forward: float  # FLOP of one image; a multiplication and an addition are two
    passes: int

    @property
    def bytes(self) -> int:
        """Of the gradients, as of the parameters: float32."""
        return 4 * self.parameters

    def seconds(self, share: float) -> float:
        """Of a step's arithmetic on a GTX 1080."""
        return self.images * self.forward * self.passes / (share * PEAK)


def load_of(name: str) -> Load:
    """Count a configuration's parameters and the multiplications of its training graph."""
    from gluon_liver.config.load import load_config  # first of all: it prepares MXNet's import

    import mxnet as mx  # isort: skip
    import numpy as np  # isort: skip

    from gluon_liver.nn.build import make_detector
    from gluon_liver.speed.measure import step_arithmetic

    phases, images, passes = ROWS[name]
    config = load_config(name)
    classes = ("cyst", "hemangioma", "hcc") if config.task == "ct" else ("tumor", "vessel")
    detector = make_detector(config, classes=classes, phases=phases, context=mx.cpu())
    sizes = [int(np.prod(p.shape)) for p in detector.collect_learned().values() if p.grad_req != "null"]
    unsplit = max(size for size in sizes if size < UNSPLIT)
    return Load(name, images, sum(sizes), unsplit, 2 * step_arithmetic(config, detector).forward, passes)


def pcie_seconds(bytes_: int, devices: int = 4) -> float:
    """KVStore ``device``: each card adds up a share of the keys and gives the sums back, both over its own lanes."""
    return 2 * (devices - 1) / devices * bytes_ / PCIE


def server_seconds(bytes_: int, unsplit: int, *, workers: int, servers: int, shared: bool, gbit: float) -> float:
    """Parameter server: a server takes in and adds up workers * bytes / servers, then sends as much.

    One server holds the largest unsplit array (bytes). ``shared``: servers run on the workers' machines, and both send
    through one link; otherwise a worker's own bytes are the least.
    """
    link = gbit * 1e9 / 8 * LINK_SHARE
    a_server = workers * max(bytes_ / servers, unsplit)
    on_the_link = bytes_ + a_server if shared else max(bytes_, a_server)
    return max(on_the_link / link, a_server / SUM) + on_the_link / link


def efficiencies(compute: float, exchange: float) -> tuple:
    """Share of a step that is arithmetic: nothing overlapped, and all of the exchange behind the backward pass."""
    return compute / (compute + exchange), compute / max(compute, compute / 3 + exchange)


def cell(compute: float, exchange: float) -> str:
    """Seconds of a step with nothing overlapped, and its efficiency from there to all overlapped that can be."""
    worst, best = efficiencies(compute, exchange)
    seconds = compute + exchange
    decimals = 2 if seconds < 10 else 0
    return f"{seconds:.{decimals}f} s, {100 * worst:.0f} to {100 * best:.0f} %"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.4, help="achieved share of the card's peak (default 0.4)")
    share = parser.parse_args().share
    loads = [load_of(name) for name in ROWS]
    print(
        "| | images a card | parameters, million | MB a step, each way | forward, TFLOP an image | arithmetic of a "
        "step, s | four cards by PCIe |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for load in loads:
        print(
            f"| {load.name} | {load.images} | {load.parameters / 1e6:.1f} | {load.bytes / 1e6:.0f} "
            f"| {load.forward / 1e12:.2f} | {load.seconds(share):.2f} "
            f"| {cell(load.seconds(share), pcie_seconds(load.bytes))} |"
        )
    for shared in (True, False):
        where = "a server on every worker's machine" if shared else "eight servers on machines of their own"
        columns = " | ".join(f"{workers:,} workers" for workers in WORKERS)
        rules = " --- |" * len(WORKERS)
        print(f"\n**One card a worker, {where}**\n\n| | Gbit/s | {columns} |\n| --- | --- |{rules}")
        for load in loads:
            for gbit in LINKS:
                times = [
                    server_seconds(
                        load.bytes,
                        4 * load.unsplit,
                        workers=workers,
                        gbit=gbit,
                        shared=shared,
                        servers=workers if shared else 8,
                    )
                    for workers in WORKERS
                ]
                cells = " | ".join(cell(load.seconds(share), seconds) for seconds in times)
                print(f"| {load.name} | {gbit} | {cells} |")


if __name__ == "__main__":
    main()
