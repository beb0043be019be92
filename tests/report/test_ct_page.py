from __future__ import annotations

import base64
import json
import os
import re
from html.parser import HTMLParser
from unittest.mock import Mock

import pytest

from gluon_liver.errors import RunError
from gluon_liver.report.pages.ct_page import write_report
from tests.conftest import change_json


class Page(HTMLParser):
    """Text, images and references of a page; fails on tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.images, self.links, self.tags = [], [], [], [], set()
        self.charts = re.findall("<svg", text)
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                (self.images if tag == "img" else self.links).append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def report_of(run):
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_the_page_says_what_a_reader_must_know(run):
    page = report_of(run)
    assert "Phantom result: says nothing about patients." in page.text
    assert "none of Table 4's 18 cells is a count" in page.text
    assert "R-50 as printed 69.23 64.29 70.96 this run, top-1 62.5" in page.text
    assert "5 of 8 slices" in page.text
    assert "95 % Wilson score interval, widened by the spread of a bootstrap over patients" in page.text
    assert "depth: 50" in page.text and '"python": "3.11.7"' in page.text
    assert "7 steps, epoch 2, last total loss 2" in page.text
    assert "n detections, n boxes" in page.text
    positions = [page.text.index(f"an example of a {kind}") for kind in ("hit", "false positive", "miss")]
    assert positions == sorted(positions)


def test_strings_are_escaped(run):
    change_json(run / "results.json", overlays=[])
    (run / "config.yaml").write_text("note: '</pre><script>x</script>'\n", encoding="utf-8")
    text = write_report(run).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "No overlay was drawn." in text


def test_real_data_and_no_row(run):
    change_json(run / "results.json", row=None, data={"phantom": False, "note": "one hospital"})
    page = report_of(run)
    assert "hantom" not in page.text
    assert "They hold for the 6 patients evaluated here." in page.text
    assert "no row of Table 4" in page.text
    assert page.text.index("this run, top-1") < page.text.index("R-50 as printed")


def test_equal_runs_give_equal_pages_and_leave_nothing_behind(run):
    before = sorted(path.name for path in run.iterdir())
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert sorted(path.name for path in run.iterdir()) == sorted([*before, "report.html", "figures", "tables"])


def check_alone(text, *, images, charts):
    """That a page needs nothing outside itself, runs nothing, and holds so many PNG images and charts.

    Its links lead to its own sections and to the files of its figures and tables.
    """
    page = Page(text)
    assert "script" not in page.tags and "link" not in page.tags
    assert {link for link in page.links if not link.startswith("#")} == set(
        re.findall(r"(?:figures|tables)/[\w.-]+", text)
    )
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(re.findall(r'<section id="(\w+)"', text))
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)
    assert len(page.images) == images
    for image in page.images:
        head, content = image.split(",", 1)
        assert head == "data:image/png;base64"
        assert base64.b64decode(content, validate=True).startswith(b"\x89PNG")
    drawn = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', text)
    assert len(drawn) == text.count("<svg") == charts and len(set(drawn)) == charts
    ids = re.findall(r'<[^>]* id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_the_page_needs_nothing_else_and_may_show_no_step(run):
    # three overlays; how good, losses, FROC, precision-recall
    check_alone(write_report(run).read_text(encoding="utf-8"), images=3, charts=4)
    (run / "log.jsonl").write_text('{"event": "start", "step": 0}\n\n', encoding="utf-8")
    assert "The log holds no training step." in report_of(run).text
    with pytest.raises(RunError, match="no such run folder"):
        write_report(run / "absent")


LOW = b'{"event": "step", "step": 1, "losses": {"total": "low"}}\n'


FILES = ("results.json", "config.yaml", "environment.json", "log.jsonl", "overlays/hit.png")


@pytest.mark.parametrize(
    "name, content, message",
    [
        *((name, None, name) for name in FILES),
        ("results.json", b"{", "line 1"),
        ("results.json", b"[]", r"holds a list"),
        ("config.yaml", b"a: [", "not YAML"),
        ("config.yaml", b"text", "expected keys and values, found a str"),
        ("config.yaml", b"\xff\xfe\x00", "config.yaml cannot be read: it is not text"),
        ("environment.json", b"nonsense", "not JSON"),
        ("log.jsonl", b'{"event": "start"}\n{"event": "st\n', "line 2"),
        ("log.jsonl", b"[1]\n", "line 1"),
        ("log.jsonl", b'{"event": "step"}\n', "line 1: step is missing"),
        ("log.jsonl", LOW, "line 1: losses.total: expected"),
        ("overlays/miss.png", b"GIF89a", "not a PNG"),
        ("results.json", {"format": 2}, "format 2"),
        ("results.json", {"kind": "us"}, "kind 'us'"),
        ("results.json", {"row": "R-18"}, "no row 'R-18'"),
        ("results.json", {"row": 3}, "row is missing or of the wrong type"),
        ("results.json", {"split": None}, "split"),
        ("results.json", {"data": {"note": "x"}}, "phantom"),
        ("results.json", {"summary": {}}, "summary has no valid annotated_images, ap,"),
        ("results.json", {"classes": ["cyst"]}, "classes"),
        ("results.json", {"curves": {}}, "curves.froc"),
        ("results.json", {"curves": {"froc": {"all": {"fp": [1], "sensitivity": []}}, "pr": {}}}, "curves.froc.all"),
        ("results.json", {"overlays": [{"file": "overlays/hit.png"}]}, "needs file, caption and kind"),
        ("results.json", {"overlays": [{"file": "overlays/hit.png", "caption": "", "kind": "x"}]}, "kind 'x'"),
        ("results.json", {"overlays": [{"file": "../secret.png", "caption": "", "kind": "hit"}]}, "outside"),
        ("results.json", {"overlays": [{"file": "/etc/passwd", "caption": "", "kind": "hit"}]}, "outside"),
    ],
)
def test_files_that_are_missing_or_not_as_they_must_be_are_named(run, name, content, message):
    """content: None where the file is missing, a dict for entries of results.json that change."""
    if content is None:
        (run / name).unlink()
    elif isinstance(content, dict):
        change_json(run / name, **content)
    else:
        (run / name).write_bytes(content)
    with pytest.raises(RunError, match=message) as caught:
        write_report(run)
    assert name in str(caught.value) and not (run / "report.html").exists()


def test_a_failed_write_keeps_the_old_report(run, monkeypatch):
    first = write_report(run).read_bytes()
    change_json(run / "results.json", split="val")
    monkeypatch.setattr(os, "replace", Mock(side_effect=OSError("No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_report(run)
    assert (run / "report.html").read_bytes() == first and not list(run.glob("*.partial"))


def test_scores_of_epochs_are_shown_where_training_scored_them(run):
    without = report_of(run)
    assert "epochs scored" not in without.text
    with open(run / "log.jsonl", "a") as log:
        for epoch, score in ((1, 0.25), (2, 0.5), (3, 0.375)):
            where = f'"step": {7 * epoch}, "epoch": {epoch}, "split": "val", "images": 12'
            log.write(f'{{"event": "score", {where}, "map": {score}, "ap50": 0.75}}\n')
    page = report_of(run)
    assert "3 epochs scored on the val split, 12 images: COCO mAP is highest in epoch 2 (0.500)" in page.text
    assert "and 0.375 in epoch 3, the last" in page.text and len(page.charts) == len(without.charts) + 1


@pytest.mark.parametrize("data, title", [({}, "CT liver lesion detection"), ({"modality": "MRI"}, "MRI liver lesion")])
def test_the_page_says_what_the_images_are(run, data, title):
    results = json.loads((run / "results.json").read_text())
    change_json(run / "results.json", data={**results["data"], **data})
    assert title in report_of(run).text
