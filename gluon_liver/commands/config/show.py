"""Print a configuration as training would take it: every key, with those that its file does not name.

What is printed is a YAML file that --config takes.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import add_options

from .named import NAME_HELP, named_config

EXAMPLES = (
    ("the demo's network and recipe", "demo-ct"),
    ("a row trained from nothing, with two keys changed", "r50 recipe-scratch --set train.epochs=5 data.size=512"),
    ("what a run was trained with", "demo/run"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = f"{NAME_HELP}; further ones are laid over it"
    parser.add_argument("names", nargs="+", metavar="NAME", help=text)
    add_options(parser, "--set")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from gluon_liver.config.load import config_text

    print(config_text(named_config(*args.names, overrides=args.set)), end="")
    return 0
