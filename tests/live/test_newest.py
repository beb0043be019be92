"""The newest frame of a source: what is dropped, and what becomes of it when the connection breaks."""

import threading
import time

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.live import newest as newest_module
from gluon_liver.live.counts import times
from gluon_liver.live.newest import NewestFrame


class FakeCapture:
    """Frames of rising grey that come when :meth:`give` lets them; then it ends, or hangs for ``hangs`` seconds."""

    codec = "mjpg"

    def __init__(self, count=100, *, size=(40, 60), hangs=0.0, at_once=False, blind=False, greys=None, clocks=()):
        self.blind, self.greys, self.clocks = blind, greys, clocks
        self.left, self.size, self.hangs, self.released, self.number = count, size, hangs, 0, -1
        self.may = threading.Semaphore(count if at_once else 0)

    def give(self, count=1):
        for _ in range(count):
            self.may.release()

    def grab(self):
        if self.left == 0:
            time.sleep(self.hangs)
            return False
        self.left, self.number = self.left - 1, self.number + 1
        return self.may.acquire(timeout=10)

    def retrieve(self):
        grey = self.number if self.greys is None else self.greys[self.number]
        return (False, None) if grey is None else (True, np.full((*self.size, 3), [grey, 0, 200], np.uint8))

    def clock(self):
        return self.clocks[self.number] if self.clocks else None

    def release(self):
        self.released += 1


def wait(holds):
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture
def restarts():
    return []


def take(source, restarts, most=100):
    """(number, first blue value, dropped) of each frame, until the source ends."""
    found = []
    for frame in source.frames(lambda: restarts.append(len(found))):
        found.append((frame.number, int(frame.pixels[0, 0, 2]), frame.dropped))
        if len(found) == most:
            break
    return found


def test_what_comes_while_the_detector_works_is_dropped_and_counted(restarts):
    capture = FakeCapture(10)
    source = NewestFrame(capture)
    frames = source.frames(lambda: restarts.append(1))
    capture.give(1)
    before = time.monotonic()
    first = next(frames)
    assert (first.number, first.dropped) == (0, 0) and abs(first.arrived - before) < 5
    assert first.pixels[0, 0].tolist() == [200, 0, 0]  # RGB
    capture.give(4)
    wait(lambda: capture.number == 5)
    fifth = next(frames)
    assert (fifth.number, fifth.dropped, source.counts.dropped) == (4, 3, 3)
    capture.give(5)
    assert [(frame.number, frame.dropped) for frame in frames][-1][0] == 9
    assert source.status == "ended" and capture.released == 1 and not restarts
    assert source.counts.said() == [
        "the stream was closed: it ends there",
        f"{source.counts.dropped} frames came while the detector was at work, and were dropped",
    ]
    source.close()


def test_what_came_before_anybody_looked_is_not_dropped(restarts):
    capture = FakeCapture(6, at_once=True)
    source = NewestFrame(capture)
    wait(lambda: source.status == "ended")
    assert take(source, restarts) == [(5, 5, 0)] and source.counts.dropped == 0


def test_every_nth_frame_is_offered_and_others_are_not_dropped(restarts):
    capture = FakeCapture(7)
    source = NewestFrame(capture, every=3, region=(10, 5, 30, 25))
    frames, found = source.frames(lambda: None), []
    for number in range(3):
        capture.give(3 if number < 2 else 1)
        found.append(next(frames))
    assert [(frame.number, frame.dropped, frame.pixels.shape) for frame in found] == [
        (0, 0, (20, 20, 3)),
        (3, 0, (20, 20, 3)),
        (6, 0, (20, 20, 3)),
    ]
    source.close()


def test_a_break_is_mended_counted_and_told(restarts, monkeypatch):
    monkeypatch.setattr(newest_module, "SETTLES", 0)
    captures, told = [FakeCapture(3), FakeCapture(2)], []
    attempts = []

    def open_again():
        attempts.append(1)
        if len(attempts) < 3:
            raise InputError("not yet")
        if len(attempts) > 3:
            raise InputError("gone")
        return captures[1]

    source = NewestFrame(captures[0], open_again=open_again, waits=(0.0, 0.0, 0.05), tell=told.append)
    source._pace.rate = 100.0
    frames, found = source.frames(lambda: restarts.append(found[-1].number)), []
    for capture, count in ((captures[0], 3), (captures[1], 2)):
        for _ in range(count):
            capture.give()
            found.append(next(frames))
    assert list(frames) == []
    assert [frame.number for frame in found] == [0, 1, 2, 3, 4]
    assert restarts == [2]  # before the first frame of the second connection
    counts = source.counts
    assert counts.reconnects == 1 and counts.missed >= 5  # 0.05 s and more, at 100 a second
    assert counts.said()[0] == f"reconnected once, about {counts.missed} frames missed"
    assert counts.said()[1] == "the stream was closed, and 3 attempts to connect again failed"
    assert told[0] == "the stream was closed; connecting again" and "connected again after" in told[1]
    seconds = float(told[1].split()[3])
    assert abs(counts.missed - 100 * seconds) <= 6 and f"about {counts.missed} frames missed" in told[1]
    assert [capture.released for capture in captures] == [1, 1]
    assert [times(2), times(1)] == ["2 times", "once"]


