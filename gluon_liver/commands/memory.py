"""Print what a training step takes of one device's memory, by MXNet's plan, without and with mirroring.

Nothing is trained or computed, and no GPU is needed.
"""

from __future__ import annotations

import argparse
import sys
from typing import List, Tuple

from gluon_liver.config.catalogue import EXPERIMENT, config_names, kind_of
from gluon_liver.config.load import load_config
from gluon_liver.config.schema import Config
from gluon_liver.files.typed import at_least, at_most, between

from .options import add_options, check

MOST_CLASSES = 10_000  # more than any data have: the network's last layers grow with it

EXAMPLES = (
    ("the demo's and the paper's network", "demo-ct r50"),
    (
        "a row on your data, with bottlenecks computed again",
        "r101-multimodal --data data --set train.mirror=true --limit-gb 11",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = (
        "YAML files or names of configurations; by default all networks, without what is of a recipe, a size or a set"
    )
    parser.add_argument("configs", nargs="*", metavar="CONFIG", help=text)
    add_options(parser, "--set")
    text = "prepared data that say how many classes and phases there are"
    add_options(parser, "--data", help=text)
    text = "classes that the network tells apart (default: the data's, else the paper's: 3 of CT, 2 of ultrasound)"
    parser.add_argument("--classes", type=int, metavar="N", help=text)
    text = "phases that network.relation relates, 2 to 4 (default: the data's, else 3, those that the paper names)"
    parser.add_argument("--phases", type=int, metavar="N", help=text)
    text = "images a device, shorthand for --set train.batch_size=N"
    parser.add_argument("--batch-size", type=int, metavar="N", help=text)
    text = "memory of the device in GiB; a GTX 1080 has 8"
    parser.add_argument("--limit-gb", type=float, default=8.0, metavar="GB", help=text)


def run(args: argparse.Namespace) -> int:
    """Print one table a configuration; 0 whether or not they fit."""
    from gluon_liver.errors import ConfigError

    check(args, "limit_gb", between(0, 1_000_000))
    check(args, "classes", at_least(1) & at_most(MOST_CLASSES))
    if args.batch_size is not None and args.batch_size > 256:
        raise ConfigError(f"--batch-size {args.batch_size}: at most 256, each image has its part of the graph")
    if args.phases is not None and not 2 <= args.phases <= 4:
        raise ConfigError(f"--phases {args.phases}: it must be 2 to 4; one phase is network.relation=off")
    networks = list(_networks(args))
    from gluon_liver.training.memory_plan import MIB, NOTES, format_plans, memory_plan

    for name, config, classes, phases in networks:
        plans = [memory_plan(config, classes=classes, phases=phases, mirror=mirror) for mirror in (False, True)]
        headline = _headline(config, phases, classes)
        print(f"{name}: {headline}\n{format_plans(plans, int(args.limit_gb * 1024 * MIB))}\n")
    print(NOTES)
    return 0


def _networks(args: argparse.Namespace) -> List[Tuple[str, Config, int, int]]:
    """Name, configuration, classes and phases of each; those that do not go with --data are left out if not named."""
    from gluon_liver.data.ct_dataset import input_phases
    from gluon_liver.data.open import TASKS, check_task, open_dataset
    from gluon_liver.errors import InputError

    data = open_dataset(args.data) if args.data else None
    overrides = args.set + ([] if args.batch_size is None else [f"train.batch_size={args.batch_size}"])
    networks = []
    for name in args.configs or [name for name in config_names() if kind_of(name) == EXPERIMENT]:
        config = load_config(name, overrides=overrides)
        try:
            if data is not None:
                check_task(config, data)
            if data is not None and args.phases is None:
                phases = data.input_phases(config)
            else:
                phases = input_phases(config, [f"phase {number}" for number in range(args.phases or 3)])
        except InputError as error:
            if args.configs:
                raise
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        classes = data.classes if data is not None else TASKS[config.task].dataset.paper_classes
        networks.append((name, config, args.classes or len(classes), phases))
    return networks


def _headline(config: Config, phases: int, classes: int) -> str:
    from gluon_liver.training.memory_plan import frames_of

    side, images = f"{config.data.size}x{config.data.size}", config.images_a_device
    taken = f"{_count(phases, 'phase')} of {side}x{config.data.slices}"
    if config.task == "us":
        taken = f"{_count(frames_of(config), 'frame')} of {side}"
    told = _count(classes, "class", "es")
    return f"{images} x {taken} on one device, {told}, {config.train.optimizer}, BatchNorm {config.network.batch_norm}"


def _count(number: int, name: str, ending: str = "s") -> str:
    return f"{number} {name}{ending if number > 1 else ''}"
