"""The site: made without a warning, whole, and nothing in it is loaded from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import PROGRAM, Browser

from .pages import ROOT

pytest.importorskip("furo", reason="the extra docs is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site; a warning fails. Builds in a process of its own, for Sphinx changes settings of all."""
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(out / "doctrees"), "docs"]
    done = subprocess.run([*words, str(out / "html")], cwd=str(ROOT), stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return out / "html"


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"", text)
        assert loaded
        for target in loaded:
            assert not re.match(r"(?:\w+:)?//", target), (page, target)
            path = target.partition("?")[0].partition("#")[0]
            assert not path or path.startswith("data:") or (page.parent / path).exists(), (page, target)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", style.read_text(encoding="utf-8")), style


@pytest.mark.slow
def test_the_api_explains_every_public_name_and_its_parameters(site):
    import gluon_liver

    text = Path(site / "api.html").read_text(encoding="utf-8")
    for name in gluon_liver.__all__:
        assert f'id="gluon_liver.{name}"' in text, name
    start, end = (text.index(f'id="gluon_liver.Detector.{name}"') for name in ("detect_volume", "detect_study"))
    explained = text[start:end]
    assert all(f"<strong>{name}</strong>" in explained for name in ("hu", "spacing", "direction", "score_threshold"))
    assert "Boxes are in pixels of the slices" in explained


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine: the pages are not tried in one")
def test_the_references_fold_on_a_telephone(site):
    with Browser() as browser:
        for width, open_here in ((390, 0), (390, 1), (1280, 9)):
            browser.emulate(width, 900)
            browser.call("Page.navigate", url="about:blank")
            address = (site / "reference" / "configuration.html").resolve().as_uri()
            browser.call("Page.navigate", url=address + ("#network-rpn" if open_here == 1 else ""))
            browser.loaded("document.querySelector('details.keys')")
            assert browser.run("document.querySelectorAll('details.keys[open]').length") == open_here
            assert browser.run("document.documentElement.scrollWidth") <= width
            assert browser.complaints() == []
