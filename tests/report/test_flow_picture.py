"""The picture of a flow by hand (ultrasound paper, Fig. 3)."""

from __future__ import annotations

import numpy as np

from gluon_liver.report.figures.flow_picture import flow_picture


def test_by_hand():
    flow = np.array([[[0, 10, -200]], [[0, -1.6, 300]]], np.float32)
    assert flow_picture(flow).tolist() == [[[111, 111, 111], [121, 109, 111], [0, 255, 111]]]
    assert flow_picture(flow).dtype == np.uint8
