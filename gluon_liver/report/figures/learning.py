"""Charts of a training: losses, scores of epochs, speed and learning rate."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from .chart import CURVE_COLOURS, LETTERS, POOLED_COLOUR, Chart, finished, labelled, new_axes, new_figure, style_axes

_MOST_POINTS = 1000  # of a faint line of raw values


def plot_losses(records: Sequence[Dict[str, Any]]) -> Optional[Chart]:
    """Training losses over steps; None when no step was logged.

    records: parsed lines of log.jsonl; the finite losses of those with event "step" are drawn, one line a loss name.
    Of 100 values on, a running mean over a twentieth of them, at most 50, lies over the faint raw ones. Dotted: where
    the run was gone on with.
    """
    points: Dict[str, List[Tuple[float, float]]] = {}
    for record in records:
        if record.get("event") == "step":
            for name, value in record.get("losses", {}).items():
                if value is not None and np.isfinite(value):
                    points.setdefault(name, []).append((record["step"], value))
    series = {name: tuple(np.array(pairs).T) for name, pairs in points.items()}
    if not series:
        return None
    figure, axes = new_axes()
    for number, (name, (steps, values)) in enumerate(series.items()):
        pooled = name == "total"
        colour = POOLED_COLOUR if pooled else CURVE_COLOURS[number % len(CURVE_COLOURS)]
        style: Dict[str, Any] = dict(color=colour, linewidth=2.0 if pooled else 1.4, label=name.replace("_", " "))
        if len(steps) >= 100:
            thin = -(-len(steps) // _MOST_POINTS)
            axes.plot(steps[::thin], values[::thin], color=colour, linewidth=0.6, alpha=0.22)
            many = min(50, len(steps) // 20)
            axes.plot(steps[many - 1 :], np.convolve(values, np.full(many, 1 / many), mode="valid"), **style)
        else:
            axes.plot(steps, values, marker="." if len(steps) < 40 else "", **style)
    if all((values > 0).all() for _, values in series.values()):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # powers are small letters
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_resumed(axes, records)
    return labelled(figure, axes, "step", "loss")


def plot_validation(records: Sequence[Dict[str, Any]]) -> Optional[Chart]:
    """COCO mAP and AP50 of the epochs that were scored, a ring around the highest mAP; None when none was.

    records: parsed lines of log.jsonl; those with event "score" are drawn.
    """
    scores = [record for record in records if record.get("event") == "score"]
    if not scores:
        return None
    figure, axes = new_axes()
    epochs = [record["epoch"] for record in scores]
    for key, name, colour in (("map", "COCO mAP", POOLED_COLOUR), ("ap50", "AP50", CURVE_COLOURS[0])):
        values = [record.get(key, np.nan) for record in scores]  # older logs have no AP50
        if np.isfinite(values).any():
            axes.plot(epochs, values, color=colour, marker="." if len(scores) < 40 else "", label=name)
    best = max(scores, key=lambda record: record["map"])  # the first of equals, as training chooses
    ring: Dict[str, Any] = dict(linestyle="", marker="o", markersize=9, markerfacecolor="none")
    axes.plot([best["epoch"]], [best["map"]], color=POOLED_COLOUR, label=f"highest: epoch {best['epoch']}", **ring)
    axes.set(xlim=(min(epochs) - 0.5, max(epochs) + 0.5), ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return labelled(figure, axes, "epoch", f"score on {scores[-1]['split']}")


def plot_speed(records: Sequence[Dict[str, Any]]) -> Optional[Chart]:
    """Images a second above the learning rate, over steps; None when no step tells them.

    records: parsed lines of log.jsonl; dotted: where the run was gone on with.
    """
    steps = [record for record in records if record.get("event") == "step"]
    shown = [
        (label, [(one["step"], one[key]) for one in steps if isinstance(one.get(key), (int, float))])
        for key, label in (("images_per_second", "images a second"), ("learning_rate", "learning rate"))
    ]
    if not all(points for _, points in shown):
        return None
    figure = new_figure()
    for axes, (label, points), colour in zip(figure.subplots(2, 1, sharex=True), shown, CURVE_COLOURS):
        style_axes(axes)
        thin = -(-len(points) // _MOST_POINTS)
        x, y = np.array(points[::thin]).T
        axes.plot(x, y, color=colour, linewidth=1.4, marker="." if len(x) < 40 else "")
        axes.set_ylabel(label, fontsize=LETTERS)
        axes.set(ylim=(0, 1.08 * max(float(y.max()), 1e-9)))
        _mark_resumed(axes, records)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step", fontsize=LETTERS)
    return finished(figure)


def _mark_resumed(axes: Axes, records: Sequence[Dict[str, Any]]) -> None:
    for record in records:
        if record.get("event") == "resume" and isinstance(record.get("step"), int):
            axes.axvline(record["step"], color=POOLED_COLOUR, linestyle=":", linewidth=1.0)
