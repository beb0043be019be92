"""Write a split of prepared data as a record file, which symbols/module_train.py and module_test.py read.

The network's input is written as a run's or a configuration's data section says, so the file serves that network alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_liver.commands.options import add_options, add_path, open_run, prepare_cache
from gluon_liver.errors import InputError

EXAMPLES = (
    ("the test split as a run reads it", "--run demo/run --split test --out test.rec"),
    ("the training split for a configuration", "--config r50 --data data --split train --out train.rec"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "--run", "RUN", "take configuration and data of a run folder")
    parser.add_argument("--config", help="a packaged configuration or a YAML file; with --data instead of --run")
    add_options(parser, "--set", "--data", "--cache")
    parser.add_argument("--split", choices=("train", "val", "test"), required=True, help="which patients")
    parser.add_argument("--out", type=Path, required=True, metavar="NAME.rec", help="file to write")


def run(args: argparse.Namespace) -> int:
    """Write the file; prints how many images it holds."""
    from gluon_liver.config.load import load_config
    from gluon_liver.data.open import open_dataset
    from gluon_liver.files.output_folder import check_new

    check_new(args.out, what="name")
    if args.out.suffix != ".rec":
        raise InputError(f"--out {args.out}: the name of a record file ends in .rec")
    if (args.run is None) == (args.config is None) or (args.config is not None and args.data is None):
        raise InputError("give --run RUN, or --config NAME and --data DIR")
    if args.run is not None:
        if args.set:
            raise InputError("--set changes --config: a run's configuration stays as it is")
        opened, dataset = open_run(args)
        opened.check_dataset(dataset)
        config = opened.config
    else:
        config, dataset = load_config(args.config, overrides=args.set), open_dataset(args.data)
    if args.split != "train" and not dataset.labels_of(args.split):
        raise InputError(f"no labelled {dataset.image} in the {args.split} split of {dataset.folder}")
    from gluon_liver.legacy.record_file import write_records

    prepare_cache(args)
    print(f"{args.out}: {write_records(config, dataset, args.split, args.out, progress=True)} images")
    return 0
