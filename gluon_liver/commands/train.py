"""Train a configuration on prepared data and leave a run folder.

SIGTERM or Ctrl-C stops it after a step with a checkpoint and exit code 75; the same command with --resume auto goes on.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Optional

from gluon_liver.config.catalogue import check_experiment, choices_text
from gluon_liver.config.load import Choice, load_config
from gluon_liver.files.typed import at_least

from .options import (
    add_flag,
    add_options,
    add_path,
    add_tensorboard,
    board_folder,
    check,
    chosen,
    prepare_cache,
    tell_changed_labels,
)

if TYPE_CHECKING:
    from gluon_liver.config.schema import Config
    from gluon_liver.data.dataset import Dataset
    from gluon_liver.weights.source import Pretrained

EXAMPLES = (
    ("the demo's network", "--config demo-ct --data demo/data --out run"),
    (
        "a row of the paper from nothing, on one GPU, with two keys changed",
        "--config r50-2.5d recipe-scratch --data data --out run --devices gpu:0 --set train.epochs=40 data.size=512",
    ),
    ("go on where it was stopped", "--config demo-ct --data demo/data --out run --resume auto"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = f"a YAML file, or a name; further ones are laid over it: {choices_text()}"
    parser.add_argument("--config", required=True, nargs="+", metavar="NAME", help=text)
    add_path(parser, "--data", "DIR", "prepared data (see import ct)", required=True)
    add_path(parser, "--out", "RUN", "run folder to make", required=True)
    add_options(parser, "--set")
    parser.add_argument("--seed", type=int, metavar="N", help="shorthand for --set train.seed=N")
    parser.add_argument("--steps", type=int, metavar="N", help="stop after this many steps instead of after the epochs")
    formats = "GluonCV or MXNet .params, PyTorch .pth, .safetensors, .npz"
    text = f"start from the weights of a ResNet with bottlenecks, 2D or 3D: {formats}"
    own = "or of a run or its safetensors, with its predictors too where the classes are the same; prints what matched"
    add_path(parser, "--pretrained", "FILE|RUN|zoo:NAME", f"{text}; {own}")
    text = "the weights are of a CT net that takes HU from LOW to HIGH as 0 to 1"
    usual = "(default: images normalised as ImageNet's)"
    parser.add_argument("--pretrained-hu", type=float, nargs=2, metavar=("LOW", "HIGH"), help=f"{text} {usual}")
    add_path(parser, "--flow", "FILE", "parameters of LiteFlowNet for us-flow, made by convert-flow or train-flow")
    parser.add_argument(
        "--devices", metavar="DEVICES", help="cpu, cpu:N or gpu:0,1,...: shorthand for --set parallel.devices=..."
    )
    text = "local, device, nccl, dist_sync, dist_device_sync or dist_async: shorthand for --set parallel.kvstore=..."
    parser.add_argument("--kvstore", metavar="NAME", help=f"{text}; dist_* in a job of launch")
    add_flag(parser, "--amp", "mixed precision, on GPUs alone")
    text = "go on with RUN from a checkpoint; auto takes the newest intact one, and starts RUN if there is none"
    parser.add_argument("--resume", metavar="auto|CHECKPOINT", help=text)
    text = "with --resume, go on though labels of the training patients, or their other phases, are not what they were"
    add_flag(parser, "--changed-data", text)
    add_tensorboard(parser, "RUN")
    add_options(parser, "--cache", "--no-lock")


def run(args: argparse.Namespace) -> int:
    """Train; prints where the run is. 75 where a signal stopped it before its end: --resume auto goes on."""
    from gluon_liver.cluster import heartbeat
    from gluon_liver.config.parallel_limits import check_parallel
    from gluon_liver.data.open import check_task, open_dataset
    from gluon_liver.errors import InputError
    from gluon_liver.runs.devices import check_devices
    from gluon_liver.runs.run import Run, check_dead, was_started
    from gluon_liver.system.runtime import prefer_synchronous_engine
    from gluon_liver.training.resume_choice import find_continuation
    from gluon_liver.weights.source import Pretrained

    heartbeat.start()  # before MXNet, in whose code a worker may hang
    shorthands = {
        "train.seed": args.seed,
        "parallel.devices": args.devices,
        "parallel.kvstore": args.kvstore,
        "parallel.amp": "true" if args.amp else None,
    }
    overrides = [f"{key}={value}" for key, value in shorthands.items() if value is not None]
    choice = Choice(args.config, args.set + overrides)
    check_experiment(choice.names[0])
    config = load_config(*choice.names, overrides=choice.overrides)
    check(args, "steps", at_least(1))
    if args.pretrained_hu and not args.pretrained:
        raise InputError("--pretrained-hu says what --pretrained FILE takes: give both")
    if args.changed_data and not args.resume:
        raise InputError("--changed-data is for going on with a run: give --resume too")
    check_devices(config.parallel.devices)
    check_parallel(config)
    board = board_folder(args, args.out)
    dataset = open_dataset(args.data)
    check_task(config, dataset)
    distributed = config.parallel.kvstore.startswith("dist")
    hu = tuple(args.pretrained_hu) if args.pretrained_hu else None
    pretrained = Pretrained(args.pretrained, hu) if args.pretrained else None
    # what cannot be gone on with is told before MXNet is imported; train() asks again once the run is locked
    if not args.resume or not find_continuation(args.out, args.resume, config, dataset, changed_data=args.changed_data):
        _check_weights(args, config, dataset, pretrained)
        if not distributed:  # another worker may have made the folder by now
            if args.resume and was_started(args.out):
                check_dead(args.out)
            else:
                Run.check_new(args.out, dataset=dataset)
    if config.parallel.devices in ("cpu", "cpu:1") and not distributed:
        prefer_synchronous_engine()
    from gluon_liver.training.train import train

    prepare_cache(args)
    tell_changed_labels(dataset)
    options = chosen(args, "steps", "flow", "resume", "changed_data")
    finished = train(config, dataset, args.out, pretrained=pretrained, chosen=choice, tensorboard=board, **options)
    if finished is None:  # a worker that does not lead: the one that does tells how the job ended
        return 0
    print(f"run: {finished.folder}")
    return 0 if finished.progress()[2] else heartbeat.AGAIN


def _check_weights(
    args: argparse.Namespace, config: Config, dataset: Dataset, pretrained: Optional[Pretrained]
) -> None:
    """Raise :class:`InputError` for weights that training cannot start from, as far as MXNet is not needed to tell."""
    from gluon_liver.flow.options import check_flow
    from gluon_liver.readers.weights.formats import check_file
    from gluon_liver.runs.run import check_weights
    from gluon_liver.weights.source import check_hu, check_source

    check_weights(args.pretrained, args.flow)
    check_flow(config, args.flow)
    if pretrained is not None:
        check_hu(pretrained, dataset)
        path, _ = check_source(config, pretrained)
        if path.is_file():
            check_file(path)
