"""Charts of shares: with their intervals, and scores beside what came true of them."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Tuple

from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FixedLocator, PercentFormatter

from .chart import CURVE_COLOURS, FAINT_COLOUR, POOLED_COLOUR, Chart, finished, labelled, new_axes
from .lettering import lettering, plain_label, shortened

Share = Tuple[str, Optional[float], Optional[float], Optional[float], str]  # name, value, low, high, of how many


def plot_shares(rows: Sequence[Share]) -> Chart:
    """Shares from 0 to 1 as dots with their intervals, one below the other; beside each its value and of how many."""
    figure, axes = new_axes(height=0.75 + 0.36 * len(rows))
    for place, (_, value, low, high, of) in enumerate(rows):
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=CURVE_COLOURS[0], linewidth=2.4, solid_capstyle="round")
        if value is not None:
            axes.plot(value, place, "o", color=CURVE_COLOURS[0], markersize=7)
        text = "undefined" if value is None else f"{100 * value:.1f} %"
        axes.text(1.04, place, text + (f" \u00b7 {of}" if of else ""), va="center", fontsize=8, color=POOLED_COLOUR)
    names = [shortened(name, 34) for name, *_ in rows]
    axes.yaxis.set_major_locator(FixedLocator(list(range(len(rows)))))
    font = FontProperties(fname=str(lettering(names).font), size=9)
    axes.set_yticklabels([plain_label(name) for name in names], fontproperties=font)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(-0.02, 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return finished(figure)


def plot_calibration(bins: Sequence[Mapping[str, Any]]) -> Optional[Chart]:
    """Precision of the detections in each range of scores over their mean score; None without a detection.

    bins: {"low", "high", "n", "mean_score", "precision"}; an area of a dot grows with n. On the diagonal a score is the
    probability that the detection is right.
    """
    filled = [one for one in bins if one["n"]]
    if not filled:
        return None
    figure, axes = new_axes(height=4.3)
    axes.plot([0, 1], [0, 1], color=FAINT_COLOUR, linestyle="--", linewidth=1.2, label="score = share that is right")
    x, y = [one["mean_score"] for one in filled], [one["precision"] for one in filled]
    most = max(one["n"] for one in filled)
    axes.plot(x, y, color=CURVE_COLOURS[0], linewidth=1.4, label="detections, by score")
    axes.scatter(x, y, s=[20 + 130 * one["n"] / most for one in filled], color=CURVE_COLOURS[0])
    for one in filled:
        place = (one["mean_score"], one["precision"])
        axes.annotate(f"{one['n']}", place, xytext=(0, 8), textcoords="offset points", ha="center", fontsize=7)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.09))
    return labelled(figure, axes, "score", "share that is right")
