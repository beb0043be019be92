"""Run a command as the workers of a distributed job, with MXNet's parameter servers and a supervisor of each process.

    python -m gluon_liver launch --workers 3 --servers 1 -- train.py --config r50 --kvstore dist_sync ...

The job ends, on all machines and within 30 seconds, when one of its processes is gone. docs/distributed.md tells more.
"""

from __future__ import annotations

import argparse
import shutil

from gluon_liver.errors import InputError

from .names import COMMANDS
from .options import add_path, chosen

EXAMPLES = (
    (
        "two workers on this machine",
        "--workers 2 --servers 1 -- train.py --config demo-ct --data demo/data --out run --kvstore dist_sync",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="processes that train")
    parser.add_argument("--servers", type=int, metavar="M", help="parameter servers (default: as many as workers)")
    text = "machines to start on by ssh, HOST or HOST:PORT a line (default: this machine alone)"
    add_path(parser, "--hosts", "FILE", text)
    parser.add_argument("--host-ip", metavar="IP", help="with --hosts: this machine's address as the others see it")
    text = "take a process for gone that gave no sign of life for so long, at most 25"
    parser.add_argument("--silence", type=float, default=15.0, metavar="SECONDS", help=text)
    text = "start nothing, only watch processes that something else starts (docker/compose.yaml)"
    parser.add_argument("--attend", metavar="HOST:PORT", help=text)
    parser.add_argument("command", nargs="*", metavar="-- COMMAND", help="train.py and its options, or any program")


def run(args: argparse.Namespace) -> int:
    """Run the job; 0 when every worker ended with 0, a failed worker's own code, 75 when a process was lost or the
    workers were stopped before their end: --resume auto goes on.
    """
    from gluon_liver.cluster.launch import launch

    if bool(args.command) == bool(args.attend):
        example = "give the workers' command after --, for example: launch --workers 2 -- train.py --config r50"
        raise InputError("--attend starts nothing: it takes no command" if args.command else example)
    first = args.command[0] if args.command else ""
    if any(first == words[0] for words in COMMANDS) and shutil.which(first) is None:
        raise InputError(f"{first!r} is no program: give the workers' command as python -m gluon_liver {first} ...")
    if args.host_ip and not args.hosts:
        raise InputError("--host-ip is for --hosts: without it everything stays on this machine")
    servers = args.workers if args.servers is None else args.servers
    return launch(args.command, servers=servers, **chosen(args, "workers", "hosts", "host_ip", "attend", "silence"))
