"""A chart as PNG and as SVG, and how an SVG becomes a part of a page that is light or dark."""

from __future__ import annotations

import html
import io
import re
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from .lettering import lettering

# As the overlay's colours, but on white: told apart by colour-blind readers too. By class index; the pooled curve is
# black.
CURVE_COLOURS = ("#0072B2", "#CCA800", "#BE3E00", "#7800FF", "#878778", "#001E96", "#87B4D2", "#8769FF")
US_CURVE_COLOURS = ("#0072B2", "#C8281E")  # the ultrasound paper's light blue and red, for white ground
POOLED_COLOUR, GRID_COLOUR, FAINT_COLOUR = "#222222", "#e4e4e4", "#b8bec8"
# what a page has a variable for, with a value for light and for dark
_VARIABLES = {"#000000": "ink", POOLED_COLOUR: "ink", GRID_COLOUR: "grid", FAINT_COLOUR: "mark", "#ffffff": "paper"}
_VARIABLES.update({colour.lower(): f"curve-{number}" for number, colour in enumerate(CURVE_COLOURS)})
_VARIABLES[US_CURVE_COLOURS[1].lower()] = "curve-red"
LETTERS = 9  # points, all that is written in a chart
_LEGEND_MARGIN, _LEGEND_ROW = 0.6, 0.19  # inches
_LEAST_SCALE = 1.12  # of a point in pixels: letters of a chart in a page are never below ten of these
_USUAL_WIDTH = 4.4  # inches: a telephone is as wide at that scale


class Chart(NamedTuple):
    """One picture in two forms: PNG bytes, and SVG that stands alone."""

    png: bytes
    svg: str


class Exhibit(NamedTuple):
    """A chart as a page shows it. name: of its files, and unique in a page. alt: what is seen, for who does not see."""

    name: str
    title: str
    note: str
    alt: str
    chart: Chart

    def inline(self) -> str:
        """The chart as an element of a page."""
        return inline_svg(self.chart.svg, name=self.name, alt=self.alt)

    @property
    def wide(self) -> bool:
        """Whether it is wider than a telephone, on which one has to scroll it."""
        return _width_of(self.chart.svg) > 72 * _USUAL_WIDTH + 1


def new_axes(width: float = _USUAL_WIDTH, height: float = 3.3) -> Tuple[Figure, Axes]:
    """A figure of so many inches with one pair of axes."""
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    style_axes(axes)
    return figure, axes


def new_figure(width: float = _USUAL_WIDTH, height: float = 3.3) -> Figure:
    """An empty figure of so many inches."""
    figure = Figure(figsize=(width, height), dpi=200)
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes) -> None:
    """Two spines and a faint grid behind what is drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color=GRID_COLOUR, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=LETTERS)


def labelled(figure: Figure, axes: Axes, xlabel: str, ylabel: str, names: Sequence[str] = ()) -> Chart:
    """The chart with a legend above its axes, in a font that has the letters of ``names``."""
    axes.set_xlabel(xlabel, fontsize=LETTERS)
    axes.set_ylabel(ylabel, fontsize=LETTERS)
    _add_legend(figure, axes, FontProperties(fname=str(lettering(names).font), size=LETTERS))
    return finished(figure)


def finished(figure: Figure) -> Chart:
    """The chart of a figure; equal figures give equal charts."""
    figure.tight_layout()
    png, svg = io.BytesIO(), io.StringIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    # texts stay texts, which a reader can search and a program can read out; ids do not depend on the moment
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "chart"}):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return Chart(png.getvalue(), svg.getvalue())


def inline_svg(svg: str, *, name: str, alt: str) -> str:
    """An SVG of :func:`finished` as an element of a page, in the colours of the page's style.

    name: makes its ids other ones than those of other charts of the page. alt: what it shows, read out instead of it.
    """
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    body = re.sub(r"<[^>]+>", lambda tag: _inlined(tag.group(), name), body)
    size = re.search(r'viewBox="[^"]*"', svg)
    assert size is not None
    least = f"min-width: {_LEAST_SCALE * _width_of(svg):.0f}px"
    head = f'<svg {size.group()} style="{least}" role="img" aria-label="{html.escape(alt)}">'
    return (head + body[body.index(">") + 1 :]).strip()


def _width_of(svg: str) -> float:
    """Points."""
    found = re.search(r'viewBox="0 0 ([0-9.]+) ', svg)
    assert found is not None
    return float(found.group(1))


def _inlined(tag: str, name: str) -> str:
    """One tag of an SVG: with the chart's own ids and the page's colours."""
    tag = re.sub(r'(\bid="|url\(#|xlink:href="#)', lambda start: f"{start.group()}{name}-", tag)
    return re.sub(r"#[0-9a-f]{6}\b", lambda colour: _variable(colour.group()), tag)


def _variable(colour: str) -> str:
    variable: Optional[str] = _VARIABLES.get(colour)
    return f"var(--{variable})" if variable else colour


def _add_legend(figure: Figure, axes: Axes, font: FontProperties) -> None:
    """Outside the axes, where no curve can lie under it: in as many columns as the figure has room for, and a figure
    that is higher by further rows."""
    entries = len(axes.get_legend_handles_labels()[1])
    close: Dict[str, Any] = {"columnspacing": 1.0, "handlelength": 1.6, "handletextpad": 0.5}
    place: Dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), **close}
    for columns in range(min(5, entries), 0, -1):
        legend = axes.legend(frameon=False, prop=font, ncol=columns, **place)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width - _LEGEND_MARGIN * figure.dpi:
            rows = -(-entries // columns)
            width, height = figure.get_size_inches()
            figure.set_size_inches(width, height + _LEGEND_ROW * (rows - 1))
            return
