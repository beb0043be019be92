"""Plain JSON or YAML values to dataclasses: types and limits are stated once, at the field.

A field's type annotation is what :func:`build` asks of its value; a limit stands beside the default::

    @dataclass(frozen=True)
    class Reader:
        name: str
        threads: int = limited(2, at_least(1))
        mode: Optional[str] = limited(None, one_of("fast", "exact"))

        def rules(self) -> Rules:
            yield "threads", self.mode != "exact" or self.threads == 1, "1 with mode exact"

A rule that combines fields is a triple of the key that is at fault, whether the rule holds, and what the value must be.
:func:`build` asks a dataclass that has ``rules`` for them once all its fields passed their own limits, one after the
other: a rule may compute with what the rules before it let through.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import re
import typing
from typing import Any, Callable, Dict, Iterator, Literal, Mapping, Optional, Tuple, Type, TypeVar, Union

from gluon_liver.errors import GluonLiverError, InputError

T = TypeVar("T")
Rules = Iterator[Tuple[str, bool, str]]
_SCALARS = (bool, int, float, str)
_KINDS: Dict[Any, str] = {str: "a text", list: "a list", tuple: "a list", dict: "keys"}
_LONGEST_VALUE = 200  # characters of a value that a message repeats


@dataclasses.dataclass(frozen=True)
class Limit:
    """What a value must be: a predicate, and the same in words that follow "it must be"."""

    holds: Callable[[Any], bool]
    wanted: str

    def __and__(self, other: Limit) -> Limit:
        return Limit(lambda value: self.holds(value) and other.holds(value), f"{self.wanted} and {other.wanted}")


ONE_OR_MORE = Limit(bool, "one or more")  # of a list


def limited(default: T, limit: Limit, meaning: str = "") -> T:
    """A dataclass field with a default, a limit, and what it means in words for users.

    None needs no limit: it passes where the type is Optional.
    """
    return dataclasses.field(default=default, metadata={"limit": limit, "meaning": meaning})


def meant(default: T, meaning: str) -> T:
    """A dataclass field with a default and what it means, whose type is limit enough."""
    return dataclasses.field(default=default, metadata={"meaning": meaning})


def required(limit: Limit) -> Any:
    """A dataclass field with a limit that has to be given."""
    return dataclasses.field(metadata={"limit": limit})


def _comparison(compares: Callable[[Any, float], bool], wanted: str) -> Callable[..., Limit]:
    """A limit to give a number, and if need be its unit."""
    return lambda bound, unit="": Limit(lambda value: compares(value, bound), wanted.format(f"{bound} {unit}".strip()))


at_least = _comparison(operator.ge, "{} or more")
at_most = _comparison(operator.le, "at most {}")
above = _comparison(operator.gt, "above {}")
below = _comparison(operator.lt, "below {}")


def between(low: float, high: float) -> Limit:
    """Neither of the two itself."""
    return Limit(lambda value: low < value < high, f"above {low} and below {high}")


def within(low: float, high: float, unit: str = "") -> Limit:
    """From the one to the other, both included."""
    return Limit(lambda value: low <= value <= high, f"{low} to {high} {unit}".strip())


def multiple_of(step: int) -> Limit:
    return Limit(lambda value: value > 0 and value % step == 0, f"a multiple of {step}")


def one_of(*choices: Any) -> Limit:
    return Limit(lambda value: value in choices, f"one of {', '.join(map(str, choices))}")


def matching(pattern: str, wanted: str) -> Limit:
    """Text that a regular expression describes whole."""
    return Limit(lambda value: re.fullmatch(pattern, value) is not None, wanted)


def each(limit: Limit, *, least: int = 0) -> Limit:
    """A list of ``least`` or more values, every one within ``limit``."""
    count = f"{least} or more values, " if least else ""
    return Limit(lambda values: len(values) >= least and all(map(limit.holds, values)), f"{count}each {limit.wanted}")


def build(
    cls: Type[T],
    tree: Any,
    *,
    where: str = "",
    error: Type[GluonLiverError] = InputError,
    refuse_unknown: bool = False,
    text_numbers: bool = False,
    private: bool = False,
) -> T:
    """A ``cls`` from nested mappings, lists and plain values, each checked against its field's type and limit.

    Types are bool, int, float (finite; whole numbers are converted), str, Any, Literal, Optional, other dataclasses,
    and list, tuple and dict of these. Keys without a field are ignored, or refused with ``refuse_unknown``. With
    ``text_numbers`` a float may be text, as YAML reads ``1e-4``. With ``private`` no message repeats a text, for it
    may name a patient. Raises ``error``; its message begins with ``where``, a file's path for one, and names the
    key: ``phases[0].name: expected str, found 3``.
    """
    return typing.cast(T, _Builder(where, error, refuse_unknown, text_numbers, private).record(cls, tree, ""))


def limits(cls: Type[Any]) -> Dict[str, Limit]:
    """Field name -> limit, of the fields of a dataclass that have one."""
    return {field.name: field.metadata["limit"] for field in dataclasses.fields(cls) if "limit" in field.metadata}


def meanings(cls: Type[Any]) -> Dict[str, str]:
    """Field name -> what it means, of the fields of a dataclass that say it."""
    said = {field.name: field.metadata.get("meaning") for field in dataclasses.fields(cls)}
    return {name: meaning for name, meaning in said.items() if meaning}


@functools.lru_cache(maxsize=None)
def _fields(cls: Any) -> Dict[str, Tuple[Any, Optional[Limit], bool]]:
    """Field name -> type, limit, and whether the value has to be given."""
    kinds, fields = typing.get_type_hints(cls), [field for field in dataclasses.fields(cls) if field.init]
    needed = {field.name: field.default is field.default_factory is dataclasses.MISSING for field in fields}
    return {name: (kinds[name], limits(cls).get(name), is_required) for name, is_required in needed.items()}


@dataclasses.dataclass(frozen=True)
class _Builder:
    where: str
    error: Type[GluonLiverError]
    refuse_unknown: bool
    text_numbers: bool
    private: bool

    def record(self, cls: Any, tree: Any, place: str) -> Any:
        if not isinstance(tree, Mapping):
            raise self._error(f"{place or 'the top level'}: expected keys, found {self._shown(tree)}")
        fields = _fields(cls)
        unknown = sorted(set(tree) - set(fields), key=str)
        if unknown and self.refuse_unknown:
            keys = ", ".join(repr(_join(place, key)) for key in unknown)
            if self.private:
                keys = ", ".join(str(list(tree).index(key) + 1) for key in unknown)
                keys = f"(in the order of the file: {keys})"
            raise self._error(f"unknown key {keys}; {place or 'the top level'} has: {', '.join(fields)}")
        values = {}
        for key, (kind, limit, is_required) in fields.items():
            if key in tree:
                values[key] = value = self.value(kind, tree[key], _join(place, key))
                if limit is not None and value is not None and not limit.holds(value):
                    null = ", or null" if type(None) in typing.get_args(kind) else ""
                    raise self._refusal(_join(place, key), value, limit.wanted + null)
            elif is_required:
                raise self._error(f"{_join(place, key)} is missing")
        built = cls(**values)
        for key, holds, wanted in built.rules() if hasattr(cls, "rules") else ():
            if not holds:
                raise self._refusal(_join(place, key), operator.attrgetter(key)(built), wanted)
        return built

    def value(self, kind: Any, value: Any, place: str) -> Any:
        if dataclasses.is_dataclass(kind):
            return self.record(kind, value, place)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin is Union:  # Optional, or a plain value or a list
            return self._alternative(arguments, value, place)
        if origin is Literal:
            if not any(value == choice and type(value) is type(choice) for choice in arguments):
                raise self._refusal(place, value, one_of(*arguments).wanted)
            return value
        if origin in (list, tuple):
            return origin(self._items(origin, arguments, value, place))
        if origin is dict:
            if not isinstance(value, Mapping):
                raise self._error(f"{place}: expected keys, found {self._shown(value)}")
            of_key, of_value = (functools.partial(self.value, kind) for kind in arguments)
            places = (f"{place}[{n}]" if self.private else _join(place, key) for n, key in enumerate(value))
            return {of_key(key, place): of_value(value[key], where) for key, where in zip(value, places)}
        return value if kind is Any else self._scalar(kind, value, place)

    def _alternative(self, kinds: Tuple[Any, ...], value: Any, place: str) -> Any:
        """Of the first kind that is a list where the value is one, and none where it is none."""
        if value is None and type(None) in kinds:
            return None
        listed = isinstance(value, (list, tuple))
        fitting = [kind for kind in kinds if (typing.get_origin(kind) in (list, tuple)) == listed]
        return self.value((fitting or kinds)[0], value, place)

    def _items(self, origin: Any, arguments: Tuple[Any, ...], value: Any, place: str) -> Iterator[Any]:
        if not isinstance(value, (list, tuple)):
            raise self._error(f"{place}: expected a list, found {self._shown(value)}")
        if origin is list or arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(value)
        elif len(value) != len(arguments):
            raise self._error(f"{place}: expected a list of {len(arguments)}, found {self._shown(value)}")
        for index, (kind, item) in enumerate(zip(arguments, value)):
            # a wrong number or text is told by the message itself, a record or a list only by its position
            yield self.value(kind, item, place if kind in _SCALARS else f"{place}[{index}]")

    def _scalar(self, kind: Any, value: Any, place: str) -> Any:
        number = value
        if kind is float and (type(value) is int or (self.text_numbers and type(value) is str)):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                pass
        if type(number) is not kind or (kind is float and not math.isfinite(number)):
            raise self._error(f"{place}: expected {kind.__name__}, found {self._shown(value)}")
        return number

    def _refusal(self, place: str, value: Any, wanted: str) -> GluonLiverError:
        return self._error(f"{place} is {self._shown(value)}: it must be {wanted}")

    def _error(self, message: str) -> GluonLiverError:
        return self.error(f"{self.where}: {message}" if self.where else message)

    def _shown(self, value: Any) -> str:
        kind: Any = type(value)
        text = repr(value) if not self.private or _is_plain(value) else _KINDS.get(kind, kind.__name__)
        return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _join(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)


def _is_plain(value: Any) -> bool:
    """Whether a value is made of numbers alone."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float))
