"""A command that another one runs, in its own process: errors are the outer one's to print."""

from __future__ import annotations

import argparse
import importlib
from typing import Sequence

from gluon_liver import commands


def run_inside(words: Sequence[str]) -> int:
    """Run the command that ``words`` name, as typed behind the program's name; returns its exit code.

    Raises what the command raises, and :class:`SystemExit` for options that it does not have.
    """
    names = next(tuple(words[:count]) for count in (2, 1) if tuple(words[:count]) in commands.COMMANDS)
    module = importlib.import_module("." + commands.COMMANDS[names][0], commands.__name__)
    parser = argparse.ArgumentParser(prog=" ".join(names))
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(list(words[len(names) :]))))
