"""What the live page does in a browser: it follows, scrolls back, pauses, and says when it is not live."""

import time

import pytest

from gluon_liver.live.board import Board
from gluon_liver.live.history import History
from gluon_liver.live.page import page_files
from gluon_liver.live.server import PageServer
from tests.browser import PROGRAM, Browser
from tests.live.test_history import CLASSES, annotated

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is there, in which the page is tried")


@pytest.fixture(scope="module")
def browser():
    with Browser() as page:
        yield page


@pytest.fixture
def live(browser):
    """(page, board, publish) of a page that shows three pictures, of frames 10 to 12, and keeps five."""
    board = Board(CLASSES, score_threshold=0.5, history=History(most_frames=5))
    fares = ["live", ""]
    board.fares = lambda: tuple(fares)

    def publish(count=1, late=0.1):
        for _ in range(count):
            number = 10 + board.history.state()["newest"] + 1
            board.publish(annotated(number, arrived=time.monotonic() - late, seconds=0.04))

    publish(3)
    files = page_files(source="camera 0", facts=["run A"], classes=CLASSES, live=True, video="")
    with PageServer(0) as server, server.serving(board, files) as url:
        browser.emulate(1000, 700)
        browser.call("Page.navigate", url=url)
        browser.wait("state().serial == 2")
        yield browser, board, publish, fares
        browser.call("Page.navigate", url="about:blank")


def text(page, selector):
    return page.run(f"document.querySelector('{selector}').innerText")


def test_it_follows_the_stream_and_measures_it(live):
    page, _, publish, _ = live
    assert page.run("document.getElementById('picture').alt") == "Frame 12: 1 tumor, 1 vessel"
    assert text(page, "#where") == "frame 12" and page.state()["mode"] == "live"
    assert text(page, "#found").split() == ["tumor", "0.90", "vessel", "0.60"]
    assert page.run("getComputedStyle(document.querySelector('#found li')).borderLeftColor") == "rgb(105, 205, 255)"
    publish(late=0.1)
    state = page.wait("state().serial == 3 && state().latency !== null")
    assert 100 <= state["latency"] < 5000  # what it was late, and the way to the screen
    assert (
        text(page, "#detection") == "40 ms" and text(page, "#frames") == "4" and text(page, "#latency").endswith(" ms")
    )
    assert page.run("document.getElementById('picture').naturalWidth") == 60
    assert not page.complaints() and all("127.0.0.1" in url for url in page.requests() if not url.startswith("blob:"))


def test_keys_scroll_back_and_on(live):
    page, _, publish, _ = live
    for key, serial in (
        ("ArrowLeft", 1),
        ("ArrowLeft", 0),
        ("ArrowLeft", 0),
        ("ArrowRight", 1),
        ("Home", 0),
        ("PageDown", 2),
    ):
        page.key(key)
        state = page.wait(f"state().serial == {serial} && state().mode == 'still'")
        assert state["number"] == 10 + serial
    page.key("PageUp")
    page.wait("state().serial == 0")
    publish()
    page.wait("state().newest == 3")
    assert page.state()["serial"] == 0 and text(page, "#ago") == "3 pictures behind the newest"
    page.key("End")
    assert page.wait("state().serial == 3")["mode"] == "live"
    assert page.state()["skipped"] == 0


def test_pause_and_live_buttons_and_slider(live):
    page, _, publish, _ = live
    page.click("#pause")
    page.wait("state().mode == 'still'")
    publish(2)
    assert page.wait("state().newest == 4")["serial"] == 2 and text(page, "#pause") == "Go on"
    page.run(
        "(() => { const s = document.getElementById('place'); s.value = 1; s.dispatchEvent(new Event('input')); })()"
    )
    page.wait("state().serial == 1")
    page.click("#forward")
    page.wait("state().serial == 2")
    page.click("#back")
    page.wait("state().serial == 1")
    page.click("#live")
    assert page.wait("state().serial == 4")["mode"] == "live"
    assert page.run("document.getElementById('live').getAttribute('aria-pressed')") == "true"
    page.run("document.getElementById('stage').focus()")
    for mode in ("still", "live"):
        page.key(" ", " ")
        page.wait(f"state().mode == '{mode}'")


def test_a_picture_that_is_let_go_stays_and_says_so(live):
    page, board, publish, _ = live
    page.key("Home")
    page.wait("state().serial == 0")
    publish(4)
    assert page.wait("state().oldest == 2")["serial"] == 0
    page.run("new Promise((done) => setTimeout(done, 300))")  # in which another picture would come, were one asked for
    assert page.state()["serial"] == 0
    assert text(page, "#ago") == "6 pictures behind the newest; not kept any more"
    page.key("ArrowLeft")
    page.wait("state().serial == 2")


def test_breaks_and_losses_are_said(live):
    page, board, publish, fares = live
    fares[:] = "reconnecting", "the stream was closed; attempt 1 of 10 to connect again"
    board.counts.dropped, board.counts.reconnects, board.counts.missed = 1234, 2, 13
    board.counts.damaged, board.counts.changes["the frames changed from 64x48 to 32x24 pixels"] = 3, 2
    publish()
    page.wait("state().status == 'reconnecting'")
    assert "3 frames could not be decoded" in text(page, "#told")
    assert "the frames changed from 64x48 to 32x24 pixels, 2 times" in text(page, "#told")
    assert text(page, "#banner") == "Not live: the stream was closed; attempt 1 of 10 to connect again"
    assert "1,234 frames dropped while the detector was at work" in text(page, "#told")
    assert "reconnected 2 times, about 13 frames missed" in text(page, "#told")
    fares[:] = "live", ""
    publish()
    page.wait("state().status == 'live' && document.getElementById('banner').hidden")
    fares[:] = "live", "the picture stands still"
    publish()
    page.wait("document.getElementById('banner').textContent == 'The picture stands still'")
    board.end("the stream has ended.")
    page.wait("state().status == 'ended'")
    assert text(page, "#banner") == "The stream has ended."
    page.key("Home")
    page.wait("state().serial == 1")  # five are kept


def test_a_server_that_goes_is_noticed(browser):
    board = Board(CLASSES, score_threshold=0.5)
    files = page_files(source="camera 0", facts=[], classes=CLASSES, live=True, video="")
    with PageServer(0) as server:
        with server.serving(board, files) as url:
            browser.call("Page.navigate", url=url)
            browser.wait("state().status == 'live'")
            assert text(browser, "#waiting") == "Waiting for the first picture"
        server.server_close()
        browser.wait("state().status == 'lost'")
        assert "The connection to watch is lost" in text(browser, "#banner")


@pytest.mark.parametrize("width, height", [(390, 844), (860, 600), (1920, 1080)])
def test_it_fits_the_screen(live, width, height):
    page = live[0]
    page.emulate(width, height)
    page.run("new Promise(requestAnimationFrame)")
    assert page.run("document.documentElement.scrollWidth") <= width
    box = page.run("(() => { const b = picture.getBoundingClientRect(); return [b.width, b.height]; })()")
    assert box[0] >= min(width, 860) * 0.5 and box[1] >= height * 0.4
    small = "[...document.querySelectorAll('button')].filter((b) => b.getBoundingClientRect().height < 38).length"
    assert page.run(small) == 0
