"""Numbers, truth values and references of entries as tools and pandas write them."""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

DICOM_NAMES = {"sopinstanceuid": "sop_instance_uid", "sopuid": "sop_instance_uid", "studyinstanceuid": "study"}


def number(value: Any) -> Optional[float]:
    """A number, written as one or as text."""
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+(\.\d*)?([eE][-+]?\d+)?\s*", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 2**53:
        return None
    return value


def whole_number(value: Any) -> Optional[int]:
    """A whole number, written as one, as 12.0 or as text; None for what is none, such as 012, which may be a name."""
    if isinstance(value, str):
        found = re.fullmatch(r"\s*([-+]?(0|[1-9]\d{,18}))(\.0*)?\s*", value)
        return int(found.group(1)) if found else None
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def plain_key(key: str) -> str:
    """A key or the name of a column without case, spaces and signs."""
    return re.sub(r"[\W_]", "", key).casefold()


def is_true(value: Any) -> bool:
    """Whether a flag is set, written as a truth value, a number or text."""
    return bool(value) and str(value).strip().casefold() not in ("0", "0.0", "false", "no")


def id_key(value: Any) -> Any:
    """An id of any kind in a form in which two can be compared."""
    return value.strip() if isinstance(value, str) else repr(value)


def reference(value: Any, renumbered: Mapping[Any, int], names: Mapping[str, int]) -> int:
    """The id, as it is now, of the entry that ``value`` names by its id or else by its name; -1 for none."""
    named = names.get(value, -1) if isinstance(value, str) else -1
    if renumbered:
        return renumbered.get(id_key(value), named)
    whole = whole_number(value)
    return named if whole is None else whole
