"""The page of a case: its pixels, boxes and lesions, and what keys, mouse and fingers do in a browser."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from gluon_liver.commands import main
from gluon_liver.data.study import Study
from gluon_liver.errors import InputError
from gluon_liver.inspection.view import codec
from gluon_liver.inspection.view.detections import read_overlay
from gluon_liver.inspection.view.page import make_page
from gluon_liver.inspection.view.source import of_study, open_source
from tests.browser import PROGRAM, Browser
from tests.prepare.ct_source import write_study


def parts(html):
    """(data, images) of a page."""
    found = re.findall(r'<script id="(\w+)" type="application/json">(.*?)</script>', html, re.DOTALL)
    return [json.loads(text) for _, text in found]


def picture_of(uri):
    head, _, content = uri.partition(",")
    return head, np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("L"))


def test_codes_keep_hu_to_half_a_step_in_soft_tissue():
    hu = np.arange(-160, 281)
    back = np.array(codec.HU_SCALE.table())[codec.HU_SCALE.encode(hu)]
    assert np.abs(back - hu).max() <= 1.0
    assert codec.HU_SCALE.step == pytest.approx(2.0)
    ends = codec.HU_SCALE.encode(np.array([-2000, -1024, 1480, 3000]))
    assert ends.tolist() == [0, 0, 255, 255]
    assert (np.diff(codec.HU_SCALE.encode(np.arange(-1024, 1481)).astype(int)) >= 0).all()


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(96.0), np.arange(96.0)) + 30
    return [np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8) for _ in range(2)]


def test_codec_is_the_smallest_that_is_good_enough(noise):
    chosen = codec.choose_codec(noise, most_error=3.0)
    assert chosen.error <= 3.0
    for form in ("JPEG", "WEBP", "PNG"):
        other = codec.choose_codec(noise, form=form, most_error=3.0)
        assert other.format == form
        assert other.error > 3.0 or other.size >= chosen.size
    exact = codec.choose_codec(noise, most_error=0.0)
    assert exact.error == 0 and (codec.decode(exact.encode(noise[0]), noise[0]) == noise[0]).all()


def test_error_is_the_root_mean_square_where_codes_are_fine(noise):
    found = codec.measured(noise[:1], "JPEG", 70, fine=(60, 200))
    back = codec.decode(codec.encode(noise[0], "JPEG", 70), noise[0]).astype(float)
    inside = (noise[0] >= 60) & (noise[0] <= 200)
    assert found.error == pytest.approx(np.sqrt(((back - noise[0])[inside] ** 2).mean()))
    assert found.size == len(codec.encode(noise[0], "JPEG", 70))


def test_page_holds_every_present_slice_and_box(phase_data):
    case = phase_data.cases[-1].case  # lacks its last phase
    page = make_page(open_source(phase_data.folder, case), form="PNG")
    data, images = parts(page.html)
    assert [image is None for image in images] == [False] * 6 + [True] * 3 and page.pictures == 6
    study = phase_data.study(case)
    head, codes = picture_of(images[4])  # the second phase's second slice
    assert head == "data:image/png;base64"
    assert (codes == codec.HU_SCALE.encode(study.hu[1, 1])).all()
    label = phase_data.labels_by_slice(case)[1]
    assert [1, int(label.labels[0]), *label.boxes[0].tolist()] in data["truth"]
    assert data["labelled"] == [0, 1, 2] and len(data["lesions"]) == 2
    assert data["lesions"][0]["text"] == "20 mm" and data["phases"] == list(phase_data.phases)


def test_page_refers_to_nothing_outside(phase_data):
    html = make_page(open_source(phase_data.folder, phase_data.cases[0].case)).html
    outside = re.sub(r'<script id="images".*?</script>', "", html, flags=re.DOTALL)
    assert not re.search(r"https?:|src=|<link|@import|url\(", outside)
    assert "default-src 'none'; img-src data:" in html


def test_a_page_opens_on_the_body_without_table_and_clothes():
    hu = np.full((3, 200, 200), -1000, np.int16)
    hu[:, 60:140, 40:150] = 40
    hu[:, 170:172, 10:190] = 200  # the table
    hu[:, 100, 150:190] = -100  # a line
    data, _ = parts(make_page(of_study(Study.from_arrays(hu, spacing=(1, 1, 1), phases=["a"]))).html)
    assert data["body"] == pytest.approx([0.18, 0.28, 0.77, 0.72], abs=0.006)


def test_nothing_in_the_data_ends_the_script():
    grid = dict(spacing=(1, 1, 1), phases=["</script><b>"])
    html = make_page(of_study(Study.from_arrays(np.zeros((2, 8, 8), np.int16), **grid))).html
    assert "</script><b>" not in html and parts(html)[0]["phases"] == ["</script><b>"]


def test_slices_and_size_make_a_smaller_page(phase_data):
    shown = open_source(phase_data.folder, phase_data.cases[0].case)
    data, images = parts(make_page(shown, slices=(1, 2), size=32, form="PNG").html)
    assert len(images) == 6 and picture_of(images[0])[1].shape == (32, 32)
    assert data["numbers"] == [1, 2] and {box[0] for box in data["truth"]} == {0}
    assert (data["width"], data["height"]) == (64, 64)


def test_recordings_have_frames_scenes_and_no_hu(us_data):
    case = us_data.cases[0].case
    data, images = parts(make_page(open_source(us_data.folder, case), form="PNG").html)
    frames = us_data.frames(case)
    assert len(images) == len(frames) and data["unit"] == "grey value" and data["body"] is None
    content = base64.b64decode(images[2].partition(",")[2])
    assert (np.asarray(Image.open(io.BytesIO(content))) == frames[2]).all()
    assert data["lesions"] == [dict(name="scene 1", first=0, last=3, best=0, text="")]
    assert len(data["truth"]) == 4


def results(dataset, cases=slice(None)):
    """Detections like the truth, with a score of 0.9 and one of 0.2 a little aside."""
    rows = []
    for label in dataset.labels[cases]:
        for (x1, y1, x2, y2), kind in zip(label.boxes.tolist(), label.labels):
            for score, aside in ((0.9, 1), (0.2, 12)):
                box = [x1 + aside, y1, x2 - x1, y2 - y1]
                rows.append(dict(image_id=label.image_id, category_id=int(kind) + 1, bbox=box, score=score))
    return rows


def test_detections_of_the_case_alone_are_taken(phase_data, tmp_path):
    case = phase_data.cases[1].case
    (tmp_path / "detections.json").write_text(json.dumps(results(phase_data)))
    overlay = read_overlay(tmp_path, open_source(phase_data.folder, case))
    assert len(overlay.boxes) == 4 and overlay.notes == ["12 detections of other cases are not shown"]
    label = phase_data.labels_by_slice(case)[0]
    assert overlay.boxes[0].box[0] == pytest.approx(label.boxes[0, 0] + 1)
    assert overlay.boxes[0].box[2] == pytest.approx(label.boxes[0, 2] + 1) and overlay.boxes[0].place == 0


def test_detections_of_detect_name_their_slices(phase_data, tmp_path):
    shown = open_source(phase_data.folder, phase_data.cases[1].case)
    row = dict(image_id=-3, category_id=2, bbox=[1, 2, 3, 4], score=0.7, slice=2)
    (tmp_path / "detections.json").write_text(json.dumps([row]))
    lesions = dict(case=shown.case, slices=3, classes=list(shown.classes), score_threshold=0.3)
    (tmp_path / "lesions.json").write_text(json.dumps(lesions))
    overlay = read_overlay(tmp_path / "detections.json", shown)
    assert overlay.boxes == [(2, 1, (1, 2, 4, 6), 0.7)] and overlay.threshold == 0.3
    (tmp_path / "lesions.json").write_text(json.dumps({**lesions, "case": "another"}))
    with pytest.raises(InputError, match="is of the case another, not of"):
        read_overlay(tmp_path, shown)
    (tmp_path / "lesions.json").write_text(json.dumps({**lesions, "classes": 7, "score_threshold": float("nan")}))
    assert read_overlay(tmp_path, shown).threshold == 0.5


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (dict(image_id=999), "image_id 999 is no image of these data"),
        (dict(category_id=4), "no class has the category_id 4"),
        (dict(score=1.5), "no box with a score from 0 to 1"),
        (dict(bbox=[70, 0, 5, 5]), "lies outside the image of 64x64"),
    ],
)
def test_faults_of_detections_are_named(phase_data, tmp_path, change, fault):
    shown = open_source(phase_data.folder, phase_data.cases[0].case)
    row = {**dict(image_id=1, category_id=1, bbox=[0, 0, 5, 5], score=0.5), **change}
    (tmp_path / "d.json").write_text(json.dumps([row]))
    with pytest.raises(InputError, match=fault):
        read_overlay(tmp_path / "d.json", shown)


def test_command(phase_data, tmp_path, capsys):
    data, case, out = str(phase_data.folder), phase_data.cases[0].case, tmp_path / "page.html"
    assert main(["data", "view", data, "--out", str(out)]) == 2
    assert "has 4 cases: say which with --case" in capsys.readouterr().err
    assert main(["data", "view", data, "--case", "nobody", "--out", str(out)]) == 2
    assert "there is no such case" in capsys.readouterr().err
    assert main(["data", "view", data, "--case", case, "--slices", "1", "3", "--out", str(out)]) == 2
    assert main(["data", "view", f"{data}/studies/{case}", "--out", str(out)]) == 0
    assert "MiB, 9 pictures as" in capsys.readouterr().out and case in out.read_text()
    assert main(["data", "view", f"{data}/studies/{case}", "--out", str(out)]) == 2


def test_a_folder_of_dicom_files(tmp_path):
    write_study(tmp_path / "in")
    out = tmp_path / "page.html"
    assert main(["data", "view", str(tmp_path / "in"), "--case", "x", "--out", str(out)]) == 2
    assert main(["data", "view", str(tmp_path / "in"), "--out", str(out)]) == 0
    data, images = parts(out.read_text())
    assert len(images) == len(data["phases"]) * len(data["places"]) and data["labelled"] == []
    assert "P1" not in out.read_text().partition('<script id="images"')[0]
    assert data["places"][0].startswith("z ")


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    """A page of three phases of 30 slices with boxes on slices 10 to 12, and detections of two scores there."""
    folder = tmp_path_factory.mktemp("page")
    hu = np.full((3, 30, 64, 64), -1000, np.int16)
    for phase in range(3):
        hu[phase, :, 12:52, 12:52] = 40 + 40 * phase
        hu[phase, :, 30, 30] = 10 * np.arange(30)[:, None][:, 0]
    shown = of_study(Study.from_arrays(hu, spacing=(2, 1, 1), phases=["plain", "arterial", "delayed"]))
    from gluon_liver.data.ct_labels import CTLabel
    from gluon_liver.inspection.lesions import DrawnLesion
    from gluon_liver.inspection.view.detections import Found, Overlay
    from gluon_liver.structures.lesions import SliceBox

    box, kind = np.array([[20, 20, 40, 34]], np.float32), np.array([0], np.int32)
    boxes = tuple(SliceBox(place, box[0], "hcc", 1.0) for place in (10, 11, 12))
    values = {**vars(shown), "classes": ("hcc",), "lesions": [DrawnLesion("s", "p", None, "hcc", boxes, (20.0, 6.0))]}
    values["labels"] = {p: CTLabel(p, "s", p, 64, 64, box, kind, "plain") for p in (10, 11, 12)}
    found = [Found(p, 0, (20.0, 21.0, 40.0, 35.0), score) for p in (11, 20) for score in (0.9, 0.3)]
    page = make_page(type(shown)(**values), Overlay(found, ("hcc",)), form="PNG")
    (folder / "page.html").write_text(page.html)
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser():
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine: the page is not tried in one")
    with Browser() as page:
        yield page


def test_keys_mouse_and_sliders_in_a_browser(browser, page_path):
    browser.emulate(800, 700)
    state = browser.open(page_path)
    assert (state["slice"], state["shown"], state["truthBoxes"], state["foundBoxes"]) == (10, ["plain"], 1, 0)
    browser.key("ArrowUp")
    assert browser.wait("state().slice === 11")["foundBoxes"] == 1
    for key, slice_shown in (("PageUp", 21), ("PageDown", 11), ("ArrowDown", 10), ("End", 29), ("Home", 0)):
        browser.key(key)
        browser.wait(f"state().slice === {slice_shown}")
    browser.key("3", text="3")
    assert browser.wait("state().phase === 2")["shown"] == ["delayed"]
    browser.key("ArrowRight")
    browser.wait("state().phase === 0")
    browser.key("0", text="0")
    assert browser.wait("state().panels === 3")["shown"] == ["plain", "arterial", "delayed"]
    browser.click("#phases button:nth-child(2)")
    browser.wait("state().panels === 1 && state().phase === 1")
    browser.key("n", text="n")
    assert browser.wait("state().slice === 10")["truthBoxes"] == 1
    browser.key("b", text="b")
    browser.wait("state().truthBoxes === 0")
    browser.wheel(300, 200, -40)  # away from the user: to the head
    browser.wait("state().slice === 11")
    browser.run("const s = document.getElementById('score'); s.value = 0.2; s.dispatchEvent(new Event('input'))")
    assert browser.wait("state().score === 0.2")["foundBoxes"] == 2
    browser.key("w", text="w")
    assert browser.wait("state().preset === 1")["width"] == 400
    browser.drag((300, 200), (340, 260), button="right")
    state = browser.wait("state().preset === -1")
    assert state["width"] > 400 and state["level"] > 40
    browser.drag((300, 160), (300, 300))
    browser.wait("state().slice < 11")
    browser.click("#lists .list:last-of-type li:first-child button")
    browser.wait("state().slice === 11 || state().slice === 20")
    assert browser.requests() == [] and browser.complaints() == []


def test_pixels_on_the_screen_follow_the_window(browser, page_path):
    grey = "(() => { const c = document.querySelector('#stage canvas'), x = c.getContext('2d');"
    grey += " return x.getImageData(c.width / 2 | 0, c.height * 0.8 | 0, 1, 1).data[0]; })()"
    browser.emulate(800, 700)
    browser.open(page_path, "#phase=plain&slice=3&window=liver")
    assert browser.run(grey) == pytest.approx(255 * (40 - 5) / 150, abs=3)
    browser.key("3", text="3")
    browser.wait("state().phase === 2 && state().ready")
    assert browser.run(grey) == pytest.approx(255 * (120 - 5) / 150, abs=3)
    browser.key("w", text="w")
    browser.wait("state().preset === 1")
    assert browser.run(grey) == pytest.approx(255 * (120 + 160) / 400, abs=3)


def test_zoom_keeps_the_point_below_the_pointer(browser, page_path):
    browser.emulate(800, 700)
    browser.open(page_path, "#phase=plain")
    browser.key("z", text="z")
    assert browser.wait("state().part === null")["zoom"] == 1
    browser.key("z", text="z")
    assert browser.wait("state().part !== null")["part"] == pytest.approx([0.16, 0.16, 0.84, 0.84], abs=0.03)
    browser.key("+", text="+")
    state = browser.wait("state().part === null")
    assert state["zoom"] == pytest.approx(1.25 / 0.68, rel=0.06) and state["x"] == pytest.approx(0.5, abs=0.02)
    browser.wheel(200, 150, -120, modifiers=2)
    assert browser.wait(f"state().zoom > {state['zoom']}")["x"] < state["x"]


def test_fingers_on_a_phone(browser, page_path):
    browser.emulate(390, 844, touch=True)
    browser.open(page_path, "#slice=10")
    browser.swipe((200, 120), (200, 320))
    browser.wait("state().slice < 10")
    browser.swipe((300, 200), (120, 205))
    assert browser.wait("state().phase === 1")["panels"] == 1
    assert browser.run("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_no_screen_is_too_narrow(browser, page_path, width):
    browser.emulate(width, 844)
    browser.open(page_path)
    right = "[...document.querySelectorAll('body *')].map(e => e.getBoundingClientRect().right)"
    assert browser.run("document.documentElement.scrollWidth") == width
    assert max(browser.run(right)) <= width + 1


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_and_every_control_has_a_name(browser, page_path, dark):
    check = """(() => {
      const light = (c) => { const v = c.match(/[\\d.]+/g).slice(0, 3).map((n) => { n /= 255;
        return n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
      const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)|transparent/.test(c)) return c; } return 'rgb(255,255,255)'; };
      const faults = [];
      for (const e of document.querySelectorAll('h1, h2, p, button, label, output, dt, dd, kbd, small, summary, li')) {
        if (!e.textContent.trim() || e.closest('noscript') || e.classList.contains('unseen')) continue;
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort();
        if ((b + 0.05) / (a + 0.05) < 4.5) faults.push(e.outerHTML.slice(0, 80));
      }
      for (const e of document.querySelectorAll('input, button, canvas[role=img]'))
        if (!(e.ariaLabel || e.labels?.length || e.textContent.trim())) faults.push(e.outerHTML.slice(0, 80));
      return faults; })()"""
    browser.emulate(1280, 800, dark=dark)
    browser.open(page_path)
    assert browser.run(check) == []
