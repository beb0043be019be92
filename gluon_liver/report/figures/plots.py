"""Charts of results: FROC, precision over recall, sensitivity a scene."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gluon_liver.metrics.froc import FP_RATES

from .chart import (
    CURVE_COLOURS,
    FAINT_COLOUR,
    POOLED_COLOUR,
    US_CURVE_COLOURS,
    Chart,
    labelled,
    new_axes,
)
from .lettering import lettering, plain_label

_MARKERS = "os^vDP"
_LINE_STYLES = ("-", "--", "-.", ":")
_LEAST_FP = 1 / 16  # left end of the logarithmic FROC axis


def plot_froc(
    curves: Dict[str, Dict[str, Sequence[float]]], *, rates: Sequence[float] = FP_RATES, unit: str = "image"
) -> Chart:
    """Sensitivity over false positives an image (or another unit), logarithmic, as steps; marks at the rates.

    curves: ct_curves()["froc"]: {"all" and each class: {"fp", "sensitivity"}}; empty curves are named only. The curve
    of a class that is alone is that of all.
    """
    figure, axes = new_axes()
    least = min(_LEAST_FP, rates[0] / 2)
    names = [name for name in curves if name != "all"]
    shown = dict(zip(names, lettering(names).names))
    pooled = [] if "all" not in curves or [curves[name] for name in names] == [curves["all"]] else ["all"]
    for label, name in enumerate(names + pooled):
        fp, sensitivity = (np.asarray(curves[name][axis], dtype=float) for axis in ("fp", "sensitivity"))
        style = _curve_style(shown.get(name, name), label)
        if len(fp) == 0:
            axes.plot([], [], **dict(style, label=f"{style['label']}: undefined"))
            continue
        # Start at nothing found, and hold the last sensitivity to the right end.
        x = np.concatenate([[least], np.maximum(fp, least), [rates[-1]]])
        start, *at_rates = (sensitivity[fp <= rate].max(initial=0.0) for rate in (least, *rates))
        y = np.concatenate([[start], np.where(fp <= least, start, sensitivity), [sensitivity[-1]]])
        axes.step(x, y, where="post", **style)
        axes.plot(rates, at_rates, linestyle="", marker="o", markersize=3.5, color=style["color"])
    axes.set(xscale="log", xlim=(least, rates[-1] * 1.08), ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(FixedLocator(rates))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return labelled(figure, axes, f"false positives {'an' if unit == 'image' else 'a'} {unit}", "sensitivity", names)


def plot_precision_recall(curves: Dict[str, Dict[str, Sequence[float]]]) -> Chart:
    """Precision over recall, of ct_curves()["pr"]: {class: {"recall", "precision"}}; empty curves are named only."""
    figure, axes = new_axes()
    for label, (name, curve) in enumerate(zip(lettering(list(curves)).names, curves.values())):
        style = _curve_style(name, label)
        if len(curve["recall"]) == 0:
            style["label"] += ": undefined"
        marker = "o" if len(curve["recall"]) < 30 else ""
        axes.plot(curve["recall"], curve["precision"], marker=marker, markersize=3, **style)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    return labelled(figure, axes, "recall", "precision", list(curves))


def plot_scene_sensitivity(
    scenes: Sequence[str],
    sensitivity: Mapping[str, Mapping[str, float]],
    *,
    colours: Sequence[str] = US_CURVE_COLOURS,
) -> Chart:
    """A dot a scene and label over the number of the scene, and at the right mean and sample SD over scenes.

    scenes: all evaluated scenes, numbered from 1 in this order. sensitivity: {label: {scene: 0 to 1}}; a scene without
    a box of the label is not in it. colours: of the labels, by default the paper's for tumors and vessels.
    """
    figure, axes = new_axes(width=8.0)
    names = lettering(list(sensitivity)).names
    shift = min(0.3, 0.12 * len(sensitivity))  # labels side by side, not one on the other
    offsets = np.linspace(-shift, shift, len(sensitivity)) if len(sensitivity) > 1 else [0.0]
    room = 1 + 0.03 * len(scenes)  # between the scenes and the means
    for label, (name, values) in enumerate(zip(map(plain_label, names), sensitivity.values())):
        colour, marker = colours[label % len(colours)], _MARKERS[label % len(_MARKERS)]
        if not values:
            axes.plot([], [], "o", color=colour, label=f"{name}: undefined")
            continue
        places = np.array([scenes.index(scene) + 1 for scene in values]) + offsets[label]
        points = np.array(list(values.values()))
        mean, sd = points.mean(), points.std(ddof=1) if len(points) > 1 else None
        text = f"{name}: {mean:.3f}" + (f" \u00b1 {sd:.3f}" if sd is not None else "") + f", {len(points)} scenes"
        axes.vlines(places, 0, points, color=colour, linewidth=1.0, alpha=0.45)
        axes.plot(places, points, linestyle="", marker=marker, markersize=4.5, color=colour, label=text)
        at = len(scenes) + room * (1 + 0.6 * label)
        axes.errorbar([at], [mean], yerr=sd, marker="D", markersize=6, color=colour, capsize=4, linewidth=1.6)
    axes.axvline(len(scenes) + 0.5 * (room + shift), color=FAINT_COLOUR, linewidth=0.8)
    axes.set(xlim=(0.3, len(scenes) + room * (1 + 0.6 * len(sensitivity))), ylim=(-0.04, 1.04))
    axes.xaxis.set_major_locator(FixedLocator(range(1, len(scenes) + 1, -(-len(scenes) // 24))))
    return labelled(figure, axes, "scene; at the right mean \u00b1 SD over scenes", "sensitivity", list(sensitivity))


def _curve_style(name: str, label: int) -> Dict[str, Any]:
    if name == "all":
        return dict(color=POOLED_COLOUR, linewidth=2.2, linestyle="-", label="all classes")
    colour, style = CURVE_COLOURS[label % len(CURVE_COLOURS)], _LINE_STYLES[label % len(_LINE_STYLES)]
    return dict(color=colour, linewidth=1.6, linestyle=style, label=plain_label(name))
