"""List the configurations that --config takes by name, experiments and what is laid over them apart, one line each."""

from __future__ import annotations

import argparse

from gluon_liver.config.catalogue import BASE, EXPERIMENT, FRAGMENT, by_kind, described

HEADINGS = {
    EXPERIMENT: "experiments: --config NAME",
    FRAGMENT: "fragments, laid over an experiment: --config EXPERIMENT FRAGMENT ...",
    BASE: "bases, what experiments share: BASE in a YAML file",
}
EXAMPLES = (("all of them", ""), ("what can be laid over an experiment", "--kind fragment"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=tuple(HEADINGS), help="these alone (default: all)")


def run(args: argparse.Namespace) -> int:
    """Print the lists."""
    print("\n\n".join(text(kind) for kind in ([args.kind] if args.kind else HEADINGS)))
    return 0


def text(kind: str) -> str:
    """A heading, and name and description of each."""
    names = by_kind()[kind]
    widest = max(map(len, names))
    return "\n".join([HEADINGS[kind], *(f"  {name:<{widest}}  {described(name)}" for name in names)])
