"""What is kept of a stream, and what is measured of it."""

import cv2
import numpy as np
import pytest

from gluon_liver.inference.annotate_video import Annotated
from gluon_liver.inference.stream import StreamResult
from gluon_liver.live import board as board_module
from gluon_liver.live.board import Board
from gluon_liver.live.history import History
from gluon_liver.structures.detections import Detections
from gluon_liver.structures.frame_source import StreamFrame

CLASSES = ("tumor", "vessel")


def annotated(number=0, *, arrived=0.0, seconds=0.04, scores=(0.6, 0.9, 0.3), labels=(1, 0, 1), grey=100):
    found = Detections(np.zeros((len(scores), 4), np.float32), np.array(scores), np.array(labels, np.int64))
    pixels = np.full((40, 60, 3), grey, np.uint8)
    return Annotated(StreamFrame(number, pixels, arrived), StreamResult(found, None), pixels, seconds)


def test_the_oldest_go_where_there_are_too_many_or_too_much():
    history = History(most_frames=3, most_bytes=100)
    assert history.newest() is None and history.state() == {"oldest": 0, "newest": -1, "bytes": 0}
    for size in (10, 20, 30, 40):
        history.add(bytes(size), 0.0, {})
    assert history.state() == {"oldest": 1, "newest": 3, "bytes": 90}
    assert history.get(0) is None and len(history.get(1).jpeg) == 20 and history.get(4) is None
    history.add(bytes(50), 0.0, {})
    assert history.state() == {"oldest": 3, "newest": 4, "bytes": 90}  # 30 + 40 + 50 is too much
    history.add(bytes(500), 0.0, {})
    assert history.state() == {"oldest": 5, "newest": 5, "bytes": 500}  # the newest stays
    assert history.newest().serial == 5 and history.get(5) is history.newest()


@pytest.fixture
def clock(monkeypatch):
    """A clock that shows clock[0]."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_picture_is_kept_with_what_was_found_the_likeliest_first(clock):
    board = Board(CLASSES, score_threshold=0.5)
    clock[0] = 102.0
    board.publish(annotated(7, arrived=101.9))
    kept = board.history.get(0)
    assert abs(int(cv2.imdecode(np.frombuffer(kept.jpeg, np.uint8), 1).mean()) - 100) < 2
    clock[0] = 102.5
    wanted = {"number": 7, "found": [[0, 0.9], [1, 0.6]], "words": "1 tumor, 1 vessel", "detection_ms": 40.0}
    assert kept.told() == {**wanted, "ready_ms": 100.0, "second": 1.9, "serial": 0, "age_ms": 600.0}
    board.publish(annotated(8, scores=(0.1,), labels=(0,)))
    assert board.history.get(1).about["words"] == "nothing found"
    board.publish(annotated(9, scores=(0.7, 0.8), labels=(1, 1)))
    assert board.history.get(2).about["words"] == "2 vessel"


def test_rate_and_times_are_of_the_last_pictures(clock):
    alone = [3]
    board = Board(CLASSES, score_threshold=0.5, alone=lambda: alone[0])
    assert board.summary() is None
    assert [board.state()[name] for name in ("rate", "detection_ms", "ready_ms")] == [None] * 3
    for number in range(30):  # the first ones are slow
        clock[0] += 1.0 if number < 5 else 0.1
        late = 0.8 if number < 5 else 0.05
        board.publish(annotated(number, arrived=clock[0] - late, seconds=0.5 if number < 5 else 0.03))
    state = board.state()
    assert (state["rate"], state["detection_ms"], state["ready_ms"]) == (10.0, 30.0, 50.0)
    assert (state["oldest"], state["newest"], state["alone"], state["status"]) == (0, 29, 3, "live")
    assert board.summary() == "from a frame's arrival to its picture: median 50 ms, 95 % within 800 ms"


def test_how_the_source_fares_is_told_until_the_end():
    board = Board(CLASSES, score_threshold=0.5)
    board.fares = lambda: ("reconnecting", "no frame came")
    board.counts.dropped, board.counts.reconnects, board.counts.missed = 4, 2, 13
    state = board.state()
    assert [state[name] for name in ("status", "said", "dropped", "reconnected")] == [
        *("reconnecting", "no frame came"),
        *(4, "reconnected 2 times, about 13 frames missed"),
    ]
    board.end("over")
    assert (board.state()["status"], board.state()["said"]) == ("ended", "over")


def test_who_waits_is_woken_by_what_is_new():
    board = Board(CLASSES, score_threshold=0.5)
    seen = board.wait(-1, 5)
    assert board.wait(seen, 0.01) == seen
    board.publish(annotated())
    assert board.wait(seen, 5) == seen + 1


def test_the_memory_is_bounded_as_the_page_says():
    assert (board_module.JPEG_QUALITY, History()._most_frames, History()._most_bytes) == (90, 1000, 2**27)
