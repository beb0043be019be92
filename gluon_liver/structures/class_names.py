"""Names of classes: the data's own, in any language; what one may be, and when they are those of a paper."""

from __future__ import annotations

import unicodedata
from typing import Iterable, Optional, Sequence

# what tables and results.json say of all classes together, or of an image with several
RESERVED = ("all", "any", "mean", "mixed")
_CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories that break a line, or cannot be written at all


def tidy_name(name: str) -> str:
    """A name without spaces that say nothing, in one Unicode form: what looks alike is alike in two imports."""
    return " ".join(unicodedata.normalize("NFC", name).replace("\0", " ").split())


def class_key(name: str) -> str:
    """What two ways of writing one class have in common: neither case, spaces nor the Unicode form tells them apart."""
    return tidy_name(name).casefold()


def why_no_classes(names: Sequence[str]) -> Optional[str]:
    """What names of classes must be, where these are not; None for names that can be used."""
    if not names:
        return "one or more"
    for name in names:
        if not name.strip() or name != name.strip() or any(unicodedata.category(one) in _CONTROL for one in name):
            return f"names of one line without spaces around them, which {name!r} is not"
        if class_key(name) in RESERVED:
            return f"other names than {', '.join(RESERVED)}, which stand for several classes: rename {name!r}"
    keys = [class_key(name) for name in names]
    twice = [name for place, name in enumerate(names) if keys[place] in keys[:place]]
    return f"each named once, whatever the case: {twice[0]!r} is there twice" if twice else None


def same_classes(names: Iterable[str], others: Iterable[str]) -> bool:
    """Whether both are the same classes, in whatever order."""
    return sorted(names) == sorted(others)
