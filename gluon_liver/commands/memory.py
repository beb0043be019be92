"""Print what a training step takes of one device's memory, by MXNet's plan, without and with mirroring.

Nothing is trained or computed, and no GPU is needed.
"""

from __future__ import annotations

import argparse

from gluon_liver.config.load import config_names, load_config
from gluon_liver.config.schema import Config
from gluon_liver.files.typed import between

from .options import add_options, check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "YAML files or names of configurations; by default all but the bases"
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help=text)
    add_options(parser, "--set")
    text = "phases that network.multi_modal relates, 2 to 4 (default 3, those that the paper names)"
    parser.add_argument("--phases", type=int, default=3, metavar="N", help=text)
    text = "images a device, shorthand for --set train.batch_size=N"
    parser.add_argument("--batch-size", type=int, metavar="N", help=text)
    text = "memory of the device in GiB (default 8, a GTX 1080)"
    parser.add_argument("--limit-gb", type=float, default=8.0, metavar="GB", help=text)


def run(args: argparse.Namespace) -> int:
    """Print one table a configuration; 0 whether or not they fit."""
    from gluon_liver.data.ct_dataset import input_phases
    from gluon_liver.errors import ConfigError
    from gluon_liver.training.memory_plan import MIB, NOTES, format_plans, memory_plan

    check(args, "limit_gb", between(0, 1_000_000))
    if args.batch_size is not None and args.batch_size > 256:
        raise ConfigError(f"--batch-size {args.batch_size}: at most 256, each image has its part of the graph")
    if not 2 <= args.phases <= 4:
        raise ConfigError(f"--phases {args.phases}: it must be 2 to 4; one phase is network.multi_modal=false")
    names = args.configs or [name for name in config_names() if not name.startswith(("base-", "on-"))]
    overrides = args.set + ([] if args.batch_size is None else [f"train.batch_size={args.batch_size}"])
    configs = [load_config(name, overrides=overrides) for name in names]
    for name, config in zip(names, configs):
        phases = input_phases(config, [f"phase {number}" for number in range(args.phases)])
        plans = [memory_plan(config, phases=phases, mirror=mirror) for mirror in (False, True)]
        print(f"{name}: {_headline(config, phases)}\n{format_plans(plans, int(args.limit_gb * 1024 * MIB))}\n")
    print(NOTES)
    return 0


def _headline(config: Config, phases: int) -> str:
    size, images = config.data.size, f"{config.images_a_device} x {phases} phase{'s' if phases > 1 else ''}"
    how = f"{config.train.optimizer}, BatchNorm {config.network.batch_norm}"
    return f"{images} of {size}x{size}x{config.data.slices} on one device, {how}"
