"""The command line: one module a command, each with ``add_arguments(parser)`` and ``run(args) -> exit code``.

Modules are imported when their command is asked for, so that ``doctor`` works where MXNet does not.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from gluon_liver.cluster import heartbeat
from gluon_liver.errors import GluonLiverError, InputError
from gluon_liver.files.lock import without_locks
from gluon_liver.system.command_line import typed_command
from gluon_liver.system.interrupts import quiet_imports

from .paths import check_paths, check_there

GRACE_SECONDS = 5.0  # that the others of a job get to write down what ended their training

# words after the program's name -> (module, one-line help)
COMMANDS: Dict[Tuple[str, ...], Tuple[str, str]] = {
    ("doctor",): ("doctor", "check Python, MXNet, threads, GPUs and shared libraries"),
    ("phantom", "ct"): ("phantom.ct", "write multi-phase CT phantoms as DICOM with labels"),
    ("phantom", "us"): ("phantom.us", "write ultrasound phantoms as DICOM and video with labels and flow"),
    ("look",): ("look", "show which CT series a folder holds, to tell their contrast phases"),
    ("import", "ct"): ("imports.ct", "turn a folder of CT series into prepared data"),
    ("import", "us"): ("imports.us", "turn ultrasound recordings and labels into prepared data"),
    ("data", "summary"): ("data.summary", "count patients, lesions and images of prepared data, and measure them"),
    ("data", "check"): ("data.check", "look for what is wrong with prepared data"),
    ("data", "view"): ("data.view", "write a page to scroll a study with its labels and detections"),
    ("train",): ("train", "train a configuration on prepared data"),
    ("evaluate",): ("evaluate", "score a run on held-out patients and write its report"),
    ("records",): ("legacy.record_file", "write a split of prepared data as a record file for symbols/"),
    ("score",): ("score", "print the tables of detections that are in a file, as evaluate does"),
    ("watch",): ("watch", "annotate an ultrasound video frame by frame"),
    ("convert-flow",): ("flow.convert", "convert released weights of LiteFlowNet to MXNet parameters"),
    ("train-flow",): ("flow.train", "train LiteFlowNet on pairs with exact motion"),
    ("launch",): ("launch", "run a command as workers of a distributed job, with servers, ended as a whole"),
    ("memory",): ("memory", "print what a training step takes of a device's memory"),
    ("reproduce",): ("reproduce.papers", "make the papers' tables and figures, on a public set or on your data"),
    ("weights",): ("reproduce.weights", "make trained nets again from their seeds, for --run zoo:NAME"),
    ("table",): ("table", "print Table 4 with evaluated runs beside the printed rows"),
    ("detect",): ("detect", "find lesions in every slice of a study"),
    ("export",): ("legacy.export", "write a run as a Module checkpoint for MXNet 1.0.0"),
    ("import-legacy",): ("legacy.import_run", "turn a Module checkpoint into a run"),
}


def console() -> int:
    """The console script ``gluon-liver``."""
    return main(sys.argv[1:], program=Path(sys.argv[0]).name)


def main(arguments: Sequence[str], *, program: str = "python -m gluon_liver") -> int:
    """Run the command that ``arguments`` name; returns the exit code (2 bad input, 3 training failed)."""
    words = _command_words(arguments)
    if words is None:
        wanted = bool(arguments) and arguments[0] not in ("-h", "--help")
        if wanted:
            print(f"error: no command {' '.join(arguments[:2])!r}", file=sys.stderr)
        print(_usage(program), file=sys.stderr if wanted else sys.stdout)
        return 2 if wanted or not arguments else 0
    return run_command(words, arguments[len(words) :], program=" ".join([program, *words]))


def run_command(words: Tuple[str, ...], arguments: Sequence[str], *, program: str) -> int:
    """Parse ``arguments`` for one command and run it, turning expected errors into messages."""
    try:
        with quiet_imports(), typed_command([*program.split(), *arguments]):
            _let_any_letter_be_printed()
            return _parse_and_run(words, arguments, program)
    except SystemExit:  # of argparse
        raise
    except BaseException as error:
        code = print_expected(error)
        if code is None and heartbeat.launched():
            traceback.print_exc()
        # Here, while the error still holds the KVStore: where it is freed the other workers abort. They fail together
        # where training fails, and each may keep its batch before the first one ends the job.
        heartbeat.leave(1 if code is None else code, grace=GRACE_SECONDS if code == 3 else 0.0)
        if code is None:
            raise
        return code


def _parse_and_run(words: Tuple[str, ...], arguments: Sequence[str], program: str) -> int:
    name, summary = COMMANDS[words]
    module = importlib.import_module("." + name, __name__)
    parser = argparse.ArgumentParser(
        prog=program, description=module.__doc__ or summary, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    args = parser.parse_args(list(arguments))
    check_paths(args)
    check_there(args)
    with without_locks() if getattr(args, "no_lock", False) else nullcontext():
        return int(module.run(args))


def _let_any_letter_be_printed() -> None:
    """Names of classes are in any language and those of files may be no text: a terminal that cannot show one gets
    escapes instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_expected(error: BaseException) -> Optional[int]:
    """Print what an expected error says; returns its exit code, None for an error that is a defect of the program."""
    if isinstance(error, GluonLiverError):
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 3
    if isinstance(error, OSError):
        # the disk, a permission or a path of the user's: no defect of the program
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    return None


def _command_words(arguments: Sequence[str]) -> Optional[Tuple[str, ...]]:
    return next((words for words in (tuple(arguments[:2]), tuple(arguments[:1])) if words in COMMANDS), None)


def _usage(program: str) -> str:
    lines: List[str] = [f"usage: {program} COMMAND ...", "", "commands:"]
    lines += [f"  {' '.join(words):<15}{summary}" for words, (_, summary) in COMMANDS.items()]
    return "\n".join(lines + ["", f"{program} COMMAND --help tells a command's options."])
