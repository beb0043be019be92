"""What the options of all phantoms can do."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Dict, Tuple

from gluon_liver.errors import ConfigError, InputError
from gluon_liver.files.typed import Limit, Rules, limits

Pair = Tuple[float, float]


def check_not_there(out: Path, *, overwrite: bool) -> None:
    """Raise :class:`InputError` for a folder that phantoms may not be written to because something is there."""
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already; choose another folder or ask for it to be overwritten")


def rising(low: float, high: float) -> Limit:
    """A range: two numbers within limits, the second not below the first."""
    return Limit(
        lambda pair: len(pair) == 2 and low <= pair[0] <= pair[1] <= high,
        f"two rising numbers from {low} to {high}",
    )


@dataclass(frozen=True)
class PhantomOptions:
    """A base of dataclasses whose fields have limits.

    Raises :class:`ConfigError` that names the option, its value and what it must be.
    """

    called: ClassVar[str] = "phantom option"
    # options that came later: unnamed at their defaults, so that the files of earlier phantoms stay as they were
    later: ClassVar[Tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            self._require(name, not isinstance(value, float) or math.isfinite(value), "a finite number")
        for name, limit in limits(type(self)).items():
            value = getattr(self, name)
            self._require(name, value is None or limit.holds(value), limit.wanted)
        for name, holds, wanted in self.rules():
            self._require(name, holds, wanted)

    def record(self) -> Dict[str, Any]:
        """The options as files and identifiers name them."""
        default = type(self)()
        unchanged = {name for name in self.later if getattr(self, name) == getattr(default, name)}
        return {name: value for name, value in asdict(self).items() if name not in unchanged}

    def rules(self) -> Rules:
        """What options must be together: name, whether it holds, what it must be."""
        yield from ()

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise ConfigError(f"{self.called} {name} is {getattr(self, name)!r}; it must be {wanted}")
