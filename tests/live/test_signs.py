"""What frames of a stream tell beside their pictures."""

import numpy as np
import pytest

from gluon_liver.live.signs import Pace, StillPicture


def test_another_rate_is_told():
    now, pace, told = 0.0, Pace(), []
    for seconds, frames in ((0.04, 150), (0.05, 150), (0.1, 250)):
        for _ in range(frames):
            now += seconds
            told.append(pace.frame(now))
    assert list(filter(None, told)) == ["the stream changed from 25 to 11 frames a second"]
    assert pace.rate == pytest.approx(10)


def test_another_connection_is_measured_alone():
    """The rate before it stays until a few of its frames are there."""
    pace = Pace()
    for number in range(10):
        pace.frame(0.1 * number)
    pace.begin()
    rates = []
    for number in range(7):
        pace.frame(100 + 0.5 * number)
        rates.append(round(pace.rate, 6))
    assert rates == [10] * 5 + [2] * 2


def test_a_still_picture_stands_since_it_came_first():
    still, one, other = StillPicture(), np.zeros((2, 3)), np.ones((2, 3))
    seen = [(one, 10.0), (one.copy(), 11.0), (one, 14.5), (other, 15.0), (other, 15.25), (one, 16.0)]
    assert [still.seconds(picture, now) for picture, now in seen] == [None, 1.0, 4.5, None, 0.25, None]
