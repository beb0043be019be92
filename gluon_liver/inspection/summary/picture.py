"""The summary as one picture: lesions by class and split, their sizes, phases, spacing, and HU of each phase."""

from __future__ import annotations

import io
from typing import Any, List, Mapping, Tuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator

from gluon_liver.report.figures.chart import CURVE_COLOURS, POOLED_COLOUR
from gluon_liver.report.figures.lettering import lettering, plain_label

SPLITS = {"train": ("training", "#335C81"), "val": ("validation", "#8FB8DE"), "test": ("test", "#D98E04")}
SPLITS["unassigned"] = ("in no split", "#9AA5B4")
SHOWN_HU = (-200, 400)
LIVER_COLOUR = "#1B7F4B"


class _Picture:
    def __init__(self, summary: Mapping[str, Any]):
        self.summary = summary
        self.classes: List[str] = summary["classes"]
        names = lettering(self.classes)
        self.names = dict(zip(self.classes, map(plain_label, names.names)))
        self.font = FontProperties(fname=str(names.font), size=9)
        self.colours = {name: CURVE_COLOURS[at % len(CURVE_COLOURS)] for at, name in enumerate(self.classes)}

    def counts(self, axes: Axes) -> None:
        """Bars of lesions (ultrasound: boxes) by class, one bar a split, with their numbers."""
        key = "lesions" if self.summary["kind"] == "ct" else "boxes"
        splits = self.summary["splits"]
        width = 0.8 / len(splits)
        for at, (split, one) in enumerate(splits.items()):
            title, colour = SPLITS[split]
            values = [one["classes"][name][key] for name in self.classes]
            x = np.arange(len(values)) + (at - (len(splits) - 1) / 2) * width
            label = f"{title}: {one['patients']} patient(s)"
            bars = axes.bar(x, values, width * 0.94, color=colour, label=label)
            axes.bar_label(bars, fontsize=8, padding=1)
        axes.set_xticks(range(len(self.classes)))
        axes.set_xticklabels([self.names[name] for name in self.classes], fontproperties=self.font)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(y=0.2)
        self.dress(axes, f"{key.capitalize()} by class and split", "", f"number of {key}")
        axes.legend(fontsize=8, frameon=False, loc="upper right", ncol=1)

    def sizes(self, axes: Axes) -> None:
        """Histogram of sizes, classes upon each other."""
        unit = "mm" if self.summary["kind"] == "ct" else "px"
        sizes = {n: [one[unit] for one in self.summary["sizes"] if one["class"] == n] for n in self.classes}
        every = [size for some in sizes.values() for size in some]
        if not every:
            return self.nothing(axes, "Sizes", "no box")
        top = max(every) * 1.02
        step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**6) if top / s <= 24)
        edges = np.arange(0, top + step, step)
        there = [name for name in self.classes if sizes[name]]
        labels = [f"{self.names[name]} (n={len(sizes[name])})" for name in there]
        axes.hist(
            [sizes[name] for name in there],
            bins=list(edges),
            stacked=True,
            color=[self.colours[name] for name in there],
            label=labels,
            edgecolor="white",
            linewidth=0.4,
        )
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        what = "lesions" if unit == "mm" else "boxes"
        self.dress(axes, f"Size of {what}: longest side of the box", f"size in {unit}", f"number of {what}")
        axes.legend(prop=self.font, frameon=False)

    def phases(self, axes: Axes) -> None:
        """Bars of the studies that have each phase."""
        each = self.summary["phases"]["each"]
        reference = self.summary["phases"]["reference"]
        names = [f"{phase}\n(reference)" if phase == reference else phase for phase in each]
        gaps = [one["studies_with_gaps"] for one in each.values()]
        whole = [one["studies"] - gap for one, gap in zip(each.values(), gaps)]
        axes.barh(range(len(names)), whole, color="#335C81", label="on all slices")
        if any(gaps):
            axes.barh(range(len(names)), gaps, left=whole, color="#8FB8DE", label="on some slices")
            axes.legend(fontsize=8, frameon=False)
        for at, one in enumerate(each.values()):
            axes.text(one["studies"], at, f" {one['studies']}", va="center", fontsize=8)
        axes.set_yticks(range(len(names)))
        axes.set_yticklabels(list(map(plain_label, names)), fontsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.dress(axes, f"Phases of {self.summary['studies']} study(s)", "studies that have the phase", "")

    def spacing(self, axes: Axes) -> None:
        """Median, quartiles and range of the distances, in mm."""
        rows = [("between slices", self.summary["spacing_mm"]["between_slices"])]
        rows += [("pixels", self.summary["spacing_mm"]["pixels"])]
        for at, (_, one) in enumerate(rows):
            axes.plot([one["min"], one["max"]], [at, at], color="#9AA5B4", linewidth=2)
            axes.plot([one["p25"], one["p75"]], [at, at], color="#335C81", linewidth=7, solid_capstyle="butt")
            axes.plot([one["median"]], [at], "o", color="white", markeredgecolor="#335C81", markersize=7)
            text = f"median {one['median']:.3g} mm ({one['min']:.3g} to {one['max']:.3g})"
            axes.annotate(text, (one["median"], at), (0, 11), textcoords="offset points", ha="center", fontsize=8)
        axes.set_yticks([0, 1])
        axes.set_yticklabels([name for name, _ in rows], fontsize=8)
        axes.set_ylim(-0.6, 1.8)
        axes.set_xlim(0, max(one["max"] for _, one in rows) * 1.35)
        self.dress(axes, "Spacing: range, quartiles, median", "mm", "")

    def intensities(self, axes: Axes, phase: str) -> None:
        """Share of pixels over HU: whole slices, likely liver, and boxes of each class."""
        found = self.summary["intensities"]
        one, bins = found["phases"][phase], found["bins"]
        centres = np.arange(bins["low"], bins["high"], bins["step"]) + bins["step"] / 2
        curves = [
            ("whole slices", one["whole"], POOLED_COLOUR, "-"),
            ("likely liver", one["liver"], LIVER_COLOUR, "--"),
        ]
        curves += [(f"boxes {self.names[n]}", one["boxes"][n], self.colours[n], "-") for n in self.classes]
        low, high = SHOWN_HU if found["unit"] == "HU" else (bins["low"], bins["high"])
        shown = (centres > low) & (centres < high)
        for name, histogram, colour, line in curves:
            if not histogram["pixels"]:
                continue
            share = np.array(histogram["counts"], float)[shown]
            axes.plot(centres[shown], 100 * share / max(share.sum(), 1), line, color=colour, linewidth=1.5, label=name)
        axes.set_xlim(low, high)
        axes.set_ylim(bottom=0)
        ending = f"{low} to {high} {found['unit']}" if found["unit"] == "HU" else "all grey values"
        label = found["unit"] if found["unit"] == "HU" else "grey value (stored)"
        self.dress(axes, f"{plain_label(phase)}: pixels by {found['unit']}", label, f"% of pixels, {ending}")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(prop=self.font, frameon=False)

    def scenes(self, axes: Axes) -> None:
        """Bars of scenes and frames of each split."""
        splits = self.summary["splits"]
        for at, (key, title) in enumerate((("scenes", "scenes"), ("images", "labelled frames"))):
            bars = axes.barh(
                np.arange(len(splits)) + (at - 0.5) * 0.4,
                [one[key] for one in splits.values()],
                0.36,
                color=("#335C81", "#8FB8DE")[at],
                label=title,
            )
            axes.bar_label(bars, fontsize=8, padding=2)
        axes.set_yticks(range(len(splits)))
        axes.set_yticklabels([SPLITS[name][0] for name in splits], fontsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        self.dress(axes, "Scenes and labelled frames by split", "number", "")
        axes.legend(fontsize=8, frameon=False)

    def nothing(self, axes: Axes, title: str, text: str) -> None:
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="#5d6878")
        self.dress(axes, title, "", "")
        axes.set_xticks([])
        axes.set_yticks([])

    @staticmethod
    def dress(axes: Axes, title: str, x: str, y: str) -> None:
        axes.set_title(title, fontsize=10, loc="left", fontweight="bold")
        axes.set_xlabel(x, fontsize=9)
        axes.set_ylabel(y, fontsize=9)
        axes.tick_params(labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.grid(axis="y" if y else "x", color="#e3e7ed", linewidth=0.7)
        axes.set_axisbelow(True)


def picture(summary: Mapping[str, Any]) -> bytes:
    """PNG of the summary, 12 inches wide."""
    made = _Picture(summary)
    ct = summary["kind"] == "ct"
    phases = list(summary.get("intensities", {}).get("phases", {}))
    panels: List[Tuple[Any, Tuple[Any, ...]]] = [(made.counts, ()), (made.sizes, ())]
    panels += [(made.phases, ()), (made.spacing, ())] if ct else [(made.scenes, ())]
    panels += [(made.intensities, (phase,)) for phase in phases]
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(12, 0.5 + 3.4 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = np.atleast_2d(figure.subplots(rows, 2))
    for axes, (draw, values) in zip(grid.ravel(), panels):
        draw(axes, *values)
    for axes in grid.ravel()[len(panels) :]:
        axes.set_axis_off()
    shows = "phantoms: " * bool(summary["phantom"])
    what = "study(s)" if ct else "recording(s)"
    title = f"{summary['modality']} data, {shows}{summary['studies']} {what} of {summary['patients']} patient(s)"
    figure.suptitle(title, fontsize=13, fontweight="bold")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor="white")
    return stream.getvalue()
