"""The page of `look` in a browser: it fits a phone, and its figures are easy to read."""

from __future__ import annotations

import time

import pytest

from gluon_liver.report.pages.series_page import LeftOut, PatientEntry, SeriesEntry, StudyEntry, series_page
from tests.browser import PROGRAM, Browser

UID = "1.3.6.1.4.1.14519.5.2.1.1706.8374." + "9" * 30


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    texts = dict.fromkeys((key for key in SeriesEntry.__dataclass_fields__), "text")
    texts.update(address=UID, folder="a/folder/with_a_name_" + "that_goes_on_" * 6, pictures=[], slices=81)
    entry = SeriesEntry(**{**texts, "aorta": 343.0, "liver": 49.0, "soft_tissue": None})
    study = StudyEntry(1, UID, "1999-04-30", "CT ABD LIVER", "", [entry])
    left_out = [LeftOut("file 0244", 1, "not a DICOM file", "folder", "description")]
    path = tmp_path_factory.mktemp("look") / "index.html"
    path.write_text(series_page("FOLDER", [PatientEntry(1, "P" * 60, [study])], left_out, (-100, 300)))
    return path


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine: the page is not tried in one")
def test_page_fits_every_width(page):
    with Browser() as browser:
        for width in (390, 860, 1320, 1920):
            browser.emulate(width, 844)
            browser.call("Page.navigate", url="about:blank")
            browser.call("Page.navigate", url=page.resolve().as_uri())
            wanted = "document.readyState === 'complete' && !!document.querySelector('.hu b')"
            for _ in range(500):
                if browser.run(wanted):
                    break
                time.sleep(0.02)
            assert browser.run("document.documentElement.scrollWidth") == width
        colour = "getComputedStyle(document.querySelector('%s')).color"
        assert browser.run(colour % ".hu b") == browser.run(colour % "h4")
        assert browser.complaints() == [] and browser.requests() == []
