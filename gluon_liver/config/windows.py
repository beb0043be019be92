"""HU windows by name: which HU become black and which white."""

from __future__ import annotations

import math
from typing import Dict, Tuple, Union

from gluon_liver.errors import ConfigError
from gluon_liver.files.typed import Limit
from gluon_liver.structures.modality import CT, MRI_WINDOW

# name -> (width, level) in HU. "paper" is as printed and blackens unenhanced liver; "liver" has the numbers swapped.
WINDOWS: Dict[str, Tuple[float, float]] = {"paper": (80.0, 150.0), "liver": (150.0, 80.0)}
Window = Union[str, Tuple[float, float]]


def window_values(window: Window) -> Tuple[float, float]:
    """(width, level) in HU of a preset name or a pair. Raises ConfigError."""
    if isinstance(window, str):
        if window not in WINDOWS:
            raise ConfigError(f"there is no window {window!r}; the presets are {', '.join(sorted(WINDOWS))}")
        return WINDOWS[window]
    try:
        width, level = (float(value) for value in window)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a window is a preset name or (width, level), not {window!r}") from error
    if not (math.isfinite(level) and 0 < width < math.inf):
        raise ConfigError(f"a window needs a finite level and a width above 0, not {window!r}")
    return width, level


def is_window(window: Window) -> bool:
    """Whether :func:`window_values` knows it."""
    try:
        window_values(window)
    except ConfigError:
        return False
    return True


def window_name(window: Window) -> str:
    """A preset's name, or w<width>l<level>: of files and folders."""
    width, level = window_values(window)
    return window if isinstance(window, str) else f"w{width:.12g}l{level:.12g}"


def check_window(window: Window, modality: str) -> None:
    """Raise :class:`ConfigError` for a preset, which is in HU, where the pixels are not HU."""
    if modality != CT and isinstance(window, str):
        width, level = MRI_WINDOW
        raise ConfigError(
            f"data.window is {window!r}, which is in HU, and the data are {modality}, whose grey values have no unit: "
            f"set data.window: [{width:g}, {level:g}], which shows each volume from black to white as it was "
            "scaled, or another width and level on that scale"
        )


A_WINDOW = Limit(
    is_window,
    f"one of {', '.join(sorted(WINDOWS))}, or [width, level] in HU with a width above 0",
)
