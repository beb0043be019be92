from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from gluon_liver.metrics import ct_curves
from gluon_liver.report.figures.learning import plot_losses, plot_validation
from gluon_liver.report.figures.plots import plot_froc, plot_precision_recall

from .conftest import CLASSES


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn: (label, x, y) of every line; Axes.step ends in Axes.plot."""
    calls = []
    original = Axes.plot

    def record(self, x, y, *args, **style):
        calls.append((style.get("label"), np.asarray(x, float), np.asarray(y, float)))
        return original(self, x, y, *args, **style)

    monkeypatch.setattr(Axes, "plot", record)
    return calls


def step(number, **losses):
    return {"event": "step", "step": number, "epoch": 0, "losses": losses}


def test_losses(drawn):
    log = [step(1, total=2.0, rpn_box=1.0), step(2, total=float("nan")), step(3, total=1.0)]
    chart = plot_losses([{"event": "start"}, *log])
    assert pixels(chart.png).std() > 5
    lines = {label: (x.tolist(), y.tolist()) for label, x, y in drawn}
    assert lines["total"] == ([1, 3], [2, 1]) and lines["rpn box"] == ([1], [1])


def test_long_logs_are_smoothed(drawn):
    plot_losses([step(number, total=1.0 + number % 2) for number in range(1, 201)])
    raw, smooth = drawn
    assert len(raw[1]) == 200 and raw[0] is None
    np.testing.assert_allclose(smooth[2], 1.5)
    assert (smooth[1][0], smooth[1][-1], smooth[0]) == (10, 200, "total")


def test_no_step_no_plot():
    assert plot_losses([]) is None
    assert plot_losses([{"event": "start", "step": 0}, step(1, total=None)]) is None


def test_scores_of_epochs(drawn):
    log = [
        {"event": "score", "step": 5 * epoch, "epoch": epoch, "split": "val", "map": value, "ap50": 0.1 + value}
        for epoch, value in ((1, 0.1), (2, 0.4), (4, 0.4), (5, 0.3))
    ]
    chart = plot_validation([{"event": "start"}, step(1, total=1.0), *log])
    assert pixels(chart.png).std() > 5
    lines = {label: (x.tolist(), y.round(6).tolist()) for label, x, y in drawn}
    assert lines["COCO mAP"] == ([1, 2, 4, 5], [0.1, 0.4, 0.4, 0.3])
    assert lines["AP50"] == ([1, 2, 4, 5], [0.2, 0.5, 0.5, 0.4])
    assert lines["highest: epoch 2"] == ([2], [0.4])  # the first of equals
    assert plot_validation([step(1, total=1.0)]) is None
    del drawn[:]
    older = [{key: value for key, value in record.items() if key != "ap50"} for record in log]
    assert plot_validation(older) and "AP50" not in [label for label, _, _ in drawn]


def test_froc(drawn, monkeypatch):
    styles, original = [], Axes.step

    def record(*args, **style):
        styles.append(style["where"])
        return original(*args, **style)

    monkeypatch.setattr(Axes, "step", record)
    curve = {"fp": [0.0, 0.25, 3.0], "sensitivity": [0.2, 0.5, 0.9]}
    chart = plot_froc({"all": curve, "cyst": {"fp": [], "sensitivity": []}})
    assert pixels(chart.png).std() > 5
    assert [call[0] for call in drawn if call[0]] == ["cyst: undefined", "all classes"]
    _, x, y = next(call for call in drawn if call[0] == "all classes")
    assert styles == ["post"]  # sensitivity holds until the next threshold
    assert list(zip(x, y)) == [(1 / 16, 0.2), (1 / 16, 0.2), (0.25, 0.5), (3, 0.9), (8, 0.9)]
    _, rates, marks = drawn[-1]
    assert rates.tolist() == [0.125, 0.25, 0.5, 1, 2, 4, 8]
    assert marks.tolist() == [0.2, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9]


def test_froc_that_starts_late_starts_at_nothing(drawn):
    plot_froc({"all": {"fp": [2.0], "sensitivity": [0.5]}})
    _, x, y = drawn[0]
    assert list(zip(x, y)) == [(1 / 16, 0), (2, 0.5), (8, 0.5)]


def test_precision_recall(drawn, results):
    curves = ct_curves(results, CLASSES)
    chart = plot_precision_recall(dict(curves["pr"], other={"recall": [], "precision": []}))
    assert pixels(chart.png).std() > 5
    assert [label for label, _, _ in drawn] == [*CLASSES, "other: undefined"]
    assert drawn[0][1].tolist() == curves["pr"]["cyst"]["recall"]


def test_equal_curves_give_equal_bytes(results):
    curves = ct_curves(results, CLASSES)["froc"]
    assert plot_froc(curves) == plot_froc(curves)
