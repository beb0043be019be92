"""Several things in words, as messages name them."""

from __future__ import annotations

from typing import Iterable, Optional


def first_of(names: Iterable[object], most: int) -> str:
    """ "a, b, c", and of more than ``most`` the first ones: "a, b and 7 more"."""
    texts = list(map(str, names))
    return ", ".join(texts[:most]) + f" and {len(texts) - most} more" * (len(texts) > most)


def all_of(names: Iterable[object], most: Optional[int] = None) -> str:
    """ "a", "a and b", "a, b and c", and of more than ``most`` "a, b and 7 more"."""
    texts = list(map(str, names))
    if most is not None and len(texts) > most:
        texts = [*texts[:most], f"{len(texts) - most} more"]
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
