"""Turn a Module checkpoint of one of symbols/'s networks into a run folder.

evaluate.py, detect and watch take RUN as one of their own, and training goes on from its weights with
`train.py --config RUN/config.yaml --data DATA --out RUN --resume auto`. PREFIX-symbol.json is not read: the
configuration says what the network is, and every parameter must fit it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_liver.commands.options import add_options, add_path, check, prepare_device
from gluon_liver.errors import InputError
from gluon_liver.files.typed import within

EXAMPLES = (("an export back as a run", "exported/detector --data demo/data --out run"),)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prefix", metavar="PREFIX", help="the checkpoint is PREFIX-0000.params")
    parser.add_argument("--epoch", type=int, default=0, metavar="N", help="number in the name of the file")
    text = "config.json of an export (default: the one beside PREFIX), or a configuration as train.py takes it"
    parser.add_argument("--config", metavar="NAME", help=text)
    add_options(parser, "--set")
    text = "prepared data whose training patients the checkpoint was trained on"
    add_path(parser, "--data", "DIR", text, required=True)
    add_path(parser, "--out", "RUN", "run folder to make", required=True)
    add_options(parser, "--no-lock")


def run(args: argparse.Namespace) -> int:
    """Import; prints where the run is."""
    from gluon_liver.config.load import load_config
    from gluon_liver.data.open import check_task, open_dataset
    from gluon_liver.legacy.module_config import CONFIG, params_of, read_legacy_config
    from gluon_liver.runs.run import Run

    check(args, "epoch", within(0, 9999))
    dataset = open_dataset(args.data)
    config = None
    if args.config is not None and not args.config.endswith(".json"):
        config = load_config(args.config, overrides=args.set)
    elif args.set:
        raise InputError("--set changes a configuration that --config names; a config.json says all of it")
    params_of(args.prefix, args.epoch)
    if config is None:
        path = Path(args.config) if args.config else Path(args.prefix).with_name(CONFIG)
        config = read_legacy_config(path, dataset)
    check_task(config, dataset)
    Run.check_new(args.out, dataset=dataset)
    prepare_device(args)
    from gluon_liver.legacy.checkpoints import import_legacy

    made = import_legacy(args.prefix, config, dataset, args.out, epoch=args.epoch)
    print(f"run: {made.folder}")
    return 0
