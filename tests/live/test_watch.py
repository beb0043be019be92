"""``watch --serve``: options, the page's life, and what is said at the end."""

import json
import os
import re
import signal
import socket
import time
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest

from gluon_liver.commands.watch import SCREENS, _notes
from gluon_liver.inference.annotate_video import Watched
from gluon_liver.live import show
from tests.inference.fake_stream import FakeStream
from tests.readers.us_writer import write_video


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "v.avi", np.zeros((6, 40, 60, 3), np.uint8))


def test_a_page_or_a_video_is_needed(video, command, capsys):
    assert command(video) == 2
    said = capsys.readouterr().err
    assert "--out FILE.mp4 writes a video, --serve shows them in a browser" in said


def test_a_run_without_a_checkpoint_is_told_and_leaves_no_video(video, command, capsys, tmp_path):
    assert command(video, "--out", "a.mp4", checkpoint=None) == 2
    assert "the run was not trained to its first checkpoint" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["v.avi"]


def test_a_port_that_cannot_be_is_told_and_leaves_no_video(video, command, capsys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for given, message in ((port, "the port cannot be had"), (70000, "a port is 0 to 65535")):
            assert command(video, "--out", "a.mp4", "--serve", given) == 2
            assert f"error: --serve {given}: {message}" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        command(video, "--serve", "rtsp://me:SECRET@host/x")
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "a port is a number; with --serve last" in said and "SECRET" not in said
    with pytest.raises(SystemExit):
        command(video, "rtsp://me:SECRET@host/x", "--serve")
    said = capsys.readouterr().err
    assert "unrecognized arguments: rtsp://...@host/x" in said
    assert [path.name for path in tmp_path.iterdir()] == ["v.avi"]


def test_the_page_stays_when_the_recording_has_ended(video, command, capsys, monkeypatch, tmp_path):
    seen = {}

    class Waits:
        def wait(self):
            seen["printed"] = capsys.readouterr().out
            url = re.search(r"http://\S+", seen["printed"]).group()
            with urllib.request.urlopen(url, timeout=5) as answer:
                seen["page"] = answer.read().decode()
            with urllib.request.urlopen(f"{url}events", timeout=5) as answer:
                seen["state"] = json.loads(answer.readline()[6:])
            seen["video"] = (tmp_path / "a.mp4").stat().st_size
            raise KeyboardInterrupt

    monkeypatch.setattr(show, "Event", Waits)
    assert command(video, "--serve", 0, "--out", "a.mp4", "--fps", 200, "--score", 0.4) == 0
    assert "6 frames, " in seen["printed"] and "the page stays until Ctrl-C" in seen["printed"]
    assert "from a frame's arrival to its picture: median" in seen["printed"] and seen["video"] > 500
    for words in ("<h1>v.avi</h1>", "run RUN", "step-00000007", "probability 0.4 and more", "The video goes to a.mp4"):
        assert words in seen["page"]
    state = seen["state"]
    assert (state["newest"], state["status"], state["dropped"]) == (5, "ended", 0)
    assert state["said"] == "the recording has ended. Its last pictures stay until watch is stopped."


def test_ctrl_c_ends_the_page_and_keeps_the_video(video, command, capsys, tmp_path):
    assert command(video, "--serve", 0, "--out", "a.mp4", stream=FakeStream(flow=False, interrupt_at=4)) == 0
    said = capsys.readouterr().out
    port = int(re.search(r"127\.0\.0\.1:(\d+)", said).group(1))
    assert "interrupted after 3 frames" in said and (tmp_path / "a.mp4").stat().st_size > 500
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_sigterm_keeps_the_video_too(video, command, capsys, tmp_path):
    class Terminated(FakeStream):
        def detect(self, frame, number=0):
            if number == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().detect(frame, number)

    assert command(video, "--serve", 0, "--out", "a.mp4", stream=Terminated(flow=False)) == 0
    assert "interrupted after 3 frames" in capsys.readouterr().out and (tmp_path / "a.mp4").stat().st_size > 500
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and sorted(os.listdir(tmp_path)) == ["a.mp4", "v.avi"]


def test_a_window_without_a_screen_is_refused_before_anything_is_written(video, command, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    for name in SCREENS:
        monkeypatch.delenv(name, raising=False)
    assert command(video, "--show", "--serve", 0, "--out", "a.mp4") == 2
    assert "error: --show: there is no screen here" in capsys.readouterr().err and os.listdir(tmp_path) == ["v.avi"]


def test_what_is_slow_because_it_broke_gets_no_advice_that_changes_nothing():
    stream, result = SimpleNamespace(alone=2, step=1, classes=("tumor",)), Watched(3, 0.01, False, 0, False)
    source = SimpleNamespace(live=object(), rate=25.0)
    assert not any("--every" in note for note in _notes(stream, result, source, 1))
    slow = result._replace(seconds_per_frame=0.1)
    assert any("with --every 3 the detector keeps pace" in note for note in _notes(stream, slow, source, 1))


def test_no_page_shows_a_recording_as_fast_as_can_be(video, command, capsys):
    start = time.monotonic()
    assert command(video, "--out", "a.mp4", "--fps", 0.2) == 0  # at its pace it would take 25 s
    assert time.monotonic() - start < 20 and "http://" not in capsys.readouterr().out
