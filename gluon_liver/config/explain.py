"""What every key of a configuration means, as the schema says it: type, limit, default."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Tuple, Type, Union

from gluon_liver.errors import ConfigError
from gluon_liver.files.typed import limits, meanings

from .schema import ALONE, Config
from .windows import Window

_KINDS: Dict[Any, str] = {bool: "true or false", int: "whole number", float: "number", str: "text"}
_OWNERS = {"ct": "CT", "us": "ultrasound"}


class Key(NamedTuple):
    """One key, in words for users."""

    meaning: str
    type: str
    limit: str  # what a value must be, "" where the type is all
    default: Any
    only: str  # whose networks alone have it, "" for all

    @property
    def shown_default(self) -> str:
        """The default as YAML writes it."""
        return as_yaml(self.default)


def as_yaml(value: Any) -> str:
    """A plain value on one line, as YAML and ``--set`` take it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_yaml, value))}]"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def matching(words: List[str]) -> List[str]:
    """The keys that words name: whole keys, sections (``train``, ``network.rpn``) or how keys begin; all for no word.

    Raises :class:`ConfigError` for a word that no key begins with.
    """
    found: List[str] = []
    for word in words:
        named = [word] if word in KEYS else [key for key in KEYS if key.startswith(word)]
        named = named or [key for key in KEYS if word in key.split(".")]  # epochs: train.epochs
        if not named:
            raise ConfigError(f"no key {word!r}{suggestion(word)}; `config explain` without a key tells all")
        found += [key for key in named if key not in found]
    return found or list(KEYS)


def suggestion(word: str) -> str:
    """``; did you mean ...?`` for a misspelt key or section, nothing where none is like it."""
    section, _, leaf = word.rpartition(".")
    leaves: Dict[str, List[str]] = {}
    for key in KEYS:
        leaves.setdefault(key.rpartition(".")[2], []).append(key)
    beside = {key.rpartition(".")[2]: key for key in KEYS if section and key.rpartition(".")[0] == section}
    near = leaves.get(leaf, [])[:2]  # of another section, or of none
    near = near or [beside[one] for one in difflib.get_close_matches(leaf, beside, n=1, cutoff=0.7)]
    near = near or difflib.get_close_matches(word, [*KEYS, *filter(None, SECTIONS)], n=1, cutoff=0.8)
    near = near or [leaves[one][0] for one in difflib.get_close_matches(leaf, leaves, n=1, cutoff=0.75)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def unknown_keys(tree: Mapping[str, Any], place: str = "") -> List[str]:
    """The keys of a configuration that the schema does not have, each with its sections before it."""
    found: List[str] = []
    for name, value in tree.items():
        key = f"{place}.{name}" if place else str(name)
        if key in SECTIONS:
            found += unknown_keys(value, key) if isinstance(value, Mapping) else []
        elif key not in KEYS:
            found.append(key)
    return found


def _records(cls: Type[Any], place: str) -> Iterator[Tuple[str, Type[Any]]]:
    """Every dataclass of the schema, with the key that it stands under."""
    yield place, cls
    for name, kind in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(kind):
            yield from _records(typing.cast(Type[Any], kind), f"{place}.{name}" if place else name)


def _keys() -> Iterator[Tuple[str, Key]]:
    only = {key: _OWNERS.get(owner, owner) for owner, keys in ALONE.items() for key in keys}
    for place, cls in _records(Config, ""):
        kinds, said, limit = typing.get_type_hints(cls), meanings(cls), limits(cls)
        for field in dataclasses.fields(cls):
            key = f"{place}.{field.name}" if place else field.name
            if not dataclasses.is_dataclass(kinds[field.name]):
                wanted = limit[field.name].wanted if field.name in limit else ""
                kind = kind_in_words(kinds[field.name])
                yield key, Key(said.get(field.name, ""), kind, wanted, field.default, only.get(key, ""))


def kind_in_words(kind: Any) -> str:
    """A field's type for people who write YAML: ``number, or null``."""
    if kind == Window:
        return "text, or list of 2 numbers"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Union:
        parts = [kind_in_words(one) for one in arguments if one is not type(None)]
        return ", or ".join([*parts, *["null"] * (type(None) in arguments)])
    if origin is tuple:
        return f"list of {kind_in_words(arguments[0])}s"
    return _KINDS[kind]


# section -> what it is, in the schema's words
SECTIONS: Dict[str, str] = {place: (cls.__doc__ or "").splitlines()[0] for place, cls in _records(Config, "")}
KEYS: Dict[str, Key] = dict(_keys())
