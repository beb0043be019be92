"""Write a split of prepared data as a record file, which symbols/module_train.py and module_test.py read.

The network's input is written as a run's or a configuration's data section says, so the file serves that network alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_liver.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``records``."""
    parser.add_argument("--run", type=Path, metavar="RUN", help="take configuration and data of a run folder")
    parser.add_argument("--config", help="a packaged configuration or a YAML file; with --data instead of --run")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change one key of --config; may be repeated",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="prepared data; the run's own by default")
    parser.add_argument("--split", choices=("train", "val", "test"), required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="NAME.rec")


def run(args: argparse.Namespace) -> int:
    """Write the file; prints how many images it holds."""
    from gluon_liver.config.load import load_config
    from gluon_liver.data.open import open_dataset
    from gluon_liver.legacy.record_file import write_records
    from gluon_liver.runs.run import Run

    if (args.run is None) == (args.config is None) or (args.config is not None and args.data is None):
        raise InputError("give --run RUN, or --config NAME and --data DIR")
    if args.run is not None:
        if args.overrides:
            raise InputError("--set changes --config: a run's configuration stays as it is")
        opened = Run.open(args.run)
        config, folder = opened.config, args.data if args.data is not None else opened.data_folder
    else:
        config, folder = load_config(args.config, overrides=args.overrides), args.data
    dataset = open_dataset(folder)
    if args.run is not None and config.is_ct:
        opened.check_dataset(dataset)
    print(f"{args.out}: {write_records(config, dataset, args.split, args.out, progress=True)} images")
    return 0
