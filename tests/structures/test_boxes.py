from __future__ import annotations

import numpy as np

from gluon_liver.structures.boxes import box_iou


def test_iou_by_hand():
    a = [(0, 0, 10, 10), (5, 5, 5, 8)]
    b = [(0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (2, 2, 6, 7)]
    # 50 / 150; touching edges share nothing; 20 inside 100; an empty box meets nothing
    np.testing.assert_allclose(box_iou(a, b), [[1, 1 / 3, 0, 0.2], [0, 0, 0, 0]])
    assert box_iou(np.zeros((0, 4)), b).shape == (0, 4)
    assert box_iou([(1, 1, 1, 1)], [(1, 1, 1, 1)]) == 0
