"""A picture a claim: every run as a dot, a panel a condition, a column an arm, the mean over seeds as a bar. And one of
all claims: the differences that decide, with their intervals.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, List, Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gluon_liver.files.atomic import whole_file

from .plan import digest
from .records import Runs
from .spec import Claim
from .verdict import AllCompared, Compared, values_of

COLOURS = {True: "#0072B2", False: "#878778"}  # mechanism on, off
SHOWS = "Description"  # of the PNG: digest of the values that it shows
OVERVIEW = "evidence.png"
ROW = 0.3  # inches, of a difference
COLUMN, LEAST_WIDTH, HEIGHT = 0.34, 1.5, 3.6  # inches


def picture_name(claim: Claim) -> str:
    """Of the picture, beside the page."""
    return f"evidence-{claim.claim}.png"


def write_picture(path: Path, claim: Claim, records: Runs) -> None:
    """Draw the endpoint of a claim's runs as PNG; lines join the arms of a seed."""
    shown = _shown_values(claim, records)
    widths = [max(LEAST_WIDTH, COLUMN * (len(claim.arms_of(name)) + 1)) for name in claim.conditions]
    figure = Figure(figsize=(sum(widths) + 0.9, HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, (name, condition) in zip(panels, claim.conditions.items()):
        arms = _arms(claim, name)
        for seed in claim.seeds:
            line = [(place, shown[name][arm][seed]) for place, arm in enumerate(arms) if seed in shown[name][arm]]
            if line:
                axes.plot(*zip(*line), color="#BBBBBB", linewidth=0.6, zorder=1)
        for place, arm in enumerate(arms):
            values = list(shown[name][arm].values())
            if values:
                axes.scatter([place] * len(values), values, s=14, color=COLOURS[condition.mechanism], zorder=2)
            if len(values) > 1:
                axes.hlines(float(np.mean(values)), place - 0.32, place + 0.32, color="black", linewidth=1.6, zorder=3)
        axes.set_xticks(range(len(arms)), arms, rotation=55, ha="right", fontsize=8)
        axes.set_xlim(-0.6, len(arms) - 0.4)
        axes.set_title(f"{name}\n(mechanism {'on' if condition.mechanism else 'off'})", fontsize=8.5)
        axes.grid(axis="y", linewidth=0.4, alpha=0.6)
        axes.tick_params(axis="y", labelsize=8)
    panels[0].set_ylabel(textwrap.fill(claim.endpoint.text, 36), fontsize=8.5)
    _save(figure, path, shown)


def picture_is_of(path: Path, claim: Claim, records: Runs) -> bool:
    """Whether a picture is there, whole, and was drawn of these values."""
    return _shows(path, _shown_values(claim, records))


def write_overview(path: Path, claims: Mapping[str, Claim], compared: AllCompared) -> None:
    """Draw what decides each claim as PNG: a panel a claim that is compared, a row a difference, the claim's own first.

    Small dots are the seeds, the large one their mean, the line its interval, which is cut where the panel ends; the
    band holds what is not worth speaking of.
    """
    deciding = {name: _deciding(some) for name, some in compared.items()}
    rows = {name: len(some) for name, some in deciding.items() if some}
    figure = Figure(figsize=(8.6, sum(ROW * count + 0.42 for count in rows.values()) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [count + 0.6 for count in rows.values()]
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    seeds = [
        one for some in deciding.values() for each in some if each.difference for one in each.difference.differences
    ]
    room = 1.25 * max([abs(one) for one in seeds] + [2 * claims[name].smallest for name in rows])
    for axes, name in zip(panels, rows):
        claim, some = claims[name], deciding[name]
        axes.axvspan(-claim.smallest, claim.smallest, color="#E8E8E0", zorder=0)
        axes.axvline(0, color="black", linewidth=0.7, zorder=1)
        for place, one in enumerate(some):
            _draw_difference(axes, place, one)
        axes.set_yticks(range(len(some)), [_row_text(claim, one) for one in some], fontsize=7.5)
        axes.set_ylim(len(some) - 0.4, -0.6)
        axes.set_title(f"{claim.title}: {claim.endpoint.text}", fontsize=8.5, loc="left")
        axes.tick_params(axis="x", labelsize=8)
    panels[-1].set_xlim(-room, room)
    panels[-1].set_xlabel("difference (blue: the claim, with the mechanism; grey: its controls)", fontsize=8.5)
    _save(figure, path, _shown_differences(claims, compared))


def overview_is_of(path: Path, claims: Mapping[str, Claim], compared: AllCompared) -> bool:
    """As :func:`picture_is_of`."""
    return _shows(path, _shown_differences(claims, compared))


def _draw_difference(axes: Any, place: int, one: Compared) -> None:
    if one.difference is None:
        return
    colour = COLOURS[one.comparison.role == "claim"]
    axes.scatter(one.difference.differences, [place] * one.difference.n, s=7, color=colour, alpha=0.6, zorder=3)
    axes.scatter([one.difference.mean], [place], s=30, color=colour, zorder=3)
    if one.difference.low is not None and one.difference.high is not None:
        axes.hlines(place, one.difference.low, one.difference.high, color=colour, linewidth=1.6, zorder=2)


def _row_text(claim: Claim, one: Compared) -> str:
    comparison = one.comparison
    of = f"\n({one.endpoint.text})" if one.endpoint is not claim.endpoint else ""
    seeds = one.difference.n if one.difference else 0
    return f"{comparison.condition}: {comparison.arm} minus {comparison.against}, n = {seeds}{of}"


def _deciding(compared: Sequence[Compared]) -> List[Compared]:
    """Comparisons of role claim and control."""
    deciding = [one for one in compared if one.comparison.role in ("claim", "control")]
    return sorted(deciding, key=lambda one: one.comparison.role != "claim")


def _shown_differences(claims: Mapping[str, Claim], compared: AllCompared) -> List[Any]:
    shown: List[Any] = []
    for name, some in compared.items():
        for one in _deciding(some):
            seeds = one.difference and one.difference.differences
            shown.append([_row_text(claims[name], one), one.comparison.role, seeds, claims[name].smallest])
    return shown


def _arms(claim: Claim, condition: str) -> List[str]:
    """The arms of a condition, in the same order in all."""
    return [arm for arm in claim.arms if arm in claim.arms_of(condition)]


def _save(figure: Figure, path: Path, shown: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=110, metadata={"Software": None, SHOWS: digest(shown)})


def _shows(path: Path, shown: Any) -> bool:
    try:
        with Image.open(path) as image:
            image.verify()  # sums of its parts; load() takes a cut picture where GluonCV has told Pillow to
            return bool(image.info.get(SHOWS) == digest(shown))
    except (OSError, SyntaxError):  # which Pillow raises for a damaged part
        return False


def _shown_values(claim: Claim, records: Runs) -> dict:
    return {
        name: {arm: values_of(claim, records, name, arm) for arm in _arms(claim, name)} for name in claim.conditions
    }
