"""End-point error by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.metrics.end_point_error import end_point_error


def test_by_hand_over_valid_pixels_alone():
    truth, flow = np.zeros((2, 1, 3), np.float32), np.zeros((2, 1, 3), np.float32)
    flow[:, 0, 0] = 3, 4
    flow[:, 0, 1] = 0, -1
    flow[:, 0, 2] = np.nan
    assert end_point_error(flow, truth, np.array([[True, True, False]])) == 3.0
    assert end_point_error(flow, flow, np.array([[True, True, False]])) == 0.0


def test_nothing_to_compare():
    flow = np.zeros((2, 1, 1))
    with pytest.raises(InputError, match="no pixel"):
        end_point_error(flow, flow, np.zeros((1, 1), bool))
    with pytest.raises(InputError, match="not finite at 1 of 1"):
        end_point_error(flow + np.inf, flow, np.ones((1, 1), bool))
