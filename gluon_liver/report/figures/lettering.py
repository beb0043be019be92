"""Names of classes in pictures: short enough, and in a font that has their letters."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import List, NamedTuple, Sequence, Tuple

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

# The font that matplotlib brings along: the same on every machine. It has Latin, Greek and Cyrillic letters.
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
LONGEST = 26  # letters of a name in a picture


class Lettering(NamedTuple):
    """Names as pictures show them, by label, and the font to write them in."""

    names: Tuple[str, ...]
    font: Path

    def notes(self, classes: Sequence[str]) -> List[str]:
        """A sentence for each class whose own name the picture cannot show."""
        numbered = [(name, shown) for name, shown in zip(classes, self.names) if shown == _number(classes, name)]
        return [f"{shown} is {name}: no font of this machine has its letters" for name, shown in numbered]


def lettering(classes: Sequence[str]) -> Lettering:
    """How pictures name classes: what no font of the machine can write is called by its number, "class 2".

    The number is that of the category in labels.json and detections.json. Long names are cut.
    """
    font = font_for(*classes)
    names = [name if has_letters(font, name) else _number(classes, name) for name in classes]
    return Lettering(tuple(map(shortened, names)), font)


def shortened(name: str, longest: int = LONGEST) -> str:
    """A name of ``longest`` letters at most."""
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "\u2026"


def plain_label(text: str) -> str:
    """A text as a label of matplotlib, which takes what stands between dollars for mathematics, and leaves a label
    that begins with an underscore out of its legends."""
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


@lru_cache(maxsize=None)
def has_letters(font: Path, text: str) -> bool:
    """Whether a font has every letter of a text."""
    try:
        letters = FT2Font(os.fspath(font))
        return all(letters.get_char_index(ord(letter)) for letter in text)
    except (OSError, RuntimeError):  # RuntimeError: damaged, or of a kind that FreeType does not read
        return False


def font_for(*texts: str) -> Path:
    """The first font with all letters: matplotlib's own, else one of the machine, upright ones first; else its own."""
    text = "".join(texts)
    if has_letters(FONT, text):
        return FONT
    entries = sorted(
        font_manager.fontManager.ttflist, key=lambda one: (one.style != "normal", one.weight != 400, one.fname)
    )
    return next((Path(one.fname) for one in entries if has_letters(Path(one.fname), text)), FONT)


def _number(classes: Sequence[str], name: str) -> str:
    return f"class {list(classes).index(name) + 1}"
