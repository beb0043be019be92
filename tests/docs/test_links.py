"""Links and pictures of the documents lead to what is there, also to headings within pages; without network."""

import re

import pytest

from .pages import INCLUDES, PAGES, ROOT, prose_of

LINK = r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)"


def anchors_of(page):
    """What GitHub and the site call a page's headings."""
    headings = re.findall(r"^#{1,6} (.+?)\s*$", prose_of(page), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).lower() for heading in headings]
    return [re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain]


def broken(page, text):
    for target in re.findall(LINK, re.sub(r"`[^`\n]*`", "", text)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            if not re.match(r"https://[\w.-]+/", target):
                yield target
            continue
        file = (page.parent / path).resolve() if path else page
        if file.name in INCLUDES and file.is_file():  # of which the site alone shows the content
            file = ROOT / INCLUDES[file.name]
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert not [*broken(page, prose_of(page))]


def test_a_broken_link_is_noticed():
    text = "[a](data.md) [b](data.md#phases) [c](nowhere.md) [d](data.md#no-such-heading) [e](http://a) [f](growth.png)"
    assert [*broken(ROOT / "docs" / "index.md", text)] == ["nowhere.md", "data.md#no-such-heading", "http://a"]


def test_the_site_shows_every_page():
    """sphinx warns of a page that is in no list; index.md also names each for who reads it without the site."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    named = {*re.findall(LINK, index)}
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert pages <= named


def test_pictures_have_texts_and_are_small():
    for page in PAGES:
        for text, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", prose_of(page)):
            assert len(text) > 15 and (page.parent / target).stat().st_size < 250_000, target
