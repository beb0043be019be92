"""Files of text, JSON and YAML, read with errors that name the file, the key in it, and what to do."""

from __future__ import annotations

import codecs
import json
import re
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Hashable, Set, Tuple, Type, TypeVar, Union

import yaml

from gluon_liver.errors import GluonLiverError, InputError

from .typed import build

T = TypeVar("T")
MOST_VALUES = 10**6  # of a YAML file
_NAMED = re.compile(r" '[^'<\\]{2,}'")  # the name of an alias or a tag in what PyYAML says, no kind of token
ARCHIVES = {b"PK\x03\x04": "a ZIP archive", b"\x1f\x8b": "a gzip archive", b"Rar!": "a RAR archive"}


def read_text(path: Union[str, Path], *, error: Type[GluonLiverError] = InputError, remedy: str = "") -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 where it says so.

    Raises ``error`` where it cannot be read; ``remedy`` says what to do then.
    """
    return str(_parsed(str, "text", path, error, remedy))


def read_json(path: Union[str, Path], *, error: Type[GluonLiverError] = InputError, remedy: str = "") -> Any:
    """The value of a JSON file. Raises as :func:`read_text`, and names line and column of what is not JSON."""
    return _parsed(json.loads, "JSON", path, error, remedy)


def read_yaml(path: Union[str, Path], *, error: Type[GluonLiverError] = InputError, remedy: str = "") -> Any:
    """The value of a YAML file. Raises as :func:`read_json`, also for a key that is there twice."""
    return _parsed(partial(yaml.load, Loader=_UniqueKeys), "YAML", path, error, remedy)


def read_record(
    cls: Type[T],
    path: Union[str, Path],
    *,
    error: Type[GluonLiverError] = InputError,
    remedy: str = "",
    refuse_unknown: bool = False,
    value: Any = None,
) -> T:
    """A dataclass from a JSON file, by :func:`build`. Raises as :func:`read_json`, and names the key at fault.

    ``value`` is the file's where that has been read already.
    """
    value = read_json(path, error=error, remedy=remedy) if value is None else value
    try:
        return build(cls, value, where=str(path), error=error, refuse_unknown=refuse_unknown)
    except error as problem:
        raise error(_message(str(problem), remedy)) from problem


class _UniqueKeys(yaml.SafeLoader):
    """YAML without keys that are there twice, of which PyYAML lets the last one count, and without endless aliases."""

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        _expanded(node, {}, set())
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Dict[Hashable, Any]:
        lines: Dict[Tuple[str, Any], int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            line = key.start_mark.line + 1
            if lines.setdefault((key.tag, key.value), line) != line:
                again = f"the key of line {lines[key.tag, key.value]} is there again"
                raise yaml.constructor.ConstructorError(None, None, again, key.start_mark)
        return super().construct_mapping(node, deep)


def _expanded(node: Any, known: Dict[int, int], around: Set[int]) -> int:
    """How many values a node stands for, once its aliases are written out. ``around``: the nodes that hold it.

    A few lines of aliases of aliases stand for billions. Raises ``ConstructorError`` for more than MOST_VALUES, and for
    an alias of what it stands in.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) in around:
        raise yaml.constructor.ConstructorError(None, None, "an alias stands in what it means", node.start_mark)
    if id(node) not in known:
        around.add(id(node))
        inner = (one for entry in node.value for one in (entry if isinstance(entry, tuple) else (entry,)))
        known[id(node)] = 1 + sum(_expanded(one, known, around) for one in inner)
        around.remove(id(node))
    if known[id(node)] > MOST_VALUES:
        too_many = f"its aliases stand for more than {MOST_VALUES} values"
        raise yaml.constructor.ConstructorError(None, None, too_many, node.start_mark)
    return known[id(node)]


def _parsed(
    parse: Callable[[str], Any], name: str, path: Union[str, Path], error: Type[GluonLiverError], remedy: str
) -> Any:
    content = b""
    try:
        content = Path(path).read_bytes()
        return parse(content.decode(_encoding(content)))
    # a word of YAML that looks like a date is a ValueError
    except (OSError, RecursionError, ValueError, yaml.YAMLError) as problem:
        reason = f"it is not {name}: {' '.join(str(problem).split())}"
        if isinstance(problem, (OSError, RecursionError)):
            reason = str(problem.strerror) if isinstance(problem, OSError) else "it is nested too deeply"
        elif not content.strip():
            reason = "it is empty"
        elif isinstance(problem, UnicodeDecodeError):
            archive = next((what for magic, what in ARCHIVES.items() if content.startswith(magic)), "")
            reason = f"it is {archive}: unpack it" if archive else _not_decoded(content, problem)
        elif isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark:
            mark = problem.problem_mark  # the place alone: the text around it may name a patient
            said = _NAMED.sub("", problem.problem or "damaged")
            reason = f"it is not {name}: {said}, line {mark.line + 1}, column {mark.column + 1}"
        raise error(_message(f"{path} cannot be read: {reason}", remedy)) from problem


def _not_decoded(content: bytes, problem: UnicodeDecodeError) -> str:
    """What bytes that are no text in their encoding are, without the text around them: it may name a patient."""
    if b"\0" in content or problem.encoding != "utf-8" or content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "it is not text"
    line, byte = content.count(b"\n", 0, problem.start) + 1, content[problem.start]
    return (
        f"line {line} is not UTF-8 (byte 0x{byte:02x}), but perhaps cp1252 or another encoding of Windows: save it in "
        "UTF-8, in Excel as 'CSV UTF-8'"
    )


def _encoding(content: bytes) -> str:
    """UTF-8, but where a byte order mark or the NULs of plain letters say otherwise, as Windows tools write them."""
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
    marks.update({codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"})
    for mark, name in marks.items():
        if content.startswith(mark) and len(content) > len(mark):
            return name
    pair = content[:2]
    return "utf-16-le" if pair[1:] == b"\0" else "utf-16-be" if pair[:1] == b"\0" else "utf-8"


def _message(text: str, remedy: str) -> str:
    return f"{text}; {remedy}" if remedy else text
