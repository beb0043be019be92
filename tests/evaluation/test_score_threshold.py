"""What counts as found: detections at probability 0.5 or more, as the ultrasound paper's Fig. S1 draws them."""

import numpy as np
import pytest

from gluon_liver.evaluation.registry import EVALUATIONS
from gluon_liver.evaluation.task import Scored, ScoreSettings
from gluon_liver.structures.detections import Detections
from tests.conftest import us_config


def scored(dataset, config, *, right, wrong):
    """Every box of the test split found at score ``right``, and beside it one that is no lesion at ``wrong``."""
    labels = dataset.labels_of("test")
    results = []
    for label in labels:
        boxes = np.concatenate([label.boxes, np.array([[0, 0, 3, 3]], np.float32)])
        scores = np.array([right] * len(label.boxes) + [wrong])
        results.append(dataset.result(label, Detections(boxes, scores, np.append(label.labels, 0).astype(np.int32))))
    return Scored(config, dataset, "test", labels, results, "")


@pytest.mark.parametrize("right, counted", [(0.5, True), (0.49, False), (0.06, False)])
def test_ct_detections_count_from_a_half_on(tiny_dataset, tiny_config, right, counted):
    summary = EVALUATIONS["ct"].summary(scored(tiny_dataset, tiny_config, right=right, wrong=0.49), ScoreSettings(2))
    assert summary["settings"]["score_threshold"] == summary["lesions"]["settings"]["score_threshold"] == 0.5
    assert summary["recall"]["all"]["value"] == summary["lesions"]["sensitivity"]["all"]["value"] == float(counted)
    assert summary["precision"]["all"]["value"] == (1.0 if counted else None)
    assert summary["lesions"]["false_positives"]["all"]["value"] == 0
    assert summary["ap50"]["mean"]["value"] > 0  # average precision looks at all of them


@pytest.mark.parametrize("right, counted", [(0.5, True), (0.49, False), (0.06, False)])
def test_ultrasound_detections_count_from_a_half_on(us_data, right, counted):
    one = scored(us_data, us_config("us-faster-rcnn"), right=right, wrong=0.9)
    summary = EVALUATIONS["us"].summary(one, ScoreSettings(2))
    found = [entry["mean"] for entry in summary["sensitivity"].values() if entry["n"]]
    assert found and all(mean == float(counted) for mean in found)
    assert summary["ap"]["mean"] > 0
