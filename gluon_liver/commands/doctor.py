"""``doctor``: what this machine has, what it lacks, and what to do about it.

With --data, what became of prepared data since their import: whether labels.json still says the same, and whether
every file of pixels has the content that the import wrote (all of them are read).

With --benchmark, how fast this machine trains a configuration, how that grows with threads and devices, how fast
batches are loaded, and what limits it: about a minute for the demo's network on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import List

from gluon_liver.files.typed import within
from gluon_liver.system.doctor import NOTE, OK, PROBLEM, Row, examine, exit_code, format_rows

from .options import add_flag, add_options, add_path, check

EXAMPLES = (
    ("this machine", ""),
    ("whether prepared data are what the import wrote", "--data demo/data"),
    ("how fast this machine trains the demo's network, and what limits it", "--benchmark"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "check these prepared data instead of the machine; with --benchmark, load and train on them"
    add_path(parser, "--data", "DIR", text)
    add_flag(
        parser, "--accept-labels", "take labels.json of --data as it is now, edited after the import, for its labels"
    )
    group = parser.add_argument_group("measuring", "how fast this machine trains, and what limits it")
    add_flag(group, "--benchmark", "measure training of a configuration on random images, and loading")
    text = "the configuration (default: demo-ct), e.g. r50 for the paper's size; further ones are laid over it"
    group.add_argument("--config", nargs="+", metavar="NAME", help=text)
    group.add_argument("--devices", help="cpu, cpu:N or gpu:0,1,...: the devices, and fewer of them, beside each other")
    add_options(group, "--set")
    text = "of steps in each measurement; three steps are the least (default: 5)"
    group.add_argument("--seconds", type=float, metavar="SECONDS", help=text)
    add_path(group, "--json", "FILE", "write the figures as JSON too")
    add_options(group, "--cache")


def run(args: argparse.Namespace) -> int:
    """Print the report; 0 when everything works, 1 when something needs attention."""
    from gluon_liver.errors import InputError

    if args.benchmark:
        return _benchmark(args)
    given = [name for name in ("config", "devices", "set", "seconds", "json", "cache") if getattr(args, name)]
    if given:
        raise InputError(f"--{given[0]} is for measuring: give --benchmark too")
    if args.accept_labels and args.data is None:
        raise InputError("--accept-labels takes the labels of prepared data: give --data DIR")
    rows = examine() if args.data is None else _examine_data(args.data, accept=args.accept_labels)
    print(format_rows(rows))
    return exit_code(rows)


def _benchmark(args: argparse.Namespace) -> int:
    from gluon_liver.errors import InputError
    from gluon_liver.files.atomic import write_json
    from gluon_liver.speed.benchmark import DEFAULT_CONFIG, benchmark
    from gluon_liver.speed.limits import as_json, report

    check(args, "seconds", within(0.1, 600))
    if args.accept_labels:
        raise InputError("--accept-labels is for checking data: leave --benchmark out")
    overrides = args.set + ([] if args.devices is None else [f"parallel.devices={args.devices}"])
    found = benchmark(
        args.config or [DEFAULT_CONFIG],
        overrides,
        data=args.data,
        cache=args.cache,
        seconds=args.seconds or 5.0,
        say=lambda text: print(text, file=sys.stderr),
    )
    print(report(found))
    if args.json is not None:
        write_json(args.json, as_json(found))
    return 0


def _examine_data(folder: Path, *, accept: bool) -> List[Row]:
    from gluon_liver.data.check import accept_labels, check_volumes
    from gluon_liver.data.open import open_dataset

    if accept:
        accept_labels(open_dataset(folder))
    dataset = open_dataset(folder)
    changed = dataset.changed_labels()
    if dataset.recorded_labels is None:
        labels = Row("labels", NOTE, "not known: imported by an older version", "import again, or give --accept-labels")
    elif changed:
        labels = Row("labels", NOTE, changed, "if that is meant, give --accept-labels")
    else:
        labels = Row("labels", OK, "as imported, or as they were accepted")
    rows = [labels]
    found = check_volumes(dataset)
    for finding, count in Counter(found.values()).items():
        text = f"{count} of {len(found)} files of pixels: {finding}"
        if finding == "as imported":
            rows.append(Row("volumes", OK, text))
        elif finding == "not known":
            rows.append(Row("volumes", NOTE, text, "an older version imported them; import again to have it known"))
        else:
            first = next(case for case, what in found.items() if what == finding)
            rows.append(Row("volumes", PROBLEM, f"{text}, the first is studies/{first}", "import the data again"))
    return rows
