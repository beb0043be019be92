"""Make trained nets again from their seeds: phantoms, training, evaluation. They are then opened by --run zoo:NAME.

Without a NAME, list the nets and where they are. Whatever ends the command, the same command goes on where it was;
after a signal that stopped a training the exit code is 75. It computes with the one thread that the digests were made
with, and says of each net whether it is bit for bit the same; with --check the exit code is 4 where one is not.
docs/model-zoo.md lists them.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import Sequence

from gluon_liver.commands.options import add_flag, add_path
from gluon_liver.errors import InputError

EXAMPLES = (
    ("which nets there are, and where", ""),
    ("make the demo's net", "demo-ct"),
    ("compare those that are there with the digests", "--check"),
)
OTHER_BITS = 4  # exit code of --check
ADVICE = (
    "note: other bits are no fault of a net by themselves: another processor, other packages or code round otherwise. "
    "Compare its results.json with the figures in docs/model-zoo.md; where a file may be damaged, delete the net's "
    "folder and make it again"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("nets", nargs="*", metavar="NAME", help="nets of the zoo to make; none: list them")
    text = "folder of the nets (default: $GLUON_LIVER_ZOO, or the cache of this version below ~/.cache)"
    add_path(parser, "--out", "DIR", text)
    add_flag(parser, "--check", "make nothing: compare those that are there with the digests of the zoo")
    add_flag(parser, "--redo", "do steps again whose commands have changed, and delete what they left")


def run(args: argparse.Namespace) -> int:
    """Make, check or list; 0 when all is done, 75 where a signal stopped it, with --check 4 for other bits."""
    from gluon_liver.config.zoo import find_net, read_zoo, zoo_machine
    from gluon_liver.runs.zoo import is_made, made_in

    out = args.out or made_in()
    if not args.nets and not args.check:
        print(f"nets of the zoo (in {out}: +)")
        for name, net in read_zoo().items():
            mark = "+" if is_made(out / name, net) else " "
            print(f"{mark} {name:<22}about {net.minutes:>2} minutes  {net.title}")
        return 0
    names = args.nets or [name for name, net in read_zoo().items() if is_made(out / name, net)]
    for name in names:
        find_net(name)
    # before MXNet is loaded, which reads it once; with other threads the bits are others
    os.environ["OMP_NUM_THREADS"] = str(zoo_machine().threads)
    from gluon_liver.reproduce.zoo import verdict, with_flows

    if not args.check:
        from gluon_liver.cluster import heartbeat

        if not _make(names, args):
            print("stopped; the same command goes on", file=sys.stderr)
            return heartbeat.AGAIN
    verdicts = [verdict(name, out) for name in with_flows(names)]
    print("\n".join(one.text for one in verdicts))
    if any(one.other_bits for one in verdicts):
        print(ADVICE, file=sys.stderr)
        return OTHER_BITS if args.check else 0
    return 0


def _make(names: Sequence[str], args: argparse.Namespace) -> bool:
    """Whether it came to the end."""
    from gluon_liver.files.lock import LOCK, file_lock
    from gluon_liver.reproduce.steps import run_steps
    from gluon_liver.reproduce.zoo import zoo_steps
    from gluon_liver.runs.zoo import made_in
    from gluon_liver.system.runtime import prefer_synchronous_engine

    from .inside import run_inside

    prefer_synchronous_engine()
    out = args.out or made_in()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        how = "give --out DIR or $GLUON_LIVER_ZOO, a folder that can be written to"
        raise InputError(f"{out} cannot be made: {error.strerror}; {how}") from error
    with file_lock(out / LOCK, busy=f"{out} is in use by {{user}}: nets are made there"):
        steps = zoo_steps(names, out, partial(run_inside, inside=out))
        return run_steps(steps, out, redo=args.redo, say=lambda text: print(text, flush=True))
