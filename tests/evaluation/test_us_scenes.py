"""The scenes of the paper: 30 of 5 images in 1.1 s, every sixth frame of a video of 25 a second, through to Table 2."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.stats import ttest_rel

from gluon_liver.config.inputs import DataConfig
from gluon_liver.config.schema import Config
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.data.us_loader import USLoader
from gluon_liver.evaluation.task import USUAL, Scored
from gluon_liver.evaluation.us import US
from gluon_liver.metrics.sensitivity import paired_t_test
from gluon_liver.metrics.us_summary import sensitivities
from gluon_liver.prepare.us import import_us
from gluon_liver.structures.detections import Detections
from tests.readers.us_writer import write_labels

SCENES, IMAGES, STEP, RATE, SIDE = 30, 5, 6, 25, 32
APART = 34  # frames from one scene's first to the next one's


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Data of one video; frame f has grey level 60 + f % 180, labelled ones a tumor, every second scene a vessel."""
    folder = tmp_path_factory.mktemp("scenes")
    writer = cv2.VideoWriter(str(folder / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (SIDE, SIDE))
    for frame in range(SCENES * APART):
        writer.write(np.full((SIDE, SIDE, 3), 60 + frame % 180, np.uint8))
    writer.release()
    images, boxes = [], []
    for scene in range(SCENES):
        for place in range(IMAGES):
            images.append({"video": "v.avi", "frame": APART * scene + STEP * place, "scene": scene, "patient": "a"})
            boxes.append((len(images), 1, (4, 4, 10, 10)))
            boxes += [(len(images), 2, (20, 18, 8, 8))] * (scene % 2)
    labels = write_labels(folder / "labels.json", images, boxes, width=SIDE, height=SIDE)
    options = dict(labels=labels, whole_frame=True, split_by="scene", fractions=(0, 0, 1), step=STEP)
    report = import_us(folder / "v.avi", folder / "data", **options)
    return USDataset.open(folder / "data"), report


def test_scenes_of_five_images_have_pairs_of_sixth_frames(scenes):
    dataset, report = scenes
    assert len(dataset.labels_of("test")) == SCENES * IMAGES == 150
    assert report["scenes"]["count"] == SCENES
    previous = report["previous_frames"]
    assert (previous["paired"], previous["first"], previous["missing"]) == (SCENES * (IMAGES - 1), SCENES, 0)
    assert previous["stored_for_it"] == 0 and previous["usual_distance"] == STEP and previous["rates"] == [RATE]
    load = USLoader(dataset, Config(model="us-flow", data=DataConfig(size=SIDE))).labelled
    for label in dataset.labels[:12]:
        before = label.frame - (STEP if (label.frame % APART) else 0)
        levels = [60 + frame % 180 for frame in (before, label.frame)]
        assert load(label).image.mean((1, 2, 3)) == pytest.approx(levels, abs=2)


def found(dataset, which):
    """Results in which ``which(scene, place, kind)`` says whether the object of a kind is found."""
    results = []
    for label in dataset.labels:
        scene, place = divmod(label.frame, APART)
        keep = [which(scene, place // STEP, int(kind)) for kind in label.labels]
        detections = Detections(label.boxes[keep], np.full(sum(keep), 0.9), label.labels[keep])
        results.append(dataset.result(label, detections))
    return results


def test_sensitivities_a_scene_and_their_t_test(scenes):
    dataset, _ = scenes
    rules = (lambda scene, place, kind: place <= scene % 5), (lambda scene, place, kind: place < scene % 4 or kind == 1)
    summaries = []
    for rule in rules:
        scored = Scored(Config(model="us-flow"), dataset, "test", dataset.labels, found(dataset, rule), "")
        summaries.append(US().summary(scored, USUAL))
    tumors = [
        [sum(rule(scene, place, 0) for place in range(IMAGES)) / IMAGES for scene in range(SCENES)] for rule in rules
    ]
    for summary, expected in zip(summaries, tumors):
        entry = summary["sensitivity"]["tumor"]
        assert entry["n"] == SCENES and [row["n"] for row in entry["scenes"]] == [IMAGES] * SCENES
        assert [row["sensitivity"] for row in entry["scenes"]] == pytest.approx(expected)
        assert (entry["mean"], entry["sd"]) == pytest.approx((np.mean(expected), np.std(expected, ddof=1)))
        assert summary["sensitivity"]["vessel"]["n"] == SCENES // 2  # scenes without a vessel have no sensitivity
    test = paired_t_test(*(sensitivities(summary, "tumor") for summary in summaries))
    expected = ttest_rel(*tumors)
    assert (test.t, test.p) == pytest.approx((expected.statistic, expected.pvalue))
