"""What the options of all phantoms can do."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, Dict, Tuple

from gluon_liver.errors import ConfigError

Limits = Dict[str, Tuple[float, float]]


class PhantomOptions:
    """A base of dataclasses. Every check raises :class:`ConfigError` that names the option, its value and the rule."""

    def _require(self, name: str, good: bool, rule: str) -> None:
        if not good:
            raise ConfigError(f"phantom option {name} is {getattr(self, name)!r}; it must be {rule}")

    def _require_fractions(self, *names: str) -> None:
        for name in names:
            self._require(name, 0.0 <= getattr(self, name) <= 1.0, "between 0 and 1")

    def _require_ranges(self, limits: Limits) -> None:
        """limits: name of a pair -> what both its numbers lie between."""
        for name, (low, high) in limits.items():
            pair = getattr(self, name)
            good = len(pair) == 2 and low <= pair[0] <= pair[1] <= high
            self._require(name, good, f"two rising numbers between {low} and {high}")

    def _require_between(self, limits: Limits, unit: str = "") -> None:
        for name, (low, high) in limits.items():
            self._require(name, low <= getattr(self, name) <= high, f"between {low} and {high}{unit}")

    def to_json(self) -> Dict[str, Any]:
        """All options as JSON values, in order."""
        values = asdict(self)  # type: ignore[call-overload]
        return {entry.name: values[entry.name] for entry in fields(self)}  # type: ignore[arg-type]
