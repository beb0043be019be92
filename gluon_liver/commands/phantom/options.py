"""The options that ``phantom ct`` and ``phantom us`` are told by."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any, Dict, Mapping, Tuple, Type, Union, get_args, get_origin, get_type_hints

from gluon_liver.commands.options import add_flag, add_path, chosen
from gluon_liver.phantoms.options import PhantomOptions, check_not_there

# last word of an option -> what its values are told in; others are numbers of something
UNITS: Dict[str, str] = {
    "hu": "HU",
    "deg": "DEGREES",
    "db": "DB",
    "size": "PIXELS",
    "matrix": "PIXELS",
    "pixels": "PIXELS",
}
UNITS.update({"mm": "MM", "class": "MM", "fraction": "SHARE", "decorrelation": "SHARE", "frames": "FRAMES"})


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
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N", help=text)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed and options: same files")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (default: usable cores)")
    kinds = get_type_hints(type(default))
    for name, text in texts.items():
        kind, value = kinds[name], getattr(default, name)
        unit = UNITS.get(name.rpartition("_")[2], "N")
        form: Dict[str, Any] = {"metavar": unit}
        if get_origin(kind) is Union:  # Optional; its text says what None means
            kind = get_args(kind)[0]
        if get_origin(kind) is tuple:
            kind, *others = get_args(kind)
            form = {"nargs": 1 + len(others), "metavar": (unit,) * (1 + len(others))}
            if others == [Ellipsis]:
                form = {"nargs": "+", "metavar": unit}
            elif value is not None:
                text = f"range of {text}"
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=kind, default=value, help=text, **form)


def phantom_options(args: argparse.Namespace, kind: Type[PhantomOptions]) -> Dict[str, Any]:
    """What to call the writer of phantoms with; kind: the class of their options.

    Raises :class:`InputError` where there is something already, before the writer's libraries are imported.
    """
    check_not_there(args.out, overwrite=args.overwrite)
    given = chosen(args, *(entry.name for entry in fields(kind) if hasattr(args, entry.name)))
    config = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
    return {"config": config, **chosen(args, "seed", "jobs", "overwrite")}
