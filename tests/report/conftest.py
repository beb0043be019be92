from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from gluon_liver.metrics import ImageResult, ct_curves, ct_summary
from gluon_liver.metrics.us_summary import us_summary
from gluon_liver.structures.detections import Detections

CLASSES = ("cyst", "hemangioma", "hcc")


def image_result(number, patient, truth, detections):
    """truth: (label, box) each; detections: (label, score, box) each."""
    columns = [list(column) for column in zip(*detections)] or [[], [], []]
    labels, scores, boxes = columns
    return ImageResult(number, patient, [box for _, box in truth], [label for label, _ in truth], boxes, scores, labels)


def evaluate(images=24, patients=6):
    """A detector that finds two lesions in three and adds a false positive to every second slice."""
    results = []
    for number in range(images):
        label, x = number % 3, 10 + number
        lesion, elsewhere = (x, 20, x + 20, 45), (80, 80, 95, 99)
        detections = [(label, 0.9 - number / 100, lesion)] if (number // 3) % 3 else []
        detections += [(label, 0.4, elsewhere)] if number % 2 else []
        results.append(image_result(number, f"patient-{number % patients}", [(label, lesion)], detections))
    return results


@pytest.fixture(scope="session")
def results():
    return evaluate()


@pytest.fixture(scope="session")
def _summary(results):
    return ct_summary(results, classes=CLASSES, replicates=100)


@pytest.fixture
def summary(_summary):
    return json.loads(json.dumps(_summary))


@pytest.fixture
def run(tmp_path, results, summary):
    """A run folder as training and evaluation leave it."""
    folder = tmp_path / "run"
    (folder / "overlays").mkdir(parents=True)
    overlays = []
    for kind in ("miss", "hit", "false positive"):
        name = f"overlays/{kind.replace(' ', '-')}.png"
        Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(folder / name)
        overlays.append({"file": name, "caption": f"an example of a {kind}", "kind": kind})
    data = dict(phantom=True, note="6 generated patients <script>alert(1)</script>")
    entry = dict(format=1, kind="ct", row="R-50", split="test", data=data, classes=CLASSES, summary=summary)
    entry.update(curves=ct_curves(results, CLASSES), overlays=overlays)
    (folder / "results.json").write_text(json.dumps(entry), encoding="utf-8")
    (folder / "config.yaml").write_text("network:\n  depth: 50\n", encoding="utf-8")
    (folder / "environment.json").write_text('{"python": "3.11.7"}', encoding="utf-8")
    losses = {"rpn_score": 0.5, "rpn_box": 0.2, "rcnn_score": 1.0, "rcnn_box": 0.3, "total": 2.0}
    lines = [{"event": "start", "step": 0, "epoch": 0}]
    lines += [{"event": "step", "step": step, "epoch": 1, "losses": losses} for step in range(1, 8)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


US_CLASSES = ("tumor", "vessel")
US_SCENES = {number: f"case-0a/scene-{number // 2 + 1:03d}" for number in range(8)}


def evaluate_us(missed=()):
    """Four scenes of two frames with two vessels each, a tumor in all but the last; ``missed``: (image, label)."""
    tumor, vessels = (10, 20, 40, 50), [(60, 20, 80, 45), (60, 60, 80, 85)]
    results = []
    for number in range(8):
        truth = [(1, box) for box in vessels] + ([(0, tumor)] if number < 6 else [])
        detections = [(label, 0.9 - number / 100, box) for label, box in truth if (number, label) not in missed]
        results.append(image_result(number, "patient-1", truth, detections))
    return results


def us_results(missed=(), model="us-flow", scenes=US_SCENES, **entries):
    """What results.json of an ultrasound run holds."""
    summary = us_summary(evaluate_us(missed), scenes=scenes, classes=US_CLASSES)
    data = dict(phantom=True, note="generated <script>frames</script>", fingerprint="f", split_by="scene")
    results = dict(format=1, kind="us", model=model, split="test", checkpoint="step-00000400", data=data, overlays=[])
    results.update(detections=dict(score_threshold=0.01, max_detections=100), classes=US_CLASSES, summary=summary)
    return json.loads(json.dumps({**results, **entries}))


@pytest.fixture
def us_run(run):
    """A run folder of an ultrasound model, with the overlays of ``run``."""
    overlays = json.loads((run / "results.json").read_text(encoding="utf-8"))["overlays"]
    results = us_results({(0, 0), (3, 0), (5, 1)}, overlays=overlays)
    (run / "results.json").write_text(json.dumps(results), encoding="utf-8")
    (run / "config.yaml").write_text("model: us-flow\n", encoding="utf-8")
    return run


def detections(boxes, labels, scores):
    return Detections(np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(labels, int))
