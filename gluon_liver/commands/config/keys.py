"""Say what keys of a configuration mean: type, limits and default, as `config show` prints and --set takes them."""

from __future__ import annotations

import argparse
import textwrap

from gluon_liver.config.explain import KEYS, matching

EXAMPLES = (
    ("one key", "train.learning_rate"),
    ("all of a section, and all that begin alike", "network.rpn train.warmup"),
    ("a key whose section you do not know", "epochs"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "a key, a section (train, network.rpn), how keys begin, or a key's last word (default: all keys)"
    parser.add_argument("keys", nargs="*", metavar="KEY", help=text)


def run(args: argparse.Namespace) -> int:
    """Print what they mean."""
    print("\n\n".join(map(text, matching(args.keys))))
    return 0


def text(key: str) -> str:
    """A key's default, meaning, type and limits."""
    told = KEYS[key]
    wanted = f"{told.type}; {told.limit}" if told.limit else told.type
    only = [f"networks of {told.only} alone have it"] if told.only else []
    lines = [line for part in [told.meaning, wanted, *only] for line in textwrap.wrap(part, 100)]
    return "\n    ".join([f"{key}: {told.shown_default}", *lines])
