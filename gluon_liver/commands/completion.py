"""Print the lines by which a shell completes commands, options, configurations, keys and files at the tab key.

For bash, in this shell or in ~/.bashrc:   eval "$(gluon-liver completion bash)"
For zsh, in ~/.zshrc behind compinit:      eval "$(gluon-liver completion zsh)"

`gluon-liver` has to be on the PATH: `. .venv/bin/activate` puts it there.
"""

from __future__ import annotations

import argparse
import os
from typing import Any, Callable, Dict, List

from .names import COMMANDS, GROUPS, Words, commands_of
from .usage import command_words

EXAMPLES = (("for bash", "bash"), ("for zsh", "zsh"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh"), help="the shell")


def run(args: argparse.Namespace) -> int:
    """Print them."""
    import argcomplete

    print(argcomplete.shellcode(["gluon-liver"], shell=args.shell))
    return 0


def complete() -> None:
    """Answer a shell that completes a line, by argcomplete's variables of the environment, and end the process.

    Only the command that the line names gets its options: no other module is imported.
    """
    import argcomplete

    line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    given = [word for word in line.split()[1:] if word not in ("-q", "--quiet")]
    argcomplete.autocomplete(_tree(given), always_complete_options="long")


def _tree(given: List[str]) -> argparse.ArgumentParser:
    """A parser of the whole command line in which the named command alone has options."""
    from .parser import module_of

    top = argparse.ArgumentParser()
    top.add_argument("--version", action="store_true")
    top.add_argument("-q", "--quiet", action="store_true")
    words = top.add_subparsers()
    parsers: Dict[Words, argparse.ArgumentParser] = {}
    parsers.update({command: words.add_parser(command[0]) for command in COMMANDS if len(command) == 1})
    for group in GROUPS:
        seconds = words.add_parser(group, add_help=False).add_subparsers()
        parsers.update({command: seconds.add_parser(command[1]) for command in commands_of(group)})
    named = command_words(given)
    if named is not None:
        parsers[named].add_argument("-q", "--quiet", action="store_true")
        module_of(named).add_arguments(parsers[named])
        for action in parsers[named]._actions:
            if action.dest in COMPLETERS:
                action.completer = COMPLETERS[action.dest]  # type: ignore[attr-defined]
    return top


def _configs(prefix: str, **_: Any) -> List[str]:
    """Names of configurations, and files."""
    from argcomplete.completers import FilesCompleter

    from gluon_liver.config.catalogue import config_names, set_config_names

    return [*config_names(), *set_config_names(), *FilesCompleter()(prefix)]


def _assignments(**_: Any) -> List[str]:
    from gluon_liver.config.explain import KEYS

    return [f"{key}=" for key in KEYS]


def _keys(**_: Any) -> List[str]:
    from gluon_liver.config.explain import KEYS

    return list(KEYS)


# argument -> what a shell offers for it; other values are completed as files
COMPLETERS: Dict[str, Callable[..., List[str]]] = {
    "config": _configs,
    "configs": _configs,
    "names": _configs,
    "first": _configs,
    "second": _configs,
    "set": _assignments,
    "keys": _keys,
}
