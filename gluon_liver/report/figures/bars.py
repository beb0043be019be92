"""Charts of shares: with their intervals, and scores beside what came true of them."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Tuple

from matplotlib.font_manager import FontProperties
from matplotlib.ticker import NullLocator, PercentFormatter

from .chart import CURVE_COLOURS, FAINT_COLOUR, LETTERS, POOLED_COLOUR, Chart, finished, labelled, new_axes
from .lettering import lettering, plain_label, shortened

_NEAR = 0.1  # of scores and shares: numbers at dots as near as this would lie on each other
_PART_COLOURS = (CURVE_COLOURS[0], CURVE_COLOURS[1], CURVE_COLOURS[3], FAINT_COLOUR)  # as the page has them
Share = Tuple[str, Optional[float], Optional[float], Optional[float], str]  # name, value, low, high, of how many


def plot_shares(rows: Sequence[Share]) -> Chart:
    """Shares from 0 to 1 as dots with their intervals, one below the other; above each its name, its value and of how
    many."""
    figure, axes = new_axes(height=0.45 + 0.44 * len(rows))
    names = [shortened(name, 34) for name, *_ in rows]
    font = FontProperties(fname=str(lettering(names).font), size=LETTERS)
    for place, (_, value, low, high, of) in enumerate(rows):
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=CURVE_COLOURS[0], linewidth=2.4, solid_capstyle="round")
        if value is not None:
            axes.plot(value, place, "o", color=CURVE_COLOURS[0], markersize=7)
        text = "undefined" if value is None else f"{100 * value:.1f} %"
        text += f" \u00b7 {of}" if of else ""
        axes.text(0, place - 0.28, plain_label(names[place]), va="bottom", fontproperties=font, color=POOLED_COLOUR)
        axes.text(1, place - 0.28, text, va="bottom", ha="right", fontsize=LETTERS, color=POOLED_COLOUR)
    axes.yaxis.set_major_locator(NullLocator())
    axes.set(ylim=(len(rows) - 0.6, -0.85), xlim=(-0.02, 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.spines["left"].set_visible(False)
    return finished(figure)


def plot_differences(rows: Sequence[Mapping[str, Any]]) -> Chart:
    """A - B in percentage points with intervals, one below the other; filled where P is at or below 0.05 after Holm's
    correction.

    rows: {"name", "difference", "low", "high", "p_holm"}, shares.
    """
    figure, axes = new_axes(height=0.65 + 0.44 * len(rows))
    names = [shortened(str(one["name"]), 34) for one in rows]
    font = FontProperties(fname=str(lettering(names).font), size=LETTERS)
    points = [[100 * one[key] for key in ("difference", "low", "high")] for one in rows]
    end = max(1.0, *(1.05 * abs(value) for row in points for value in row))
    axes.axvline(0, color=FAINT_COLOUR, linestyle="--", linewidth=1.2)
    for place, (one, (difference, low, high)) in enumerate(zip(rows, points)):
        told = one["p_holm"] is not None and one["p_holm"] <= 0.05
        axes.plot([low, high], [place, place], color=CURVE_COLOURS[0], linewidth=2.4, solid_capstyle="round")
        face = CURVE_COLOURS[0] if told else "#ffffff"
        axes.plot(difference, place, "o", color=CURVE_COLOURS[0], markerfacecolor=face, markersize=7)
        text = f"{difference:+.1f} [{low:+.1f}, {high:+.1f}]"
        axes.text(-end, place - 0.28, plain_label(names[place]), va="bottom", fontproperties=font, color=POOLED_COLOUR)
        axes.text(end, place - 0.28, text, va="bottom", ha="right", fontsize=LETTERS, color=POOLED_COLOUR)
    axes.yaxis.set_major_locator(NullLocator())
    axes.set(ylim=(len(rows) - 0.6, -0.85), xlim=(-1.02 * end, 1.02 * end))
    axes.set_xlabel("A - B, percentage points with 95 % intervals", fontsize=LETTERS)
    axes.spines["left"].set_visible(False)
    return finished(figure)


def plot_parts(names: Sequence[str], parts: Mapping[str, Sequence[float]]) -> Chart:
    """Bars of a whole in parts. parts: {what: share of each name, 0 to 1}."""
    figure, axes = new_axes(height=0.75 + 0.44 * len(names))
    names = [shortened(name, 34) for name in names]
    font = FontProperties(fname=str(lettering(names).font), size=LETTERS)
    starts = [0.0] * len(names)
    for (what, shares), colour in zip(parts.items(), _PART_COLOURS):
        axes.barh(range(len(names)), shares, left=starts, height=0.4, color=colour, label=what)
        starts = [start + share for start, share in zip(starts, shares)]
    for place, name in enumerate(names):
        axes.text(0, place - 0.24, plain_label(name), va="bottom", fontproperties=font, color=POOLED_COLOUR)
    axes.yaxis.set_major_locator(NullLocator())
    axes.set(ylim=(len(names) - 0.6, -0.85), xlim=(-0.02, 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.spines["left"].set_visible(False)
    return labelled(figure, axes, "found by", "")


def plot_calibration(bins: Sequence[Mapping[str, Any]]) -> Optional[Chart]:
    """Precision of the detections in each range of scores over their mean score; None without a detection.

    bins: {"low", "high", "n", "mean_score", "precision"}; an area of a dot grows with n. On the diagonal a score is the
    probability that the detection is right.
    """
    filled = [one for one in bins if one["n"]]
    if not filled:
        return None
    figure, axes = new_axes(height=3.7)
    axes.plot([0, 1], [0, 1], color=FAINT_COLOUR, linestyle="--", linewidth=1.2, label="score = share that is right")
    x, y = [one["mean_score"] for one in filled], [one["precision"] for one in filled]
    most = max(one["n"] for one in filled)
    axes.plot(x, y, color=CURVE_COLOURS[0], linewidth=1.4, label="detections, by score")
    axes.scatter(x, y, s=[20 + 130 * one["n"] / most for one in filled], color=CURVE_COLOURS[0])
    last = (-1.0, -1.0)
    for place, one in zip(zip(x, y), filled):
        near = place[0] - last[0] < _NEAR and abs(place[1] - last[1]) < _NEAR  # of the last number, which stands above
        last = (-1.0, -1.0) if near else place
        shift = (0, -16 if near else 8)
        axes.annotate(f"{one['n']}", place, xytext=shift, textcoords="offset points", ha="center", fontsize=LETTERS)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.09))
    return labelled(figure, axes, "score", "share that is right")
