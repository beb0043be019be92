"""How figures are printed on the page: means and differences with intervals, P."""

from __future__ import annotations

from typing import Optional

from gluon_liver.metrics.comparison import Comparison as OverPatients
from gluon_liver.metrics.seeds import SeedTest

from .spec import Comparison

LEAST_FOR_A_MEAN = 3  # seeds: the t interval of a mean of two is mostly all that a share can be


def counted(number: int, noun: str) -> str:
    """1 run, 2 runs."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def mean_text(test: Optional[SeedTest], *, seeds: int) -> str:
    """A mean of shares with its interval within 0 to 1.

    Where not all of ``seeds`` are in it says of how many it is.
    """
    if test is None:
        return ""
    more = counted(test.n, "seed") if test.n < seeds else ""
    if test.n < LEAST_FOR_A_MEAN or test.low is None or test.high is None:
        return f"{test.mean:.3f}" + (f" ({more})" if more else "")
    return f"{test.mean:.3f} ({max(0.0, test.low):.3f} to {min(1.0, test.high):.3f}{more and f', {more}'})"


def comparison_text(one: Comparison) -> str:
    """Which difference: "tubes, pools minus one"."""
    return f"{one.condition}, {one.arm} minus {one.against}"


def difference_text(test: Optional[SeedTest]) -> str:
    """A difference with its interval over seeds, where there is one."""
    if test is None:
        return ""
    if test.low is None or test.high is None:
        return f"{test.mean:+.3f}"
    return f"{test.mean:+.3f} ({test.low:+.3f} to {test.high:+.3f})"


def detectable_text(test: Optional[SeedTest]) -> str:
    """The true difference that would be seen in four of five studies."""
    return "" if test is None or test.detectable is None else f"{test.detectable:.3f}"


def interval_text(over: Optional[OverPatients]) -> str:
    """An interval over patients too."""
    if over is None or over.low is None or over.high is None:
        return ""
    return f"{over.low:+.3f} to {over.high:+.3f}"


def p_text(p: Optional[float]) -> str:
    """P as papers print it."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