def test_silence_is_told_from_the_end_of_a_recording(restarts, monkeypatch):
    gone = lambda: (_ for _ in ()).throw(InputError("gone"))  # noqa: E731
    for capture, announced, said in (
        (FakeCapture(3, hangs=0.1, at_once=True), 3, ["no frame came for 0 s, and 1 attempts to connect again failed"]),
        (FakeCapture(3, at_once=True), 30, ["the stream was closed, and 1 attempts to connect again failed"]),
        (FakeCapture(3, at_once=True), 3, []),
    ):
        monkeypatch.setattr(newest_module, "READ_SECONDS", 0.1 if capture.hangs else 60.0)
        source = NewestFrame(capture, open_again=gone, announced=announced, waits=(0.0,))
        take(source, restarts)
        assert source.counts.notes == said


def test_while_it_connects_again_the_source_says_so(restarts):
    source = NewestFrame(FakeCapture(1, at_once=True), open_again=lambda: 1 / 0, waits=(30.0,))
    wait(lambda: source.status == "reconnecting")
    assert source.said == "the stream was closed; attempt 1 of 1 to connect again"
    source.close()  # at once, not after 30 s
    assert source.status == "ended"


def test_what_goes_wrong_in_the_thread_reaches_the_caller(restarts):
    source = NewestFrame(FakeCapture(2, at_once=True), open_again=lambda: 1 / 0, waits=(0.0,))
    with pytest.raises(ZeroDivisionError):
        take(source, restarts)


@pytest.mark.parametrize("one_size", [True, False])
def test_frames_that_change_size(one_size, restarts):
    first, second = FakeCapture(1, at_once=True), FakeCapture(2, size=(20, 30), at_once=True)
    opened, made = iter([second]), []

    def open_again():
        wait(lambda: made and made[0]._newest is None)
        return next(opened, None) or (_ for _ in ()).throw(InputError("gone"))

    source = NewestFrame(first, open_again=open_again, one_size=one_size, waits=(0.0,))
    made.append(source)
    found = take(source, restarts)
    assert [number for number, _, _ in found] == ([0] if one_size else [0, 2])
    said, note = source.counts.said(), "the frames changed from 60x40 to 30x20 pixels"
    assert (note + ": the video ends there" if one_size else note) in said and restarts == ([] if one_size else [1])
    assert source.counts.damaged == 0


def shown(sizes, **options):
    """The source of a capture with pictures of these sizes, read to its end."""
    capture = FakeCapture(len(sizes), at_once=True)
    capture.retrieve = lambda: (True, np.zeros((*sizes[capture.number], 3), np.uint8))
    source = NewestFrame(capture, **options)
    source._thread.join()
    return source


@pytest.mark.parametrize("one_size", [True, False])
def test_one_picture_of_another_size_is_a_damaged_one(one_size):
    """A bit of its header is enough; the video and its region go on."""
    a, b, c = (40, 60), (42, 60), (44, 60)
    for sizes, damaged in (([a, b, a, a], 1), ([a, b, a, b, a], 2), ([a, b, c, a], 2)):
        source = shown(sizes, one_size=one_size, region=(0, 0, 60, 40))
        assert source.counts.damaged == damaged and not source.counts.changes, sizes
        assert source.counts.notes == ["the stream was closed: it ends there"] and source._shape == (*a, 3)
    source = shown([a, b, b, b], one_size=one_size)
    assert source.counts.damaged == 0
    assert shown([a, a, b], one_size=one_size).counts.damaged == 1  # the last one, which nothing confirms
    assert source._shape == ((*a, 3) if one_size else (*b, 3))


def test_a_picture_that_is_refused_is_left_out_and_ends_the_stream_where_all_are(monkeypatch):
    """What was annotated before it stays."""
    for bad, end in (([3], "the stream was closed: it ends there"), (range(3, 9), "9000 pixels, for 0 s: the stream")):
        monkeypatch.setattr(newest_module, "READ_SECONDS", 0 if len(bad) > 1 else 5.0)
        capture = FakeCapture(9, at_once=True)
        plain = capture.retrieve

        def retrieve(bad=bad, capture=capture, plain=plain):
            if capture.number in bad:
                raise InputError("9000 pixels")
            return plain()

        capture.retrieve = retrieve
        source = NewestFrame(capture)
        source._thread.join()
        assert source.counts.damaged == min(len(bad), 2) and source.status == "ended" and source._error is None
        assert end in source.counts.notes[0] and len(source.counts.notes) == 1


def test_how_much_was_missed_is_unknown_before_there_is_a_rate():
    captures = [FakeCapture(3, at_once=True), FakeCapture(3, at_once=True), FakeCapture(3, at_once=True)]
    told, later = [], captures[1:]

    def open_again():
        if not later:
            raise InputError("gone")
        return later.pop(0)

    source = NewestFrame(captures[0], open_again=open_again, waits=(0.0,), tell=told.append)
    source._thread.join()
    assert source.counts.reconnects == source.counts.unmeasured == 2
    assert source.counts.reconnected() == "reconnected 2 times, an unknown number of frames missed"
    assert "an unknown number of frames missed" in told[1]
    source.counts.missed, source.counts.unmeasured = 7, 1
    assert source.counts.reconnected() == "reconnected 2 times, about 7 frames missed, and once an unknown number"


