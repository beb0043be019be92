"""XML files as trees, read with errors that name the file and the line.

A document type is refused, and with it every entity of a file's own: what expands to gigabytes (CVE-2003-1564) or names
another file cannot be written. So is deep nesting, of which a walk over the tree would not come back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Type, Union
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from gluon_liver.errors import GluonLiverError, InputError, why

MAX_DEPTH = 64
MAX_ELEMENTS = 3_000_000  # about 2 GB as a tree
MAX_BYTES = 2**30


def read_xml(path: Union[str, Path], *, error: Type[GluonLiverError] = InputError) -> Element:
    """The root of an XML file. Raises ``error`` where it cannot be read, or says what no label file has to say."""
    builder, parser = TreeBuilder(), expat.ParserCreate()
    depth = count = 0

    def line() -> str:
        return f"{path}, line {parser.CurrentLineNumber}"

    def start(tag: str, attributes: Dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            what = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"more than {MAX_ELEMENTS} elements"
            raise error(f"{line()}: the XML is {what}: no label tool writes that")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: Any) -> None:
        raise error(f"{line()}: a document type (<!DOCTYPE) is refused, for it may define entities; take it out")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.data, refuse
    parser.buffer_text = True
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise error(f"{path} has more than {MAX_BYTES} bytes: export fewer frames or images at once")
        with Path(path).open("rb") as stream:
            parser.ParseFile(stream)
        return builder.close()
    except OSError as problem:
        raise error(f"{path} cannot be read: {why(problem)}") from problem
    except (expat.ExpatError, ValueError, LookupError) as problem:  # an encoding that Python does not have
        said = "unknown encoding" if isinstance(problem, LookupError) else problem
        raise error(f"{path} cannot be read: it is not XML: {said}") from problem
