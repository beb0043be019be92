"""Two figures of the CT paper: what a relation between phases looks at (Fig. 4), hits and false positives (Fig. 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from gluon_liver.report.figures.lettering import font_for, plain_label

_DPI = 100
_OPACITY = 0.8  # of the hottest pixel; colder ones are fainter, so that the anatomy stays visible
_DIMMED = 480  # grey value shown as white under heat, which else drowns in bone and kidney
_BOX = "#00e5ff"  # stands out from grey and from every colour of the heat
_GROUND, _TEXT, _FAINT = "#101014", "#f2f2f2", "#aaaaaa"
_GAP, _CAPTION, _TITLE = 10, 24, 34  # pixels of Fig. 5
_LEAST_WIDTH = 1000  # of Fig. 5 in pixels, for its titles


class Cells(NamedTuple):
    """How the cells of a feature map lie on the stored image.

    stride: network pixels a cell; cell k is centred on stride * k + 0.5. scale: network pixels a stored pixel.
    """

    stride: int
    scale: float

    def on_image(self, cells: np.ndarray, shape: Tuple[int, ...]) -> np.ndarray:
        """A map (h, w) over a stored image (height, width): linear between cell centres, level beyond the last."""
        weights = []
        for pixels, count in zip(shape, cells.shape):
            place = ((np.arange(pixels) + 0.5) * self.scale - 0.5) / self.stride  # of pixel centres, in cells
            place = np.clip(place, 0, count - 1)
            weights.append(np.clip(1 - np.abs(place[:, None] - np.arange(count)), 0, None))
        return weights[0] @ cells @ weights[1].T

    def pixel(self, row: int, column: int) -> Tuple[float, float]:
        """(x, y) of a cell's centre in pixels of the stored image."""
        return (self.stride * column + 0.5) / self.scale, (self.stride * row + 0.5) / self.scale


class Related(NamedTuple):
    """One of the other phases that is present beside a lesion.

    grey: (H, W) uint8, its slice. row: (h, w), the share of each cell in what the lesion looks at, summing to one.
    response: (h, w), L2 norm of what is added to the reference phase's map.
    """

    grey: np.ndarray
    row: np.ndarray
    response: np.ndarray


def draw_relation(
    *,
    title: str,
    lesion: str,
    phase: str,
    grey: np.ndarray,
    box: np.ndarray,
    inside: np.ndarray,
    norm: np.ndarray,
    others: Dict[str, Optional[Related]],
    cells: Cells,
) -> np.ndarray:
    """Fig. 4 for one lesion: above where it looks in each of the other phases, below what they add at each place.

    title: of the picture. lesion: of the first panel, the lesion's class and score. phase: the reference
    phase. grey: (H, W) uint8, its slice. box: (4,) corners in pixels of ``grey``. inside: (h, w) bool, the box's cells.
    norm: (h, w), L2 norm of the reference phase's map. others: the other phases by name, None for one that is absent at
    this slice. Returns (height, width, 3) uint8 RGB.
    """
    font = font_for(lesion, phase, *others)
    lesion, phase = plain_label(lesion), plain_label(phase)
    others = {plain_label(name): other for name, other in others.items()}
    columns = 1 + len(others)
    size = 4.3 * columns, 2.4 + 7.2 * grey.shape[0] / grey.shape[1]  # inches
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained", facecolor=_GROUND)
    figure.suptitle(title, color=_TEXT, fontsize=13)
    foot = "dashed: the lesion's box in another phase; ring: the cell looked at most"
    figure.supxlabel(foot, color=_FAINT, fontsize=10)
    axes = figure.subplots(2, columns)
    _show(axes[0, 0], f"{phase} (reference)\n{lesion}", grey, box, font)
    _show(axes[1, 0], f"map of {phase}\n{_mean_in(norm, inside)}", grey, box, font, white=_DIMMED)
    _heat(axes[1, 0], norm, cells, grey.shape, most=norm.max(), unit="L2 norm")
    # one scale for all responses, so that phases compare
    strongest = max((other.response.max() for other in others.values() if other is not None), default=0.0)
    for (above, below), (name, other) in zip(axes[:, 1:].T, others.items()):
        if other is None:
            for axis in (above, below):
                _note(
                    axis, 0.5, f"{name}:\nabsent at this slice", color=_FAINT, fontsize=12, verticalalignment="center"
                )
                axis.set_axis_off()
            continue
        share = 100 * other.row[inside].sum()
        title = f"where the lesion looks in {name}\n{share:.3g} % within the box"
        _show(above, title, other.grey, box, font, dashed=True)
        _row(above, other.row, cells, grey.shape)
        title = f"what {name} adds to the map of {phase}\n{_mean_in(other.response, inside)}"
        _show(below, title, grey, box, font, white=_DIMMED)
        _heat(below, other.response, cells, grey.shape, most=strongest, unit="L2 norm")
    return _pixels(figure)


