"""Train a configuration on prepared data and leave a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config import config_names, load_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``train.py``."""
    parser.add_argument("--config", required=True, metavar="NAME",
                        help="a YAML file, or one of: {}".format(", ".join(config_names())))
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="prepared data (see import ct)")
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="run folder to make")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="change one key of the configuration, e.g. train.epochs=5; may be repeated")
    parser.add_argument("--seed", type=int, help="shorthand for --set train.seed=SEED")
    parser.add_argument("--steps", type=int, help="stop after this many steps instead of after the epochs")
    parser.add_argument("--pretrained", type=Path, metavar="FILE",
                        help="start from the weights of a ResNet with bottlenecks, 2D or 3D: GluonCV or MXNet .params, "
                             "PyTorch .pth, .safetensors, .npz; prints what matched")
    parser.add_argument("--pretrained-hu", type=float, nargs=2, metavar=("LOW", "HIGH"),
                        help="the weights are of a CT net that takes HU from LOW to HIGH as 0 to 1 "
                             "(default: images normalised as ImageNet's)")
    parser.add_argument("--flow", type=Path, metavar="FILE",
                        help="parameters of LiteFlowNet for us-flow, made by convert-flow or train-flow")
    parser.add_argument("--device", default="cpu", help="cpu (default) or gpu:N")


def run(args: argparse.Namespace) -> int:
    """Train; prints where the run is."""
    from ..runtime import prefer_synchronous_engine

    if args.device == "cpu":
        prefer_synchronous_engine()
    from ..data.kinds import open_dataset
    from ..engine.device import parse_device
    from ..engine.train import train
    from ..engine.transfer import Pretrained
    from ..errors import ConfigError, InputError

    overrides = list(args.set) + ([] if args.seed is None else ["train.seed={}".format(args.seed)])
    config = load_config(args.config, overrides=overrides)
    if args.steps is not None and args.steps < 1:
        raise ConfigError("--steps {}: it must be 1 or more".format(args.steps))
    if args.pretrained_hu and not args.pretrained:
        raise InputError("--pretrained-hu says what --pretrained FILE takes: give both")
    pretrained = None
    if args.pretrained:
        pretrained = Pretrained(args.pretrained, tuple(args.pretrained_hu) if args.pretrained_hu else None)
    finished = train(config, open_dataset(args.data), args.out, context=parse_device(args.device), steps=args.steps,
                     pretrained=pretrained, flow=args.flow)
    print("run: {}".format(finished.folder))
    return 0
