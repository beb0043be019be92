"""Streams and recordings of the network and cameras, as ``watch`` opens and reads them."""

import base64
import itertools
import socket

import cv2
import numpy as np
import pytest

from gluon_liver.commands import watch
from gluon_liver.errors import InputError
from gluon_liver.live import newest
from gluon_liver.live import source as source_module
from gluon_liver.live.source import open_source, paced
from tests.inference.fake_stream import FakeStream
from tests.live.streams import FFMPEG, files_of, grey_jpeg, motion_jpeg, rtsp, served
from tests.readers.us_writer import grey_frames, write_video

NO_FFMPEG = "ffmpeg is not there, which sends the stream"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(newest, "WAITS", (0.01, 0.02))


def greys(frames):
    return [int(frame.pixels.mean().round()) // 2 for frame in frames]


def test_a_motion_jpeg_is_read_as_it_is_now_and_opened_again(capsys):
    handler = motion_jpeg([12, 6])
    restarts = []
    with served(handler) as url, open_source(f"{url}/x?token=SECRET", tell=print) as source:
        assert source.recording is None and source.name == f"{url}/x"
        found = list(source.frames(lambda: restarts.append(1)))
    assert restarts == [1] and source.live.counts.reconnects == 1
    assert [frame.number for frame in found] == sorted({frame.number for frame in found})
    assert set(greys(found)) <= set(range(12)) and len(found) + source.live.counts.dropped > 10
    said = capsys.readouterr().out
    assert "the stream was closed; connecting again" in said and "SECRET" not in said
    assert source.notes[0] == "reconnected once, an unknown number of frames missed" and "2 attempts" in source.notes[1]


def test_watch_annotates_a_stream_and_tells_what_became_of_it(command, tmp_path, capfd):
    stream = FakeStream(flow=False)
    with served(motion_jpeg([12, 8])) as url:
        address = url.replace("http://", "http://me:SECRET@") + "/live?key=SECRET"
        assert command(address, "--out", "a.mp4", "--fps", 10, stream=stream) == 0
    assert "restart" in stream.numbers
    said = "".join(capfd.readouterr())
    assert f"note: {url}/live: the stream was closed; connecting again" in said and "SECRET" not in said
    assert "note: reconnected once, an unknown number of frames missed" in said and f"{stream.count} frames, " in said
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert b"SECRET" not in (tmp_path / "a.mp4").read_bytes()


def test_a_recording_on_a_web_server_is_read_whole_and_in_order(tmp_path):
    write_video(tmp_path / "a.avi", grey_frames(range(0, 240, 20)))
    with served(files_of(tmp_path)) as url, open_source(f"{url}/a.avi", every=2, region=(0, 0, 32, 16)) as source:
        assert source.live is None and source.rate == 10
        found = list(source.frames(lambda: None))
    assert [frame.number for frame in found] == [0, 2, 4, 6, 8, 10] and not source.notes
    assert np.abs(np.array(greys(found)) - range(0, 120, 20)).max() <= 1
    assert found[0].pixels.shape == (16, 32, 3)


def test_a_recording_that_ends_early_is_told(tmp_path):
    whole = write_video(tmp_path / "a.avi", grey_frames(range(0, 240, 2))).read_bytes()
    (tmp_path / "b.avi").write_bytes(whole[: len(whole) // 2])
    with served(files_of(tmp_path)) as url, open_source(f"{url}/b.avi") as source:
        found = list(source.frames(lambda: None))
    assert source.live is None and 0 < len(found) < 120
    came = len(found) + 1  # the last one in part
    assert source.notes == [
        f"1 of {came} frames cannot be decoded, and were left out (the first is frame {len(found)}, counted from 0)",
        f"{came} of about 120 frames came: the connection broke, or the header is wrong",
    ]


def test_pictures_of_a_recording_that_cannot_be_decoded_are_counted_and_the_rest_is_read(tmp_path):
    files = [grey_jpeg(number) for number in range(10)]
    files[5] = files[5][:-2]
    (tmp_path / "a.mjpeg").write_bytes(b"".join(files))
    whole = write_video(tmp_path / "b.avi", grey_frames(range(0, 200, 10))).read_bytes()
    pictures = [start for start in range(len(whole)) if whole[start : start + 3] == b"\xff\xd8\xff"]
    (tmp_path / "b.avi").write_bytes(whole[: pictures[7]] + bytes(40) + whole[pictures[7] + 40 :])
    with served(files_of(tmp_path)) as url:
        for name, count, more in (("a.mjpeg", 9, ["10 frames came; the recording does not say"]), ("b.avi", 19, [])):
            with open_source(f"{url}/{name}") as source:
                found = list(source.frames(lambda: None))
            assert source.live is None and len(found) == count, name
            assert [note.split(" how many")[0] for note in source.notes] == [
                f"1 of {count + 1} frames cannot be decoded, and were left out "
                f"(the first is frame {5 if name == 'a.mjpeg' else 7}, counted from 0)",
                *more,
            ]


def test_a_recording_with_a_name_that_is_not_ascii_ends(tmp_path):
    """A server is asked for it in ASCII, and says how long it is."""
    (tmp_path / "\u00fcb.mjpeg").write_bytes(b"".join(map(grey_jpeg, range(12))))
    with served(files_of(tmp_path)) as url:
        with open_source(f"{url}/\u00fcb.mjpeg?\u00e9") as source:
            assert source.live is None and len(list(source.frames(lambda: None))) == 12
        with pytest.raises(InputError, match="answers 404 File not found"):
            open_source(f"{url}/\u00fc.mjpeg")


@pytest.mark.parametrize("rate, said", [(50.0, ""), (2.0, "are not known, and taken for 25; --fps N says")])
def test_the_rate_of_a_video_is_measured_or_said_to_be_guessed(command, tmp_path, capfd, monkeypatch, rate, said):
    monkeypatch.setattr(watch, "RATE_SECONDS", 0.0 if said else 10.0)
    monkeypatch.setattr(newest, "SETTLES", 0.0)
    with served(motion_jpeg([9], rate=rate)) as url:
        assert command(f"{url}/x", "--out", "a.mp4") == 0
    told = "".join(capfd.readouterr())
    assert said in told and ("are not known" in told) == bool(said)
    written = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    shown = written.get(cv2.CAP_PROP_FPS)
    assert shown == 25 if said else 1 < shown < 1000  # a busy machine sends as it can
    assert ("frames came a second in the end; the video shows 25 a second" in told) == bool(said)


@pytest.mark.parametrize(
    "address, message",
    [
        ("{url}/none.mp4", "answers 404 File not found: there is no such stream"),
        ("{url}/page.html", "the server answers, but sends no video that can be read (text/html)"),
        ("http://127.0.0.1:{free}/x", "nothing listens at 127.0.0.1:{free}"),
        ("rtsp://127.0.0.1:{free}/x", "nothing listens at 127.0.0.1:{free}"),
        ("rtmp://127.0.0.1/SECRET", "streams are read from rtsp, rtsps, http and https alone"),
        ("{url}/a.avi", "--region 0 0 64 999 is no box inside its frames of 64x48 pixels"),
    ],
)
def test_what_is_no_stream_is_refused_and_nothing_written(tmp_path, command, capfd, address, message):
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "page.html").write_text("<p>no video</p>")
    write_video(tmp_path / "www" / "a.avi", grey_frames([0, 9]))
    with served(files_of(tmp_path / "www")) as url, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen: no other process can
        free = bound.getsockname()[1]
        options = ("--region", 0, 0, 64, 999) if "a.avi" in address else ()
        told = address.format(url=url.replace("//", "//me:SECRET@"), free=free) + "?SECRET"
        assert command(told, "--out", "a.mp4", *options) == 2
    said = "".join(capfd.readouterr())
    assert said.startswith("error: ") and message.format(free=free) in said and "SECRET" not in said
    assert said.count("\n") == 1  # nothing of FFmpeg's or OpenCV's
    assert [path.name for path in tmp_path.iterdir()] == ["www"]


def jpeg(value, size, *, grey=False):
    """An even picture, light at the right."""
    pixels = np.full((*size, 3), value, np.uint8)
    pixels[:, size[1] // 2 :] = 250
    return cv2.imencode(".jpg", pixels[..., 0] if grey else pixels)[1].tobytes()


def test_pictures_that_change_inside_a_connection_are_shown_as_they_are():
    """OpenCV would repeat the last picture of the first size, and stop at the one that is cut short."""
    small, large, turned = (48, 64), (96, 128), (80, 48)
    sent = [jpeg(10, small), jpeg(20, large), jpeg(30, large, grey=True), jpeg(40, turned), jpeg(50, small)]
    cut = sent[4][:-40]
    handler = motion_jpeg([[jpeg(0, small)] + [one for one in [*sent, cut] for _ in range(2)] + [jpeg(60, small)] * 3])
    restarts, found = [], []
    with served(handler) as url, open_source(f"{url}/x") as source:
        for frame in source.frames(lambda: restarts.append(len(found))):
            found.append((frame.pixels.shape, [*map(int, frame.pixels[5, [2, -3]].mean(axis=1))]))
    shapes = {10: small, 20: large, 30: large, 40: turned, 50: small, 60: small}
    for shape, (left, right) in found:
        value = min(shapes, key=lambda one: abs(one - left))
        assert abs(left - value) <= 2 or left == 0
        assert shape == (*shapes.get(value if left else 10), 3) and abs(right - 250) <= 2
    assert len({shape for shape, _ in found}) == 3 and len(restarts) == 3
    assert source.live.counts.changed() == [
        "the frames changed from 64x48 to 128x96 pixels",
        "the frames changed from 128x96 to 48x80 pixels",
        "the frames changed from 48x80 to 64x48 pixels",
    ]
    assert "2 frames could not be decoded, and were left out" in source.notes


def test_a_region_of_other_pictures_ends_the_stream_and_a_picture_without_bound_too(monkeypatch):
    sizes = [(48, 64)] * 6 + [(20, 20)] * 4
    with served(motion_jpeg([[jpeg(9, size) for size in sizes]])) as url:
        with open_source(f"{url}/x", region=(30, 30, 60, 40)) as source:
            found = list(source.frames(lambda: None))
    assert found and {frame.pixels.shape for frame in found} == {(10, 30, 3)}
    assert source.notes[0].endswith("from 64x48 to 20x20 pixels: --region was of the old ones, so the stream ends")
    monkeypatch.setattr(newest, "READ_SECONDS", 0.1)
    with served(motion_jpeg([[jpeg(9, (48, 64))] * 6 + [jpeg(9, (8, 4100))] * 20])) as url:
        with open_source(f"{url}/x") as source:
            found = list(source.frames(lambda: None))
    assert found and source.live.counts.damaged > 1
    assert "more than 4096 pixels a side, for 0.1 s: the stream ends there" in source.notes[0]


def test_one_damaged_picture_keeps_the_video(command, tmp_path, capfd):
    """With one bit of its height wrong; of the first half of a second nothing else is in the video."""
    good = jpeg(90, (48, 64))
    place = good.index(b"\xff\xc0") + 5
    for bit in (0x20, 0x00):
        bad = good[:place] + bytes([good[place] ^ bit, good[place + 1] ^ (bit == 0) * 2]) + good[place + 2 :]
        with served(motion_jpeg([[good] * 20 + [bad] + [good] * 20])) as url:
            assert command(f"{url}/x", "--out", f"{bit}.mp4", "--fps", 10) == 0
        said = "".join(capfd.readouterr())
        assert "note: 1 frames could not be decoded, and were left out" in said
        assert (tmp_path / f"{bit}.mp4").stat().st_size > 0 and "the video ends there" not in said


def test_a_recording_of_motion_jpeg_whose_pictures_change_is_refused(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 96))
    for _ in range(4):  # noise, so that another picture fits into its place
        writer.write(np.random.default_rng(1).integers(0, 255, (96, 96, 3)).astype(np.uint8))
    writer.release()
    whole = (tmp_path / "a.avi").read_bytes()
    first, end = whole.rindex(b"\xff\xd8"), whole.rindex(b"\xff\xd9") + 2
    other = cv2.imencode(".jpg", np.zeros((24, 24, 3), np.uint8))[1].tobytes()
    (tmp_path / "a.avi").write_bytes(whole[:first] + other.ljust(end - first, b"\0") + whole[end:])
    with served(files_of(tmp_path)) as url, open_source(f"{url}/a.avi") as source:
        with pytest.raises(InputError, match="frame 3 has another size than the first"):
            list(source.frames(lambda: None))


def test_a_stream_without_pictures_is_refused():
    with served(motion_jpeg([0])) as url, pytest.raises(InputError, match="cannot be opened"):
        open_source(f"{url}/x")


@pytest.mark.skipif(FFMPEG is None, reason=NO_FFMPEG)
def test_rtsp_with_user_and_password(tmp_path):
    with rtsp(tmp_path, login=base64.b64encode(b"me:SECRET").decode()) as port:
        for address, message in (
            (f"rtsp://127.0.0.1:{port}/live", "answers 401 Unauthorized: it wants a user and a password"),
            (f"rtsp://me:WRONG@127.0.0.1:{port}/live", "does not take those that were given"),
        ):
            with pytest.raises(InputError, match=message) as raised:
                open_source(address)
            assert "WRONG" not in str(raised.value)
        with open_source(f"rtsp://me:SECRET@127.0.0.1:{port}/live") as source:
            found = list(itertools.islice(source.frames(lambda: None), 3))
    assert [frame.pixels.shape for frame in found] == [(48, 64, 3)] * 3
    assert found[2].number > found[1].number > found[0].number and found[0].pixels.std() > 40


@pytest.mark.skipif(FFMPEG is None, reason=NO_FFMPEG)
def test_an_unknown_path_of_an_rtsp_server(tmp_path):
    with rtsp(tmp_path) as port, pytest.raises(InputError, match="answers 404 Not Found: there is no such stream"):
        open_source(f"rtsp://127.0.0.1:{port}/none")


class FakeCamera:
    """OpenCV's capture of a camera with five frames, or one that is not there."""

    def __init__(self, index, there=True):
        self.there, self.number, self.released = there, 0, False

    def isOpened(self):
        return self.there

    def read(self):
        return self.grab(), self.retrieve()[1]

    def get(self, number):
        return 0.0

    def grab(self):
        self.number += 1
        return self.number < 6

    def retrieve(self):
        return True, np.full((48, 64, 3), 2 * self.number, np.uint8)

    def release(self):
        self.released = True


def test_a_camera_ends_where_it_gives_no_more(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    with open_source("0", region=(0, 0, 30, 20)) as source:
        found = list(source.frames(lambda: None))
    assert source.name == "camera 0" and found[-1].number == 3 and found[-1].pixels.shape == (20, 30, 3)
    assert greys(found)[-1] == 5 and source.live.counts.reconnects == 0
    assert "the stream was closed: it ends there" in source.notes


@pytest.mark.parametrize("text", ["\u00b2", "99999999999", "\u0663"])
def test_a_number_that_no_camera_has_is_refused(command, capsys, text):
    assert command(text, "--out", "a.mp4") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and ("no machine has so many" in said or "there is no such file" in said)


def test_a_camera_that_is_not_there_is_told(monkeypatch, command, capsys):
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: FakeCamera(index, there=False))
    assert command("7", "--out", "a.mp4") == 2
    assert "camera 7 cannot be opened: is it plugged in, may you read /dev/video7" in capsys.readouterr().err


def test_a_recording_is_shown_no_faster_than_it_was_recorded(monkeypatch):
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(source_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(source_module.time, "sleep", sleep)
    found = []
    for frame in paced(zip(range(4), "abcd"), 10.0):
        found.append((frame.number, frame.pixels, round(frame.arrived, 6)))
        now[0] += (0.03, 0.25, 0.03, 0)[frame.number]  # the second one takes longer than there is time
    assert found == [(0, "a", 0.0), (1, "b", 0.1), (2, "c", 0.35), (3, "d", 0.45)]
    assert sum(slept) == pytest.approx(0.07 + 0.07)
    assert [frame.arrived for frame in paced(zip(range(3), "abc"), None)] == [now[0]] * 3
