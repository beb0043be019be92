"""Names of classes in pictures, and colours that all readers can tell apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.colors import to_rgb

from gluon_liver.report.figures import lettering as module
from gluon_liver.report.figures.chart import CURVE_COLOURS
from gluon_liver.report.figures.drawing import CLASS_COLOURS, GT_COLOUR, draw_overlay
from gluon_liver.report.figures.lettering import FONT, LONGEST, has_letters, lettering
from gluon_liver.report.figures.plots import plot_froc, plot_precision_recall, plot_scene_sensitivity
from gluon_liver.report.figures.us_drawing import BESIDE, US_COLOURS
from gluon_liver.structures.detections import NOTHING
from tests.report.conftest import detections

FIVE = ("Leberzellkarzinom", "киста", "囊肿", "Metastasis, colorectal / treated with chemotherapy", "_x $y$ <b>")


@pytest.fixture
def no_fonts(monkeypatch):
    own = [entry for entry in font_manager.fontManager.ttflist if entry.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)


def test_the_usual_letters_are_in_the_font_of_every_machine():
    assert lettering(("cyst", "Zyste größer", "κύστη", "киста")).font == FONT
    assert not has_letters(FONT, "囊肿") and not has_letters(Path(__file__), "a")


def test_what_no_font_can_write_goes_by_its_number(no_fonts):
    found = lettering(FIVE)
    assert found.names[:3] == ("Leberzellkarzinom", "киста", "class 3") and found.font == FONT
    assert found.names[3].endswith("\u2026") and len(found.names[3]) <= LONGEST
    assert found.notes(FIVE) == ["class 3 is 囊肿: no font of this machine has its letters"]
    assert lettering(FIVE[:2]).notes(FIVE[:2]) == []


def test_a_font_of_the_machine_that_has_the_letters_is_taken(monkeypatch):
    entries = [font_manager.FontEntry(fname=f"/fonts/{name}.ttf") for name in ("broken", "han")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", entries)
    monkeypatch.setattr(module, "has_letters", lambda font, text: font.name == "han.ttf")
    assert lettering(FIVE[:3]) == (FIVE[:3], Path("/fonts/han.ttf"))


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_pictures_take_names_of_every_kind(no_fonts, count):
    names = [FIVE[number % 5][:30] + " " * (number // 5) + str(number) for number in range(count)]
    found = detections([(30 * n, 20, 30 * n + 20, 50) for n in range(count)], range(count), [0.9] * count)
    picture = draw_overlay(np.zeros((400, 400), np.uint8), found, truth=NOTHING, classes=names)
    for colour in CLASS_COLOURS[:count]:
        assert (picture[:100] == colour).all(axis=-1).any()
    curve = {"fp": [0.1], "sensitivity": [0.5], "recall": [0.5], "precision": [1.0]}
    assert plot_froc({name: curve for name in [*names, "all"]}).png.startswith(b"\x89PNG")
    assert plot_precision_recall({name: curve for name in names}).png.startswith(b"\x89PNG")
    assert plot_scene_sensitivity(["a", "b"], {name: {"a": 0.5} for name in names}).png.startswith(b"\x89PNG")


# linear RGB as it looks to readers without red, green and blue cones (Machado et al. 2009, severity 1)
VIEWS = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colours, view):
    """CIELAB (n, 3) of sRGB colours from 0 to 255 as a view shows them."""
    part = np.array(colours) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(view).T, 0, 1) @ XYZ.T / XYZ.sum(axis=1)
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * root[:, 1] - 16, *(500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2]))], 1)


CURVES = [tuple(255 * np.array(to_rgb(colour))) for colour in CURVE_COLOURS]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "colours",
    [(*CLASS_COLOURS, GT_COLOUR), (*US_COLOURS.values(), *(CLASS_COLOURS[place] for place in BESIDE)), CURVES],
    ids=["CT", "ultrasound", "curves"],
)
def test_colours_are_told_apart_by_every_reader(view, colours):
    pairs = itertools.combinations(lab(colours, VIEWS[view]), 2)
    assert min(np.linalg.norm(one - other) for one, other in pairs) > 16