class Tile(NamedTuple):
    """A picture (h, w, 3) uint8 of Fig. 5 and the line above it."""

    caption: str
    picture: np.ndarray


def draw_examples(rows: Sequence[Tuple[str, Sequence[Tile]]]) -> np.ndarray:
    """Fig. 5: rows of tiles, each under its title; a row without a tile says "none". (height, width, 3) uint8 RGB."""
    tiles = [tile.picture for _, row in rows for tile in row]
    tile_width = max((tile.shape[1] for tile in tiles), default=200)
    columns = max(-(-_LEAST_WIDTH // tile_width), *(len(row) for _, row in rows))
    width = columns * (tile_width + _GAP) + _GAP
    heights = [_TITLE + _CAPTION + max((tile.picture.shape[0] for tile in row), default=0) + _GAP for _, row in rows]
    height = sum(heights) + _GAP
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_GROUND)

    def write(x: int, top: int, text: str, **style) -> None:
        figure.text(x / width, 1 - top / height, text, verticalalignment="top", **style)

    for (title, row), top in zip(rows, _GAP + np.cumsum([0, *heights])):
        write(_GAP, top, title, color=_TEXT, fontsize=14)
        if not row:
            write(_GAP, top + _TITLE, "none", color=_FAINT, fontsize=12)
        for column, tile in enumerate(row):
            left, under = _GAP + column * (tile_width + _GAP), top + _TITLE + _CAPTION
            write(left, top + _TITLE, tile.caption, color=_TEXT, fontsize=11)
            # pixel for pixel; figimage counts from the bottom
            figure.figimage(tile.picture, left, height - under - tile.picture.shape[0])
    return _pixels(figure)


def _mean_in(values: np.ndarray, inside: np.ndarray) -> str:
    return f"{values[inside].mean():.3g} within the box on average"


def _show(
    axes: Axes,
    title: str,
    grey: np.ndarray,
    box: np.ndarray,
    font: Path,
    *,
    dashed: bool = False,
    white: int = 255,
) -> None:
    """A slice with the lesion's box, dashed where the box was found in another phase."""
    height, width = grey.shape
    extent = (0, width, height, 0)  # pixel edges, as boxes have them
    axes.imshow(grey, cmap="gray", vmin=0, vmax=white, extent=extent, interpolation="bilinear")
    axes.autoscale(False)
    axes.set_anchor("N")  # level with its neighbours, whether or not a colour bar stands below
    style: Dict[str, Any] = {"fill": False, "edgecolor": _BOX, "linewidth": 1.3, "linestyle": "--" if dashed else "-"}
    axes.add_patch(Rectangle((box[0], box[1]), box[2] - box[0], box[3] - box[1], **style))
    axes.set_title(title, color=_TEXT, fontproperties=FontProperties(fname=str(font), size=10))
    axes.set_axis_off()


def _row(axes: Axes, row: np.ndarray, cells: Cells, shape: Tuple[int, ...]) -> None:
    """Shares of what a lesion looks at, in percent, with a ring around the largest."""
    even = f"% a cell ({100 / row.size:.2g} if even)"
    _heat(axes, 100 * row, cells, shape, most=100 * row.max(), unit=even)
    x, y = cells.pixel(*divmod(int(row.argmax()), row.shape[1]))
    axes.plot([x], [y], "o", fillstyle="none", color="white", markersize=11, markeredgewidth=0.8)


def _heat(axes: Axes, values: np.ndarray, cells: Cells, shape: Tuple[int, ...], *, most: float, unit: str) -> None:
    """A map over a slice, from 0 to ``most``, with its colour bar; a map of zeros is left out and said to be zero."""
    if most <= 0:
        _note(axes, 0.02, "zero everywhere", color=_TEXT, fontsize=10)
        return
    colours = matplotlib.colormaps["inferno"](np.linspace(0, 1, 256))
    colours[:, 3] = np.linspace(0, _OPACITY, 256)
    extent = (0, shape[1], shape[0], 0)
    heat = cells.on_image(values, shape)
    drawn = axes.imshow(heat, cmap=ListedColormap(colours), vmin=0, vmax=most, extent=extent)
    bar = axes.figure.colorbar(drawn, ax=axes, location="bottom", shrink=0.8, pad=0.02)
    bar.ax.set_facecolor("black")
    bar.set_label(f"{unit}, most {most:.3g}", color=_TEXT, fontsize=9)
    bar.ax.tick_params(colors=_TEXT, labelsize=8)
    bar.outline.set_edgecolor(_FAINT)  # type: ignore[operator]


def _note(axes: Axes, height: float, text: str, **style: Any) -> None:
    """A text in the middle of the axes, ``height`` of them from below."""
    axes.text(0.5, height, text, horizontalalignment="center", transform=axes.transAxes, **style)


def _pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
