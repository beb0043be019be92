"""What a run's page says first, where it fails, how it learned and how it is repeated; and that it is easy to read."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from gluon_liver.config.differences import flat
from gluon_liver.config.load import load_config, save_config
from gluon_liver.config.network_title import network_title
from gluon_liver.config.schema import Config
from gluon_liver.metrics import ct_curves, ct_summary
from gluon_liver.report.pages.ct_page import write_report
from gluon_liver.report.pages.learning import learning_of
from gluon_liver.report.pages.us_page import write_us_report
from gluon_liver.report.tables.failure_tables import ADVICE
from tests.browser import PROGRAM, Browser
from tests.conftest import change_json

from .conftest import CLASSES, evaluate
from .test_ct_page import Page
from .test_other_classes import FIVE, spread


def row(name, found, n, interval=(0.25, 0.75)):
    return dict(name=name, found=found, n=n, recall=found / n if n else None, interval=interval and list(interval))


def failures(classes, unit):
    """The keys of results.json that say where a run fails; unit: of a place."""
    case = dict(case="case-1", place=4, patient="patient-1", **{"class": classes[0]})
    item = dict(case, image_id=1, kind="detection", cause="background", score=0.75, iou=None, box=[1, 2, 3, 4])
    picture = dict(case, iou=0.625, score=0.875, caption="x", file="overlays/a.webp")
    beside = [
        dict(file=f"overlays/{name}.webp", phase=phase, offset=offset, label=f"{phase}, {unit} {4 + offset}")
        for name, phase, offset in (("a", "arterial", 0), ("b", "arterial", -1), ("c", "delayed", 0))
    ]
    names = [*classes, "background"]
    counts = [[11 * (one + 1) if one == other else 0 for other in range(len(names))] for one in range(len(names))]
    counts[0][-1], counts[-1][0], counts[-1][-1] = 7, 5, 0
    meaning = {"detections": {"background": "nothing there"}, "objects": {"missed": "no detection near"}}
    return dict(
        counts=dict(patients=6, cases=7, images=24, images_with_objects=24, lesions=9, boxes=24),
        errors=dict(
            score_threshold=0.5,
            iou=0.5,
            confusion=dict(names=names, rows="truth", counts=counts),
            detections={"right": 30, "wrong class": 0, "background": 10},
            objects={"found": 20, "missed": 3, "low score": 1},
            meaning=meaning,
            items=[item, dict(item, kind="object", cause="missed", score=None)],
        ),
        recall=dict(by_class=[row(name, 3, 4) for name in classes], by_size=[row("below 10 mm", 0, 0, None)], note="N"),
        sensitivity=dict(slice=row("slice", 1, 2), patient=row("patient", 2, 2), note="how counted"),
        calibration=dict(
            bins=[
                dict(low=0.0, high=0.5, n=4, mean_score=0.25, precision=0.125),
                dict(low=0.5, high=1.0, n=0, mean_score=None, precision=None),
            ],
            ece=0.125,
            note="all of them",
        ),
        gallery=[
            dict(picture, kind="hit", cause="right", pictures=beside),
            dict(picture, kind="miss", cause="missed", score=None, iou=None, pictures=[]),
        ],
        gallery_totals={"hit": 17, "miss": 1},
        evaluated=dict(
            version="9.8", revision="abc1234", command=["gluon-liver", "evaluate", "--run", "a b"], date="D"
        ),
    )


def training_log():
    """A run that was stopped after step 40 and gone on with from step 20."""
    losses = {"rpn_score": 0.5, "total": 2.0}
    step = dict(event="step", losses=losses, learning_rate=0.001, waited_for_images=0.25, epoch=0)
    yield dict(event="start", step=0, time=0.0, notes=["no image has a box of x"])
    yield dict(step, step=10, time=4.0, images_per_second=10.0)
    yield dict(step, step=20, time=8.0, images_per_second=30.0)
    yield dict(event="interrupted", step=20, time=9.0, signal="SIGTERM")
    yield dict(event="resume", step=20, time=1.0, checkpoint="step-00000020", changed={"train.epochs": [1, 2]})
    yield dict(step, step=30, time=7.0, epoch=1, images_per_second=20.0, losses={"rpn_score": 0.25, "total": 1.0})
    yield dict(event="score", step=30, time=8.0, epoch=2, split="val", images=5, map=0.5, ap50=0.75)
    yield dict(event="end", step=30, time=9.0, epoch=2)


@pytest.fixture
def whole(run):
    """A function that gives ``run`` everything that a version of today writes: (configuration, classes, unit)."""

    def make(name="demo-ct", classes=CLASSES, unit="slice"):
        for letter in "abc":
            Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(run / "overlays" / f"{letter}.webp")
        change_json(run / "results.json", checkpoint="step-00000030", **failures(classes, unit))
        save_config(load_config(name), run / "config.yaml")
        provenance = dict(version="9.7", revision="def5678", date="2026-11-27T03:47:00Z", seed=3, data="../data")
        provenance.update(command=["train.py", "--set", "a=1 2"], configuration={"names": [name], "set": ["b=2"]})
        (run / "environment.json").write_text(json.dumps({**provenance, "training_patients": ["p", "q"]}))
        (run / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in training_log()))
        return run

    return make


def test_the_answer_comes_first(whole):
    page = Page(write_report(whole()).read_text(encoding="utf-8"))
    answer = page.text.index("A net like R-50 with an eighth of the width, at 256 pixels, beside row R-50")
    for wanted in (
        "was trained for 30 steps on 2 generated patients (phantoms) and scored on 6 patients of the test split: "
        "7 studies, 24 slices, 24 of them with a lesion, 9 lesions and 24 boxes.",
        "9 lesions",
        "24 boxes on slices",
    ):
        assert wanted in page.text
    places = [
        page.text.index(one) for one in ("Phantom result", "A net like", "20 of 24 annotated", "SIGTERM", "Trained by")
    ]
    assert places == sorted(places) and answer == places[1] and places[-1] < page.text.index("Beside Table 4 Accuracy")


def test_where_it_fails(whole):
    page = Page(write_report(whole()).read_text(encoding="utf-8"))
    for wanted in (
        "20 of 24 annotated boxes are found; of the others 3 of 4 are \u201cmissed\u201d: no detection near.",
        "30 of 40 detections at score 0.5 or more are right",
        "cyst 11 0 0 7 hemangioma 0 22 0 0",
        "background 5 0 0 \u2013",
        "background 10 25.0 % nothing there Look at or try:",
        "slices with a lesion 1 2 50.0 [25.0, 75.0]",
        "below 10 mm 0 0 -",
        "By class and size: N. Counted by: how counted.",
        "Expected calibration error 0.125.",
        "All 2 errors, worst first",
        "Hits: 1 of 17",
        "cyst, IoU 0.62, score 0.88 case-1, slice 4 Open",
        "case-1, slice 4: missed",
    ):
        assert wanted in page.text, wanted
    assert "wrong class" not in page.text.partition("Detections, by cause")[2].partition("What is found")[0]
    labels = [
        page.text.index(f"{phase}, slice {place}")
        for phase, place in (("arterial", 3), ("arterial", 4), ("delayed", 4))
    ]
    assert labels == sorted(labels) and len(page.images) == 5


def test_older_results_say_what_to_do(run):
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert (
        "an older version evaluated the run. Evaluate it again to see them: python evaluate.py --run RUN" in page.text
    )
    assert "whose configuration" not in page.text and "not written down by the version that did it" in page.text
    (run / "config.yaml").write_text("network: {depth: 50, gone: 1}\n")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "a network whose configuration this version does not read" in page.text.lower()


def test_learning_and_provenance(whole):
    page = Page(write_report(whole()).read_text(encoding="utf-8"))
    for wanted in (
        "Trained by gluon_liver version 9.7, revision def5678",
        "Configuration demo-ct, b=2",
        "Evaluated by gluon_liver version 9.8, revision abc1234",
        "python train.py --set 'a=1 2' gluon-liver evaluate --run 'a b'",
        "network.width 0.125 1",
        "1 from the beginning 0 20 nothing was stopped (SIGTERM)",
        "30 steps, epoch 2, last total loss 1",
        "2 from step-00000020 20 30 train.epochs came to its end",
        "1 epoch scored on the val split, 5 images: COCO mAP is highest in epoch 2 (0.500), the last.",
        "no image has a box of x",
    ):
        assert wanted in page.text, wanted
    learned = learning_of(list(training_log()), every=100)
    facts = dict((what, value) for value, what in learned.facts)
    assert facts == {
        "steps": "30",
        "epochs": 2,
        "images a second (median)": "20",
        "of training": "18 s",
        "of it waiting for images": "25%",
        "last total loss": "1",
    }
    assert [[cell.value for cell in line] for line in learned.epochs.rows] == [
        ["1", "0.5", "2", "0.001", "20", "-"],
        ["2", "0.25", "1", "0.001", "20", "0.500"],
    ]


@pytest.mark.parametrize(
    "name, overrides, title",
    [
        ("r50", (), "R-50"),
        ("r50", ("train.epochs=3",), "R-50"),
        ("demo-ct", (), "a net like R-50 with an eighth of the width, at 256 pixels"),
        ("r101-fusion", ("data.size=512",), "a net like R-101 region fusion at 512 pixels"),
        ("r50", ("network.rpn.channels=64",), "a net like R-50 with network.rpn.channels of its own"),
        ("r50-2.5d-centre", (), "a ResNet-50 Faster R-CNN of 9 slices, at 800 pixels"),
        ("us-flow", (), "the flow-guided Faster R-CNN"),
        ("demo-us-faster-rcnn", (), "a net like Faster R-CNN with an eighth of the width, at 192 pixels"),
    ],
)
def test_a_network_bears_the_papers_name_only_where_it_is_the_papers(name, overrides, title):
    assert network_title(load_config(name, overrides=overrides)) == title


def test_advice_names_keys_that_are_there():
    named = set(re.findall(r"\b(?:data|network|train)\.[a-z_.]+[a-z]", " ".join(ADVICE.values())))
    assert named and named <= set(flat(Config()))


CHECKS = """(() => {
  const lum = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number);
    return [n.slice(0, 3), n.length > 3 ? n[3] : 1] };
  const ground = element => { let layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    let [r, g, b] = [255, 255, 255];
    for (const [c, a] of layers.reverse()) [r, g, b] = [r, g, b].map((v, i) => c[i] * a + v * (1 - a));
    return [r, g, b] };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), svg = e.closest('svg');
    const ink = lum(parse(svg ? style.fill : style.color)[0]), paper = lum(ground(svg ? svg.parentElement : e));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) weak.push([ratio.toFixed(2), e.tagName, e.className, walker.currentNode.textContent.slice(0, 40)]);
  }
  const wide = document.documentElement.clientWidth;
  return JSON.stringify({
    page: document.documentElement.scrollWidth - wide,
    weak,
    out: [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest('.scroll > *, pre, svg')
      && e.getBoundingClientRect().right > wide + 1).map(e => e.tagName + '.' + e.className),
    bare: [...document.querySelectorAll('table')].filter(
      e => !e.closest('.scroll[tabindex="0"][role=region][aria-label]')).length,
    broken: [...document.images].filter(e => !e.complete || !e.naturalWidth || !e.alt.trim()).length,
    small: [...document.querySelectorAll('svg text, svg tspan')].filter(e => {
      const drawn = e.getScreenCTM(), scale = Math.hypot(drawn.a, drawn.b);
      return e.checkVisibility() && scale * parseFloat(getComputedStyle(e).fontSize) < 10; }).map(e => e.textContent),
    cut: [...document.querySelectorAll('svg')].flatMap(svg => { const one = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('text')].filter(e => { const other = e.getBoundingClientRect();
        return other.left < one.left - 1 || other.right > one.right + 1; }).map(e => e.textContent); }),
    unnamed: [...document.querySelectorAll('svg')].filter(
      e => e.getAttribute('role') !== 'img' || !e.getAttribute('aria-label')).length,
  });
})()"""
FINE = dict(page=0, weak=[], out=[], bare=0, broken=0, small=[], cut=[], unnamed=0)


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine: the page is not tried in one")
@pytest.mark.parametrize("task", ["ct", "us"])
def test_the_page_in_a_browser(whole, request, task):
    if task == "ct":  # names that are long, hostile, and of no font of matplotlib's
        run, results = whole(classes=FIVE), spread(evaluate(), len(FIVE))
        summary = ct_summary(results, classes=FIVE, replicates=20)
        change_json(run / "results.json", classes=FIVE, summary=summary, curves=ct_curves(results, FIVE))
        page = write_report(run)
    else:
        request.getfixturevalue("us_run")
        page = write_us_report(whole("demo-us-flow", ("tumor", "vessel"), "frame"))
    beside = {"ct": "slices and phases", "us": "frames beside"}
    links = re.findall(r"Close</span> ([^<]*)<", page.read_text(encoding="utf-8"))
    assert links and set(links) == {beside[task]}
    with Browser() as browser:
        browser.emulate(1280, 900)
        browser.call("Page.navigate", url=page.resolve().as_uri())
        browser.loaded("document.querySelector('.cases details')")
        for width in (390, 768, 1280, 1920):
            for dark in (False, True):
                browser.emulate(width, 900, dark=dark)
                assert json.loads(browser.run(CHECKS)) == FINE, (width, dark)
        closed = browser.run("document.querySelector('.cases details').open")
        browser.run("document.querySelector('.cases summary').focus()")
        browser.key("Enter", "\r")
        opened = browser.run("document.querySelector('.cases details').open")
        browser.click(".cases summary")
        assert (closed, opened, browser.run("document.querySelector('.cases details').open")) == (False, True, False)
        browser.call("Emulation.setEmulatedMedia", media="print")
        hidden = "[...document.querySelectorAll('details > pre')].every(e => !e.checkVisibility())"
        assert (
            browser.run(hidden)
            and browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        )
        assert browser.complaints() == [] and browser.requests() == []


def test_a_command_with_the_home_folder_can_be_typed_again(whole):
    run = whole()
    change_json(run / "environment.json", command=["train.py", "--data", "~/my data", "--out", "~/run"])
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "python train.py --data ~/'my data' --out ~/run gluon-liver" in page.text  # a quoted ~ is a file's name


def test_a_training_that_is_gone_on_with_starts_but_does_not_begin_again():
    """As training logs it: what goes on says so, and then starts."""
    log = [
        dict(event="start", step=0),
        dict(event="step", step=2, losses={"total": 1.0}),
        dict(event="end", step=2),
        dict(event="resume", step=2, checkpoint="step-00000002", changed={"train.epochs": [1, 2]}),
        dict(event="start", step=2),
        dict(event="step", step=4, losses={"total": 1.0}),
        dict(event="interrupted", step=4, signal="SIGTERM"),
    ]
    sittings = learning_of(log, every=1).sittings
    assert [[cell.value for cell in row] for row in sittings.rows] == [
        ["1", "from the beginning", "0", "2", "nothing", "came to its end"],
        ["2", "from step-00000002", "2", "4", "train.epochs", "was stopped (SIGTERM)"],
    ]


def test_a_run_that_finds_nothing_and_one_patient_read_well(whole):
    run = whole()
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    results["summary"]["precision"]["all"].update(value=None, low=None, high=None, n=0)
    results["counts"].update(patients=1, cases=1, boxes=1)
    (run / "results.json").write_text(json.dumps(results), encoding="utf-8")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Slice by slice there are no detections, and AP50 is" in page.text
    assert "1 patient 1 study 24 slices" in page.text and "1 box on slices" in page.text


def test_weights_that_were_imported_are_no_training_of_no_steps(whole):
    run = whole()
    change_json(run / "results.json", checkpoint="step-00000000")
    records = [dict(event="imported", time=0.1, step=0, epoch=0), dict(event="end", time=0.2, step=0, epoch=0)]
    (run / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Imported by" in page.text and "Trained by" not in page.text
    assert "for 0 steps" not in page.text and "The weights were imported: another program trained them" in page.text
    said = "began with weights that another program trained on 2 generated patients (phantoms), "
    assert said + "as who imported them says, was not trained here and was scored on 6 patients" in page.text
