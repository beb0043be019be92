"""Train a configuration on prepared data and leave a run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_liver.config.load import config_names, load_config
from gluon_liver.files.typed import at_least

from .options import add_options, check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``train.py``."""
    parser.add_argument(
        "--config",
        required=True,
        nargs="+",
        metavar="NAME",
        help=f"a YAML file, or one of: {', '.join(config_names())}; further ones are laid over it, e.g. on-4-gtx1080",
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="prepared data (see import ct)")
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="run folder to make")
    add_options(parser, "--set")
    parser.add_argument("--seed", type=int, help="shorthand for --set train.seed=SEED")
    parser.add_argument("--steps", type=int, help="stop after this many steps instead of after the epochs")
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="FILE",
        help="start from the weights of a ResNet with bottlenecks, 2D or 3D: GluonCV or MXNet .params, "
        "PyTorch .pth, .safetensors, .npz; prints what matched",
    )
    parser.add_argument(
        "--pretrained-hu",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="the weights are of a CT net that takes HU from LOW to HIGH as 0 to 1 "
        "(default: images normalised as ImageNet's)",
    )
    parser.add_argument(
        "--flow",
        type=Path,
        metavar="FILE",
        help="parameters of LiteFlowNet for us-flow, made by convert-flow or train-flow",
    )
    parser.add_argument("--devices", help="cpu, cpu:N or gpu:0,1,...: shorthand for --set parallel.devices=...")
    parser.add_argument(
        "--kvstore",
        help="local, device, nccl, dist_sync, dist_device_sync or dist_async: shorthand "
        "for --set parallel.kvstore=...; dist_* in a job of launch",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision, on GPUs alone")
    parser.add_argument(
        "--resume",
        metavar="auto|CHECKPOINT",
        help="go on with RUN from a checkpoint; auto takes the newest intact one, and starts RUN if there is none",
    )


def run(args: argparse.Namespace) -> int:
    """Train; prints where the run is."""
    from gluon_liver.cluster import heartbeat
    from gluon_liver.errors import InputError
    from gluon_liver.system.runtime import prefer_synchronous_engine

    heartbeat.start()  # before MXNet, in whose code a worker may hang
    shorthands = {
        "train.seed": args.seed,
        "parallel.devices": args.devices,
        "parallel.kvstore": args.kvstore,
        "parallel.amp": "true" if args.amp else None,
    }
    overrides = [f"{key}={value}" for key, value in shorthands.items() if value is not None]
    config = load_config(*args.config, overrides=args.set + overrides)
    if config.parallel.devices in ("cpu", "cpu:1") and not config.parallel.kvstore.startswith("dist"):
        prefer_synchronous_engine()
    from gluon_liver.data.open import open_dataset
    from gluon_liver.training.train import train
    from gluon_liver.weights.pretrained import Pretrained

    check(args, "steps", at_least(1))
    if args.pretrained_hu and not args.pretrained:
        raise InputError("--pretrained-hu says what --pretrained FILE takes: give both")
    pretrained = None
    if args.pretrained:
        pretrained = Pretrained(args.pretrained, tuple(args.pretrained_hu) if args.pretrained_hu else None)
    finished = train(
        config,
        open_dataset(args.data),
        args.out,
        steps=args.steps,
        pretrained=pretrained,
        flow=args.flow,
        resume=args.resume,
    )
    if finished is not None:
        print(f"run: {finished.folder}")
    return 0
