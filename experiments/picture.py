"""A picture a claim: every run as a dot, a panel a condition, a column an arm, the mean over seeds as a bar."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gluon_liver.files.atomic import whole_file

from .plan import Key, digest
from .records import RunRecord
from .spec import Claim
from .verdict import values_of

COLOURS = {True: "#0072B2", False: "#878778"}  # mechanism on, off
SHOWS = "Description"  # of the PNG: digest of the values that it shows
COLUMN, LEAST_WIDTH, HEIGHT = 0.34, 1.5, 3.6  # inches


def write_picture(path: Path, claim: Claim, records: Mapping[Key, RunRecord]) -> None:
    """Draw the endpoint of a claim's runs as PNG; lines join the arms of a seed."""
    shown = _shown_values(claim, records)
    widths = [max(LEAST_WIDTH, COLUMN * (len(claim.arms_of(name)) + 1)) for name in claim.conditions]
    figure = Figure(figsize=(sum(widths) + 0.9, HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, (name, condition) in zip(panels, claim.conditions.items()):
        arms = claim.arms_of(name)
        for seed in claim.seeds:
            line = [(place, shown[name][arm][seed]) for place, arm in enumerate(arms) if seed in shown[name][arm]]
            if line:
                axes.plot(*zip(*line), color="#BBBBBB", linewidth=0.6, zorder=1)
        for place, arm in enumerate(arms):
            values = list(shown[name][arm].values())
            if values:
                axes.scatter([place] * len(values), values, s=14, color=COLOURS[condition.mechanism], zorder=2)
                axes.hlines(float(np.mean(values)), place - 0.32, place + 0.32, color="black", linewidth=1.6, zorder=3)
        axes.set_xticks(range(len(arms)), arms, rotation=55, ha="right", fontsize=8)
        axes.set_xlim(-0.6, len(arms) - 0.4)
        axes.set_title(f"{name}\n(mechanism {'on' if condition.mechanism else 'off'})", fontsize=8.5)
        axes.grid(axis="y", linewidth=0.4, alpha=0.6)
        axes.tick_params(axis="y", labelsize=8)
    panels[0].set_ylabel(claim.endpoint.text, fontsize=8.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=110, metadata={"Software": None, SHOWS: digest(shown)})


def picture_is_of(path: Path, claim: Claim, records: Mapping[Key, RunRecord]) -> bool:
    """Whether a picture is there, whole, and was drawn of these values."""
    try:
        with Image.open(path) as image:
            image.verify()  # sums of its parts; load() takes a cut picture where GluonCV has told Pillow to
            return image.info.get(SHOWS) == digest(_shown_values(claim, records))
    except (OSError, SyntaxError):  # which Pillow raises for a damaged part
        return False


def _shown_values(claim: Claim, records: Mapping[Key, RunRecord]) -> dict:
    return {
        name: {arm: values_of(claim, records, name, arm) for arm in claim.arms_of(name)} for name in claim.conditions
    }
