"""``doctor``: what this machine has, what it lacks, and what to do about it.

With --data, what became of prepared data since their import: whether labels.json still says the same, and whether
every file of pixels has the content that the import wrote (all of them are read).
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import List

from gluon_liver.system.doctor import NOTE, OK, PROBLEM, Row, examine, exit_code, format_rows

from .options import add_flag, add_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "--data", "DIR", "check these prepared data instead of the machine")
    add_flag(
        parser, "--accept-labels", "take labels.json of --data as it is now, edited after the import, for its labels"
    )


def run(args: argparse.Namespace) -> int:
    """Print the report; 0 when everything works, 1 when something needs attention."""
    from gluon_liver.errors import InputError

    if args.accept_labels and args.data is None:
        raise InputError("--accept-labels takes the labels of prepared data: give --data DIR")
    rows = examine() if args.data is None else _examine_data(args.data, accept=args.accept_labels)
    print(format_rows(rows))
    return exit_code(rows)


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
