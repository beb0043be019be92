"""The parser of a command: help with defaults and examples, errors in the form of all others."""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from types import ModuleType
from typing import List, NoReturn, Optional, Sequence, Tuple

from .names import COMMANDS, Words

Examples = Sequence[Tuple[str, str]]  # what it does, arguments behind the command's name


def module_of(words: Words) -> ModuleType:
    """The module of a command: ``add_arguments``, ``run``, and EXAMPLES of its arguments."""
    return importlib.import_module(f"{__name__.rpartition('.')[0]}.{COMMANDS[words][0]}")


def parser_of(words: Words, *, prog: str = "") -> Parser:
    """The parser of a command, which nothing but its own module is imported for.

    words: of :data:`COMMANDS`. prog: what its help calls it, ``gluon-liver`` and the words by default.
    """
    module = module_of(words)
    parser = Parser(
        prog or " ".join(["gluon-liver", *words]), module.__doc__ or COMMANDS[words][1], getattr(module, "EXAMPLES", ())
    )
    module.add_arguments(parser)
    return parser


class Parser(argparse.ArgumentParser):
    """argparse's, whose errors are one line on stderr and whose help ends with examples.

    prog: program and command. examples: what each does and its arguments.
    """

    def __init__(self, prog: str, description: str, examples: Examples = ()):
        super().__init__(prog=prog, description=description, epilog=examples_text(prog, examples), formatter_class=Help)
        quiet = "print results, warnings and errors alone: no bars, no word of what is being done"
        self.add_argument("-q", "--quiet", action="store_true", help=quiet)

    def error(self, message: str) -> NoReturn:
        """Print the message as errors of all commands are printed, but no password of an address; exits with 2."""
        message = re.sub(r"(://)[^/\s@]*@", r"\1...@", message)
        stop = "" if message.endswith("?") else ";"
        self.exit(2, f"error: {message}{stop} `{self.prog} --help` tells the options\n")

    def parse_args(  # type: ignore[override]  # argparse's is overloaded for namespaces of other classes
        self, args: Optional[Sequence[str]] = None, namespace: Optional[argparse.Namespace] = None
    ) -> argparse.Namespace:
        """As argparse does, but an option that there is not is told before one that is missing, and ``--set a=1 b=2``
        is ``--set a=1 --set b=2``, without what follows that is no assignment."""
        given = list(sys.argv[1:] if args is None else args)
        end = given.index("--") if "--" in given else len(given)
        words = [*_repeated(given[:end]), *given[end:]]
        for word in given[:end]:
            name = word.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in self._option_string_actions):
                near = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.6)
                self.error(f"there is no option {name}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().parse_args(words, namespace)


def _repeated(words: Sequence[str]) -> List[str]:
    """The words with ``--set`` before each of the assignments that follow one."""
    found: List[str] = []
    for word in words:
        follows = len(found) > 1 and found[-2] == "--set" and "=" in word and not word.startswith("-")
        found += ["--set", word] if follows else [word]
    return found


class Help(argparse.RawDescriptionHelpFormatter):
    """Help that tells the default of every option that has one and does not tell it itself."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=28)

    def _get_help_string(self, action: argparse.Action) -> Optional[str]:
        return option_help(action)


def option_help(action: argparse.Action) -> str:
    """What an option is, and its default; argparse formats it with ``%`` still."""
    text = action.help or ""
    default = action.default
    if action.nargs == 0 or default is None or default == [] or default == argparse.SUPPRESS or "default" in text:
        return text
    shown = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)
    return f"{text} (default: {shown.replace('%', '%%')})"


def examples_text(prog: str, examples: Examples) -> str:
    """The part of the help that shows how a command is used."""
    lines: List[str] = []
    for what, arguments in examples:
        lines += [f"  {prog} {arguments}".rstrip(), f"      {what}"]
    return "\n".join(["examples:", *lines]) if lines else ""
