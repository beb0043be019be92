"""The page of a comparison: what it says, where it goes, and how it stands in a browser."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil

import pytest
from PIL import Image

from gluon_liver.commands import main
from gluon_liver.config.load import load_config, save_config
from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.report.comparison.compare_runs import compare_runs
from gluon_liver.report.comparison.comparison_tables import comparison_text
from gluon_liver.report.comparison.configurations import compared_configurations, compared_training
from gluon_liver.report.comparison.place import default_folder
from gluon_liver.report.figures.bars import plot_differences, plot_parts
from gluon_liver.report.pages.compare_page import write_comparison
from gluon_liver.report.pages.compared_images import _said, image_groups
from gluon_liver.report.tables.table import Table
from tests.browser import PROGRAM, Browser

from .test_compare_runs import FEW, ct_run, scored

WORSE = {(patient, 0) for patient in range(6)} | {(7, 2)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """a finds more than b; both are of one configuration but for the depth, trained on other data."""
    place = tmp_path_factory.mktemp("compared")
    for name, missed, config in (("a", {(0, 0), (1, 0)}, "demo-ct"), ("b", WORSE, "demo-r101")):
        folder = ct_run(place / name, scored(missed))
        save_config(load_config(config), folder / "config.yaml")
        trained = {"training_studies": ["s", name], "training_patients": ["p", "q"], "seed": 1, "data": "../data"}
        write_json(folder / "environment.json", trained)
    return place


@pytest.fixture(scope="module")
def document(runs):
    return compare_runs([runs / "a"], [runs / "b"], FEW)


def picture():
    stream = io.BytesIO()
    Image.new("RGB", (256, 256), (40, 60, 80)).save(stream, format="WEBP")
    return stream.getvalue()


def test_differing_images_with_their_boxes(document):
    found = document["differing"]
    # a finds what b misses in two slices of patients 2 to 5 (cysts) and of 7 (hcc); nothing is the other way round
    assert found["groups"] == {"a": 10, "b": 0, "mixed": 0, "scores": 0, "same": 22}
    assert len({one["patient"] for one in found["shown"]}) == 5 and len(found["shown"]) == 6
    first = found["shown"][0]
    assert (first["gain"], first["a"]["found"], first["b"]["found"]) == (1.0, [1.0, 1.0, 1.0], [0.0, 1.0, 1.0])
    assert [one["right"] for one in first["a"]["detections"]] == [True, True, True]
    assert len(found["each"]) == 10 and found["identical"] is False


def test_configurations_and_training_data(runs, document, tmp_path):
    differ = document["configuration"]["differ"]
    assert [one["key"] for one in differ] == ["row", "network.depth"]
    assert [document[arm][0]["network"] for arm in "ab"] == [
        f"a net like R-{depth} with an eighth of the width, at 256 pixels" for depth in (50, 101)
    ]
    assert differ[1] == {"key": "network.depth", "a": [50], "b": [101]}
    assert (
        "NOT trained on the same data (2 studies of 2 patients and 2 of 2, 1 studies in both)"
        in document["training"][0]
    )
    flat = " ".join(comparison_text(document).split())
    assert "network.depth 50 101" in flat and "Both were scored on the same 32 slices of 8 patients" in flat
    folder = tmp_path / "none"
    folder.mkdir()
    assert compared_configurations([runs / "a"], [folder])["unread"] == [
        "none is not a run folder: it has no config.yaml"
    ]
    (folder / "config.yaml").write_text("network: {breadth: 1}\n")
    assert "cannot be read by this version" in compared_configurations([runs / "a"], [folder])["unread"][0]
    shutil.copy(str(runs / "a/environment.json"), str(folder / "environment.json"))
    assert compared_training([runs / "a"], [folder])[0].startswith(
        "All were trained on the same 2 studies of 2 patients"
    )
    write_json(folder / "environment.json", {"seed": 1})
    assert "is not known" in compared_training([runs / "a"], [folder])[0]


def test_keys_that_vary_within_both_arms_do_not_differ(tmp_path):
    for name, changes in (("a1", []), ("a2", ["train.seed=2"]), ("b1", ["train.epochs=3"])):
        (tmp_path / name).mkdir()
        save_config(load_config("demo-ct", overrides=changes), tmp_path / name / "config.yaml")
    shutil.copytree(str(tmp_path / "b1"), str(tmp_path / "b2"))
    save_config(load_config("demo-ct", overrides=["train.epochs=3", "train.seed=2"]), tmp_path / "b2/config.yaml")
    arms = [[tmp_path / f"{arm}{number}" for number in (1, 2)] for arm in "ab"]
    found = compared_configurations(*arms)
    assert found["differ"] == [{"key": "train.epochs", "a": [6], "b": [3]}]
    assert found["vary"] == [{"key": "train.seed", "values": [0, 2]}]


def test_the_page_says_it_all(document, tmp_path):
    pictures = {one["image_id"]: (picture(), picture()) for one in document["differing"]["shown"]}
    html = write_comparison(document, tmp_path / "with", pictures=pictures).read_text(encoding="utf-8")
    assert html.count("data:image/webp;base64,") == 12
    for said in (
        "Of 32 slices A is better in 10, B in none",
        "network.depth",
        "A: 3 of 3 found",
        "missed",
        "evaluate again",
    ):
        assert said in html, said
    html = write_comparison(document, tmp_path / "without", note="No pictures: <gone>").read_text(encoding="utf-8")
    assert "No pictures: &lt;gone&gt;" in html and "<img" not in html and "x1, y1, x2, y2" in html


def test_pictures_and_tables_are_files_too(document, tmp_path):
    out = tmp_path / "out"
    papers = {"table-2": Table.of("of the paper", ("", "A"), [("Tumor", "0.5")])}
    html = write_comparison(document, out, papers=papers).read_text(encoding="utf-8")
    rows = list(csv.reader((out / "tables" / "differences-overall.csv").open(encoding="utf-8")))
    recall = next(one for one in document["figures"] if (one["family"], one["name"]) == ("overall", "recall"))
    line = next(row for row in rows if row[0] == "recall")
    assert rows[0][:5] == ["in %", "A", "B", "A - B [95 %]", "A - B [95 %] [interval]"]
    assert line[1:4] == [f"{100 * recall['a']:.1f}", f"{100 * recall['b']:.1f}", f"{100 * recall['difference']:+.1f}"]
    assert line[4] == f"[{100 * recall['low']:.1f}, {100 * recall['high']:.1f}]"
    alone = [one for one in document["lesions"]["each"] if one["found_by"] in ("a", "b")]
    assert len(list(csv.reader((out / "tables" / "found-by-one.csv").open(encoding="utf-8")))) == 1 + len(alone) > 1
    assert r"Tumor & 0.5 \\" in (out / "tables" / "table-2.tex").read_text(encoding="utf-8")
    figures = {path.name for path in (out / "figures").iterdir()}
    names = {f"differences-{family}" for family in ("overall", "by-class", "by-size")} | {"found", "froc"}
    assert figures == {f"{name}.{ending}" for name in names for ending in ("png", "svg")}
    written = [path.relative_to(out).as_posix() for path in out.rglob("*.*") if path.parent != out]
    assert all(f'<a href="{name}">' in html for name in written) and html.count('<a href="tables/') == len(
        list((out / "tables").iterdir())
    )
    (out / "tables" / "of-before.csv").write_text("x")
    write_comparison(document, out)
    assert not (out / "tables" / "of-before.csv").exists() and not (out / "tables" / "table-2.tex").exists()


def test_a_folder_of_figures_that_no_comparison_made_is_left(document, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.png").write_text("x")
    with pytest.raises(InputError, match="holds 'figures', which no comparison wrote"):
        write_comparison(document, tmp_path)
    assert (tmp_path / "figures" / "mine.png").is_file()


def test_differences_in_a_picture():
    entry = dict(name="a & <b> $x$", difference=0.125, low=-0.025, high=0.275, p_holm=0.04)
    chart = plot_differences([entry, dict(entry, name="other", p_holm=0.06)])
    assert chart.svg.count("+12.5 [-2.5, +27.5]") == 2 and "a &amp; &lt;b&gt; $x$" in chart.svg
    # filled where it is told from noise, else white
    dots = [one for one in chart.svg.split("<defs>")[1:] if "#0072b2" in one]
    assert "fill: #0072b2" in chart.svg and chart.svg.count("fill: #ffffff; stroke: #0072b2") == 1, dots
    parts = plot_parts(["all (4)"], {"both": [0.5], "neither": [0.5]})
    assert "all (4)" in parts.svg and "both" in parts.svg and "neither" in parts.svg


def test_the_page_goes_beside_the_first_run(runs, tmp_path, capsys, monkeypatch):
    place = tmp_path / "runs"
    shutil.copytree(str(runs), str(place))
    words = ["evaluate", "--compare", f"{place}/a", f"{place}/b", "--bootstrap", "20"]
    assert main(words) == 0
    printed = capsys.readouterr()
    page = place / "a/comparisons/b/comparison.html"
    assert f"page: {page}" in printed.out and page.is_file() and "note: No pictures: ../data" in printed.err
    assert default_folder([place / "a"], [place / "b"]) == page.parent  # which is written again
    other = place / "elsewhere" / "b"
    shutil.copytree(str(place / "b"), str(other))
    assert default_folder([place / "a"], [other]).name == "b-2"
    assert default_folder([place / "a"], [place / "x" / "a"]).name == "x-a"
    assert default_folder([place / "a", place / "b"], [other]).name == "2-runs-and-1-of-b"
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    capsys.readouterr()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("gluon_liver.report.pages.compare_page.write_json", refuse)
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "page:" not in printed.out and "Overall: A - B by patient" in printed.out
    assert "note: no page: " in printed.err and "Read-only file system; --out DIR writes it elsewhere" in printed.err
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert "cannot be written: Read-only file system" in capsys.readouterr().err


def test_equal_runs_and_runs_that_find_nothing(runs, tmp_path):
    shutil.copytree(str(runs / "a"), str(tmp_path / "copy"))
    document = compare_runs([runs / "a"], [tmp_path / "copy"], FEW)
    assert document["differing"]["identical"] and document["differing"]["shown"] == []
    html = write_comparison(document, tmp_path / "same").read_text(encoding="utf-8")
    assert "give the very same detections in all 32 slices" in html
    everything = {(patient, label) for patient in range(8) for label in range(3)}
    for name in ("c", "d"):
        ct_run(tmp_path / name, scored(everything))
        write_json(tmp_path / name / "detections.json", [])
    document = compare_runs([tmp_path / "c"], [tmp_path / "d"], FEW)
    json.dumps(document, allow_nan=False)
    assert "very same detections" in " ".join(comparison_text(document).split())


def test_runs_of_other_images_are_told_what_to_do(runs, tmp_path):
    results = [one for one in scored() if one.image_id >= 40]
    ct_run(tmp_path / "half", results)
    with pytest.raises(Exception, match="evaluate both on the same data with --data"):
        compare_runs([runs / "a"], [tmp_path / "half"], FEW)


# how far the page is too wide, pictures without a name, what lies beyond the screen, and texts that hardly stand out
CHECKED = """(() => {
  const named = e => e.getAttribute('alt') || e.getAttribute('aria-label') || e.closest('[aria-hidden=true]');
  const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(n => { n /= 255;
    return n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)|transparent/.test(c)) return c; } return 'rgb(255,255,255)'; };
  const ink = e => e.closest('svg') ? getComputedStyle(e).fill : getComputedStyle(e).color;
  const ratio = e => { const [a, b] = [light(ink(e)), light(ground(e))].sort((x, y) => x - y);
    return (b + 0.05) / (a + 0.05); };
  const kinds = 'h1, h2, h3, h4, p, a, b, li, small, span, th, td, summary, figcaption, text';
  const texts = [...document.querySelectorAll(kinds)];
  return {wide: document.documentElement.scrollWidth - innerWidth,
          small: [...document.querySelectorAll('svg text')].filter(e => {
                  const drawn = e.getScreenCTM(), scale = Math.hypot(drawn.a, drawn.b);
                  return e.checkVisibility() && scale * parseFloat(getComputedStyle(e).fontSize) < 10;
          }).map(e => e.textContent),
          nameless: [...document.querySelectorAll('img, svg')].filter(e => !named(e)).length,
          beyond: [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, .wide, svg') &&
                  e.getBoundingClientRect().right > innerWidth + 1).map(e => e.className || e.tagName),
          faint: texts.filter(e => e.textContent.trim() && ratio(e) < 4.5).map(e => e.outerHTML.slice(0, 80))};
})()"""


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium")
def test_in_a_browser(document, tmp_path):
    pictures = {one["image_id"]: (picture(), picture()) for one in document["differing"]["shown"]}
    page = write_comparison(document, tmp_path / "page", pictures=pictures)
    with Browser() as browser:
        browser.call("Page.navigate", url=page.resolve().as_uri())
        for width, dark in ((390, False), (1280, False), (1920, True)):
            browser.emulate(width, 900, dark=dark)
            found = browser.run(CHECKED)
            assert found == {"wide": 0, "small": [], "nameless": 0, "beyond": [], "faint": []}
        assert not browser.requests() and not browser.complaints()


def test_what_a_side_misses_and_gets_wrong_is_said(document):
    wrong = [dict(score=0.7, right=False, iou=iou, **{"class": "hcc"}) for iou in (0.45, 0.0)]
    side = {"found": [1.0, 0.0, 0.0], "false": 2.0, "detections": [dict(wrong[0], right=True), *wrong]}
    entry = {"objects": [{"class": name} for name in ("hcc", "cyst", "cyst")]}
    assert (
        _said(entry, side) == "1 of 3 found; 2 false detections; missed: 2 cyst; wrong: hcc 0.70 (IoU 0.45), hcc 0.70"
    )
    assert (
        _said({"objects": []}, {"found": [], "false": 0.0, "detections": []}) == "nothing to find; 0 false detections"
    )
    groups = image_groups(document, {})
    assert [group["title"] for group in groups] == ["A is better"] and "of 10." in groups[0]["note"]
