from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.structures.image_result import ImageResult, check_results, patient_ids

BOX = [[1, 2, 5, 9]]


def test_arrays_are_copied_typed_and_read_only():
    boxes = np.array(BOX, dtype=np.float64)
    result = ImageResult(7, "p", boxes, [2], boxes, [0.5], [1])
    boxes[:] = 0
    assert result.gt_boxes.tolist() == [[1, 2, 5, 9]]
    assert (result.gt_boxes.dtype, result.gt_labels.dtype) == (np.float32, np.int32)
    with pytest.raises(ValueError):
        result.boxes[0, 0] = 3
    assert result.gt_lesions.tolist() == []
    numbered = ImageResult(7, "p", [*BOX, *BOX], [2, 2], [], [], [], gt_lesions=[0, 3])
    assert numbered.gt_lesions.tolist() == [0, 3]
    with pytest.raises(InputError, match="gt_lesions: 1 labels for 2 boxes"):
        ImageResult(7, "p", [*BOX, *BOX], [2, 2], [], [], [], gt_lesions=[3])
    result = ImageResult(1, "p", [], [], np.zeros((0, 4)), [], [])  # background, and nothing is said of it
    assert result.boxes.shape == result.gt_boxes.shape == (0, 4)
    assert result.scores.shape == result.labels.shape == (0,)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"gt_boxes": [[5, 2, 5, 9]]}, "gt_boxes: row 0"),
        ({"boxes": [[5, 2, 4, 9]]}, "boxes: row 0"),
        ({"boxes": [[1, 2, 3]]}, "shape"),
        ({"boxes": [[1, 2, 3, np.inf]]}, "finite"),
        ({"scores": [np.nan]}, "scores"),
        ({"scores": [0.1, 0.2]}, "2 scores"),
        ({"labels": [-1]}, "padding"),
        ({"labels": [0.5]}, "whole number"),
        ({"gt_labels": [0, 1]}, "2 labels for 1 boxes"),
        ({"patient": ""}, "patient"),
    ],
)
def test_contradictions_are_refused(change, message):
    entry = dict(image_id=3, patient="p", gt_boxes=BOX, gt_labels=[0], boxes=BOX, scores=[0.5], labels=[0])
    with pytest.raises(InputError, match=message) as caught:
        ImageResult(**dict(entry, **change))
    assert "image 3" in str(caught.value)


def test_results_are_sorted_and_checked():
    one, two = ImageResult(1, "b", [], [], [], [], []), ImageResult(2, "a", BOX, [2], [], [], [])
    assert check_results([two, one], "abc") == [one, two]
    assert patient_ids([one, two, one]) == ["a", "b"]
    with pytest.raises(InputError, match="image 1 occurs twice"):
        check_results([one, two, one], "abc")
    with pytest.raises(InputError, match="image 2: gt_labels holds 2"):
        check_results([two], ["x", "y"])
