"""Look for what is wrong with prepared data: boxes outside their images or drawn twice, splits that share patients,
cases that are there twice or almost, HU that no scanner gives, phases that look swapped, sizes that no lesion has,
empty classes and splits. Each finding says how bad it is, where, and what to do.

Exit code 0: nothing but notes; 1: problems or warnings; 2: the data cannot be read.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import add_path

EXAMPLES = (
    ("what is wrong with data", "demo/data"),
    ("with all places, as JSON", "demo/data --json findings.json"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "data", "DATA", "prepared data, CT or ultrasound; every file of pixels is read")
    add_path(parser, "--json", "FILE", "write the findings as JSON too, with all places")


def run(args: argparse.Namespace) -> int:
    """Check, print, and write the JSON."""
    from gluon_liver.files.atomic import write_json

    if not (args.data / "dataset.json").is_file():
        from gluon_liver.data.description import read_description
        from gluon_liver.data.open import TASKS

        read_description(args.data, kinds=list(TASKS))
    from gluon_liver.inspection.check.findings import exit_code
    from gluon_liver.inspection.check.run import as_json, check, lines_of

    findings = check(args.data, progress=True)
    print("\n".join(lines_of(findings)))
    if args.json is not None:
        write_json(args.json, as_json(args.data, findings))
    return exit_code(findings)