def test_the_rate_is_waited_for(monkeypatch):
    monkeypatch.setattr(newest_module, "SETTLES", 0)
    capture = FakeCapture(20)
    source = NewestFrame(capture)
    start = time.monotonic()
    source.wait_for_rate(0.05)
    assert source.rate is None and time.monotonic() - start >= 0.05
    threading.Timer(0.05, capture.give, [10]).start()
    source.wait_for_rate(10)
    assert source.rate is not None
    capture.give(10)
    source.close()


def test_the_rate_is_waited_for_no_longer_than_it_takes(monkeypatch):
    """Frames that are not offered tell the rate as well."""
    monkeypatch.setattr(newest_module, "SETTLES", 0.0)
    capture = FakeCapture(10)
    source = NewestFrame(capture, every=100)
    capture.give(6)
    before = time.monotonic()
    source.wait_for_rate(30)
    assert source.rate is not None and time.monotonic() - before < 10
    capture.give(4)
    source.close()


def all_of(capture, **options):
    """The source of a capture, read to its end frame by frame, and the numbers of the frames before which it began."""
    left, restarts = capture.left, []
    source = NewestFrame(capture, **options)
    frames, found = source.frames(lambda: restarts.append(len(found))), []
    for _ in range(left):
        capture.give()
        found.append(next(frames, None))
    source.close()
    return source, restarts


def test_frames_that_cannot_be_decoded_are_counted(restarts):
    source = NewestFrame(FakeCapture(5, at_once=True, greys=[1, None, 2, None, 3]))
    wait(lambda: source.status == "ended")
    assert take(source, restarts)[-1][:2] == (4, 3) and source.counts.damaged == 2
    assert "2 frames could not be decoded, and were left out" in source.counts.said()


def test_a_stream_of_frames_that_cannot_be_decoded_is_opened_again(restarts, monkeypatch):
    monkeypatch.setattr(newest_module, "READ_SECONDS", 0)
    gone = lambda: (_ for _ in ()).throw(InputError("gone"))  # noqa: E731
    source = NewestFrame(FakeCapture(5, at_once=True, greys=[None] * 5), open_again=gone, waits=(0.0,))
    take(source, restarts)
    assert source.counts.notes == ["no frame could be decoded for 0 s, and 1 attempts to connect again failed"]


def test_a_picture_that_stands_still_is_asked_for_again_once(restarts, monkeypatch):
    """Of a codec that hides its size: the picture may be the last one of the old size. Then it is said."""
    monkeypatch.setattr(newest_module, "STILL_SECONDS", 0)
    captures = [
        FakeCapture(9, at_once=True, blind=True, greys=[1, 2, 2, 7]),
        FakeCapture(4, blind=True, greys=[2, 2, 2, 3]),
    ]
    told, opened = [], iter(captures[1:])
    again = lambda: next(opened, None) or (_ for _ in ()).throw(InputError("gone"))  # noqa: E731
    source = NewestFrame(captures[0], open_again=again, waits=(0.0,), tell=told.append)
    captures[1].give(3)
    wait(lambda: source.said == newest_module.STANDS)
    assert source.status == "live" and captures[0].number == 2
    captures[1].give()
    wait(lambda: source.status == "ended")
    assert source.counts.reconnects == 1 and told[0].startswith("the picture has stood still for 0 s")
    assert source.said.startswith("the stream was closed")  # it moved, and no longer stood still
    seen = NewestFrame(FakeCapture(4, at_once=True, greys=[2] * 4), open_again=lambda: 1 / 0, waits=())
    wait(lambda: seen.status == "ended")
    assert seen.counts.reconnects == 0


def test_a_clock_that_goes_back_or_leaps_on_begins_another_scene():
    """Jitter does not, and time that has passed here neither."""
    clocks = [10.0, 10.04, 9.5, 10.08, 3.0, 3.04, 9.0, None, 9.5, 2.0]
    source, restarts = all_of(FakeCapture(10, clocks=clocks))
    assert restarts == [4, 6, 9]
    assert source.counts.changed() == [
        "the stream's clock went back: no frame before it was compared with, 2 times",
        "the stream's clock leapt on: no frame before it was compared with",
    ]
    assert [len(one) for one in (source.counts.said(), source.counts.notes)] == [2, 0]


def test_the_rate_is_measured_once_the_stream_has_settled(restarts, monkeypatch):
    clock = iter(np.arange(0, 1000, 0.02))  # each look at the clock takes 0.02 s
    monkeypatch.setattr(newest_module.time, "monotonic", lambda: float(next(clock)))
    source = NewestFrame(FakeCapture(60, at_once=True))
    source._thread.join()
    assert source.rate == pytest.approx(25.0)  # two looks a frame
