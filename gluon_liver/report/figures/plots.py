"""Curves as PNG bytes: training losses, scores of epochs, FROC, precision over recall, sensitivity a scene."""

from __future__ import annotations

import io
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from gluon_liver.metrics.froc import FP_RATES

from .lettering import lettering, plain_label

# As the overlay's colours, but on white: told apart by colour-blind readers too. By class index; the pooled curve is
# black.
CURVE_COLOURS = ("#0072B2", "#CCA800", "#BE3E00", "#7800FF", "#878778", "#001E96", "#87B4D2", "#8769FF")
POOLED_COLOUR = "#222222"
US_CURVE_COLOURS = ("#0072B2", "#C8281E")  # the ultrasound paper's light blue and red, for white ground
_MARKERS = "os^vDP"
_LINE_STYLES = ("-", "--", "-.", ":")
_LEGEND_MARGIN, _LEGEND_ROW = 0.6, 0.17  # inches
_LEAST_FP = 1 / 16  # left end of the logarithmic FROC axis


def plot_losses(records: Sequence[Dict[str, Any]]) -> Optional[bytes]:
    """Training losses over steps; None when no step was logged.

    records: parsed lines of log.jsonl; the finite losses of those with event "step" are drawn, one line a loss name.
    From 100 steps on, a running mean over 50 steps lies over the faint raw values.
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
    figure, axes = _figure()
    for number, (name, (steps, values)) in enumerate(series.items()):
        pooled = name == "total"
        colour = POOLED_COLOUR if pooled else CURVE_COLOURS[number % len(CURVE_COLOURS)]
        style: Dict[str, Any] = dict(color=colour, linewidth=2.0 if pooled else 1.4, label=name.replace("_", " "))
        if len(steps) >= 100:
            axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.22)
            axes.plot(steps[49:], np.convolve(values, np.full(50, 1 / 50), mode="valid"), **style)
        else:
            axes.plot(steps, values, marker="." if len(steps) < 40 else "", **style)
    if all((values > 0).all() for _, values in series.values()):
        axes.set_yscale("log")
    return _png(figure, axes, "step", "loss")


def plot_differences(rows: Sequence[Tuple[str, float, float, float, bool]]) -> bytes:
    """Differences with their intervals, one below the other: (name, difference, low, high, whether it is filled)."""
    figure = Figure(figsize=(8.0, 0.9 + 0.26 * len(rows)), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, (_, difference, low, high, filled) in enumerate(rows):
        colour = CURVE_COLOURS[0]
        axes.plot([low, high], [place, place], color=colour, linewidth=1.6)
        axes.plot(difference, place, "o", color=colour, markerfacecolor=colour if filled else "white", markersize=6)
    axes.axvline(0, color=POOLED_COLOUR, linewidth=0.9)
    axes.yaxis.set_major_locator(FixedLocator(list(range(len(rows)))))
    names = [plain_label(name) for name, *_ in rows]
    axes.set_yticklabels(names, fontproperties=FontProperties(fname=str(lettering(names).font), size=9))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("A - B, percentage points")
    axes.grid(axis="x", color="#d9dee6", linewidth=0.7)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return _bytes(figure)


def plot_validation(records: Sequence[Dict[str, Any]]) -> Optional[bytes]:
    """COCO mAP and AP50 of the epochs that were scored, a ring around the highest mAP; None when none was.

    records: parsed lines of log.jsonl; those with event "score" are drawn.
    """
    scores = [record for record in records if record.get("event") == "score"]
    if not scores:
        return None
    figure, axes = _figure()
    epochs = [record["epoch"] for record in scores]
    for key, name, colour in (("map", "COCO mAP", POOLED_COLOUR), ("ap50", "AP50", CURVE_COLOURS[0])):
        values = [record.get(key, np.nan) for record in scores]  # older logs have no AP50
        if np.isfinite(values).any():
            axes.plot(epochs, values, color=colour, marker="." if len(scores) < 40 else "", label=name)
    best = max(scores, key=lambda record: record["map"])  # the first of equals, as training chooses
    ring: Dict[str, Any] = dict(linestyle="", marker="o", markersize=9, markerfacecolor="none")
    axes.plot([best["epoch"]], [best["map"]], color=POOLED_COLOUR, label=f"highest: epoch {best['epoch']}", **ring)
    axes.set(ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(figure, axes, "epoch", f"score on {scores[-1]['split']}")


def plot_froc(
    curves: Dict[str, Dict[str, Sequence[float]]], *, rates: Sequence[float] = FP_RATES, unit: str = "image"
) -> bytes:
    """Sensitivity over false positives an image (or another unit), logarithmic, as steps; marks at the rates.

    curves: ct_curves()["froc"]: {"all" and each class: {"fp", "sensitivity"}}; empty curves are named only. The curve
    of a class that is alone is that of all.
    """
    figure, axes = _figure()
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
    return _png(figure, axes, f"false positives {'an' if unit == 'image' else 'a'} {unit}", "sensitivity", names)


def plot_precision_recall(curves: Dict[str, Dict[str, Sequence[float]]]) -> bytes:
    """Precision over recall, of ct_curves()["pr"]: {class: {"recall", "precision"}}; empty curves are named only."""
    figure, axes = _figure()
    for label, (name, curve) in enumerate(zip(lettering(list(curves)).names, curves.values())):
        style = _curve_style(name, label)
        if len(curve["recall"]) == 0:
            style["label"] += ": undefined"
        marker = "o" if len(curve["recall"]) < 30 else ""
        axes.plot(curve["recall"], curve["precision"], marker=marker, markersize=3, **style)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    return _png(figure, axes, "recall", "precision", list(curves))


def plot_scene_sensitivity(
    scenes: Sequence[str],
    sensitivity: Mapping[str, Mapping[str, float]],
    *,
    colours: Sequence[str] = US_CURVE_COLOURS,
) -> bytes:
    """A dot a scene and label over the number of the scene, and at the right mean and sample SD over scenes.

    scenes: all evaluated scenes, numbered from 1 in this order. sensitivity: {label: {scene: 0 to 1}}; a scene without
    a box of the label is not in it. colours: of the labels, by default the paper's for tumors and vessels.
    """
    figure, axes = _figure(width=10.0)
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
    axes.axvline(len(scenes) + 0.5 * (room + shift), color="#b8bec8", linewidth=0.8)
    axes.set(xlim=(0.3, len(scenes) + room * (1 + 0.6 * len(sensitivity))), ylim=(-0.04, 1.04))
    axes.xaxis.set_major_locator(FixedLocator(range(1, len(scenes) + 1, -(-len(scenes) // 30))))
    return _png(figure, axes, "scene; at the right mean \u00b1 SD over scenes", "sensitivity", list(sensitivity))


def _curve_style(name: str, label: int) -> Dict[str, Any]:
    if name == "all":
        return dict(color=POOLED_COLOUR, linewidth=2.2, linestyle="-", label="all classes")
    colour, style = CURVE_COLOURS[label % len(CURVE_COLOURS)], _LINE_STYLES[label % len(_LINE_STYLES)]
    return dict(color=colour, linewidth=1.6, linestyle=style, label=plain_label(name))


def _figure(width: float = 5.6) -> Tuple[Figure, Axes]:
    figure = Figure(figsize=(width, 3.9), dpi=160)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _png(figure: Figure, axes: Axes, xlabel: str, ylabel: str, names: Sequence[str] = ()) -> bytes:
    """The figure with a legend above its axes, in a font that has the letters of ``names``."""
    axes.set(xlabel=xlabel, ylabel=ylabel)
    _add_legend(figure, axes, FontProperties(fname=str(lettering(names).font), size=8))
    return _bytes(figure)


def _bytes(figure: Figure) -> bytes:
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})  # equal curves, equal bytes
    return buffer.getvalue()


def _add_legend(figure: Figure, axes: Axes, font: FontProperties) -> None:
    """Outside the axes, where no curve can lie under it: in as many columns as the figure has room for, and a figure
    that is higher by further rows."""
    entries = len(axes.get_legend_handles_labels()[1])
    place: Dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "columnspacing": 1.2}
    for columns in range(min(5, entries), 0, -1):
        legend = axes.legend(frameon=False, prop=font, ncol=columns, **place)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width - _LEGEND_MARGIN * figure.dpi:
            rows = -(-entries // columns)
            width, height = figure.get_size_inches()
            figure.set_size_inches(width, height + _LEGEND_ROW * (rows - 1))
            return
