"""The options that ``phantom ct`` and ``phantom us`` are told by."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any, Dict, Mapping, Tuple, Type

from gluon_liver.commands.options import add_flag, add_path, chosen
from gluon_liver.phantoms.options import PhantomOptions, check_not_there


def add_phantom_arguments(
    parser: argparse.ArgumentParser,
    default: PhantomOptions,
    counts: Mapping[str, Tuple[int, str]],
    texts: Mapping[str, str],
) -> None:
    """counts: option -> how many by default, and its help. texts: option of ``default`` -> its help."""
    add_path(parser, "--out", "DIR", "new folder to write", required=True)
    add_flag(parser, "--overwrite", "replace a folder that this command wrote before")
    for name, (count, text) in counts.items():
        parser.add_argument(f"--{name}", type=int, default=count, help=f"{text} (default {count})")
    parser.add_argument("--seed", type=int, default=0, help="same seed and options: same files (default 0)")
    parser.add_argument("--jobs", type=int, help="processes (default: usable cores)")
    for name, text in texts.items():
        value = getattr(default, name)
        flag = "--" + name.replace("_", "-")
        if not isinstance(value, tuple):
            parser.add_argument(flag, type=type(value), default=value, help=f"{text} (default {value})")
        elif len(value) == 2:
            text = f"range of {text} (default {value[0]} {value[1]})"
            parser.add_argument(flag, type=type(value[0]), nargs=2, metavar=("LOW", "HIGH"), default=value, help=text)
        else:
            parser.add_argument(flag, type=type(value[0]), nargs="+", metavar="MM", default=value, help=text)


def phantom_options(args: argparse.Namespace, kind: Type[PhantomOptions]) -> Dict[str, Any]:
    """What to call the writer of phantoms with; kind: the class of their options.

    Raises :class:`InputError` where there is something already, before the writer's libraries are imported.
    """
    check_not_there(args.out, overwrite=args.overwrite)
    given = chosen(args, *(entry.name for entry in fields(kind) if hasattr(args, entry.name)))
    config = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
    return {"config": config, **chosen(args, "seed", "jobs", "overwrite")}
