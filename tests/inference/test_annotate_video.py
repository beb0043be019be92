"""The annotated stream: what is written, and what becomes of it when it is cut off."""

import itertools
import time

import cv2
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.errors import InputError, RunError
from gluon_liver.inference import annotate_video as watch_module
from gluon_liver.inference import stream as stream_module
from gluon_liver.inference.ahead import MOST_WAITING
from gluon_liver.inference.annotate_video import annotated, watch
from gluon_liver.readers.video_writer import open_writer
from gluon_liver.runs.run import Run
from gluon_liver.structures.frame_source import StreamFrame
from tests.inference.fake_stream import CLASSES, FakeStream, fake_run
from tests.readers.us_writer import write_us, write_video


def frames(count=5):
    return [StreamFrame(number, np.full((120, 150, 3), 10 * number, np.uint8), 0.0) for number in range(count)]


def read(path):
    capture, pictures = cv2.VideoCapture(str(path)), []
    while True:
        good, picture = capture.read()
        if not good:
            return pictures
        pictures.append(picture[..., ::-1])


def test_every_frame_is_written_with_its_box_and_flow(tmp_path):
    result = watch(frames(), FakeStream(), tmp_path / "a.mp4", frames_per_second=10)
    assert (result.frames, result.interrupted) == (5, False)
    pictures = read(tmp_path / "a.mp4")
    assert len(pictures) == 5
    height, width = pictures[0].shape[:2]
    assert height >= 320 / 150 * 120 and width % 2 == 0
    right = pictures[2][:, width // 2 + 20 :].astype(int)
    assert np.abs(right.mean(axis=(0, 1)) - [151, 111, 111]).max() < 6  # red 111 + 40
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_boxes_are_light_blue_where_they_are():
    stream = FakeStream(flow=False)
    picture = annotated(frames()[0].pixels, stream.detect(None), CLASSES, 0.5, 12.5)
    scale = picture.shape[1] // 150
    assert picture.shape[:2] == (120 * scale, 150 * scale)
    around = slice(20 * scale - 4, 20 * scale + 5)  # the box's left side
    edge = picture[50 * scale, around].astype(int)
    assert edge[:, 2].max() > 200 and edge[:, 1].max() > 120
    hidden = annotated(frames()[0].pixels, stream.detect(None), CLASSES, 0.95, 12.5)
    assert not np.array_equal(picture, hidden) and hidden[50 * scale, around].max() < 50


def test_an_interrupted_stream_keeps_what_it_has(tmp_path):
    result = watch(frames(), FakeStream(interrupt_at=4), tmp_path / "a.mp4", frames_per_second=10)
    assert result.interrupted and result.frames == 3 and len(read(tmp_path / "a.mp4")) == 3


@pytest.mark.parametrize(
    "given, stream, name, error, message",
    [
        (frames(), FakeStream(fail_at=3), "a.mp4", RunError, "no numbers"),
        ([], FakeStream(), "a.mp4", InputError, "no frame"),
        (frames(), FakeStream(interrupt_at=1), "a.mp4", KeyboardInterrupt, "^$"),
        (frames(), FakeStream(), "a.avi", InputError, "written as .mp4"),
        (frames(), FakeStream(), "no/folder/a.mp4", InputError, "cannot be written"),
    ],
)
def test_nothing_is_left_of_a_stream_that_fails(tmp_path, given, stream, name, error, message):
    with pytest.raises(error, match=message):
        watch(given, stream, tmp_path / name, frames_per_second=10)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_the_middle_of_a_frame_keeps_the_video(tmp_path, ctrl_c):
    class Stream(FakeStream):
        def detect(self, frame, number=0):
            if number == 3:
                ctrl_c()
                assert not self.numbers[3:]  # goes on to its end: MXNet cannot be left in the middle
            return super().detect(frame, number)

    result = watch(frames(), Stream(), tmp_path / "a.mp4", frames_per_second=10)
    assert result.interrupted and result.frames == 3 and len(read(tmp_path / "a.mp4")) == 3


def test_a_picture_is_repeated_for_each_dropped_frame(tmp_path):
    given = frames(3)
    given = [given[0]._replace(dropped=4), given[1]._replace(dropped=2), given[2]]
    result = watch(given, FakeStream(), tmp_path / "a.mp4", frames_per_second=10)
    assert (result.frames, result.repeated) == (3, 2)
    greys = [int(picture[5, 300].mean()) for picture in read(tmp_path / "a.mp4")]
    assert np.abs(np.array(greys) - [0, 0, 0, 10, 20]).max() <= 3


def test_without_a_video_pictures_are_published_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    published = []
    result = watch(frames(), FakeStream(), None, frames_per_second=10, publish=published.append)
    assert (result.frames, result.repeated, list(tmp_path.iterdir())) == (5, 0, [])
    assert [one.frame.number for one in published] == [0, 1, 2, 3, 4]
    assert all(one.picture.shape[1] % 2 == 0 and one.seconds >= 0 for one in published)
    assert len(published[0].result.detections) == 1


def test_an_existing_file_is_left_alone(tmp_path):
    (tmp_path / "a.mp4").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        watch(frames(), FakeStream(), tmp_path / "a.mp4", frames_per_second=10)
    assert (tmp_path / "a.mp4").read_text() == "mine"


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, full_disk):
    noise = np.random.default_rng(0).integers(0, 255, (20, 120, 150, 3)).astype(np.uint8)
    with full_disk(50_000):
        with pytest.raises(InputError, match="a.mp4: 0 of 20 frames could be written: is the disk full"):
            watch(
                [StreamFrame(*one, 0.0) for one in enumerate(noise)],
                FakeStream(),
                tmp_path / "a.mp4",
                frames_per_second=10,
            )
    assert list(tmp_path.iterdir()) == []


class Interrupting:
    """A writer that Ctrl-C meets right after its third frame was taken."""

    def __init__(self, writer):
        self.writer, self.release, self.count = writer, writer.release, 0

    def write(self, picture):
        self.writer.write(picture)
        self.count += 1
        if self.count == 3:
            raise KeyboardInterrupt


def test_an_interrupt_between_a_frame_and_its_count_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(watch_module, "open_writer", lambda *a, **k: Interrupting(open_writer(*a, **k)))
    result = watch(frames(), FakeStream(), tmp_path / "a.mp4", frames_per_second=10)
    assert result.interrupted and len(read(tmp_path / "a.mp4")) == 3


def test_pictures_are_those_drawn_one_by_one_in_their_order(tmp_path, monkeypatch):
    written = []

    class Kept:
        def __init__(self, writer):
            self.writer, self.release = writer, writer.release

        def write(self, picture):
            time.sleep(0.02 if len(written) == 2 else 0)  # a slow one is not overtaken
            written.append(picture[..., ::-1].copy())
            self.writer.write(picture)

    monkeypatch.setattr(watch_module, "open_writer", lambda *a, **k: Kept(open_writer(*a, **k)))
    monkeypatch.setattr(watch_module.time, "monotonic", itertools.count().__next__)  # one frame a second
    given, stream = frames(8), FakeStream()
    assert watch(given, stream, tmp_path / "a.mp4", frames_per_second=10).frames == 8
    expected = [annotated(frame, FakeStream().detect(frame), CLASSES, 0.5, 1.0) for _, frame, *_ in given]
    assert len(written) == 8 and all(np.array_equal(*pair) for pair in zip(written, expected))


def test_a_picture_that_cannot_be_drawn_ends_the_stream(tmp_path, monkeypatch):
    drawn = []

    def draw(frame, *rest):
        drawn.append(frame)
        if len(drawn) == 3:
            raise InputError("no picture")
        return annotated(frame, *rest)

    monkeypatch.setattr(watch_module, "annotated", draw)
    stream = FakeStream()
    with pytest.raises(InputError, match="no picture"):
        watch(frames(20), stream, tmp_path / "a.mp4", frames_per_second=10)
    assert stream.count <= 3 + MOST_WAITING + 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_shown_may_end_the_stream(tmp_path):
    shown = []

    def show(picture):
        shown.append(picture)
        return len(shown) < 3

    assert watch(frames(9), FakeStream(), tmp_path / "a.mp4", frames_per_second=10, show=show).frames == 3
    assert len(shown) == 3 and len(read(tmp_path / "a.mp4")) == 3 and shown[0].shape == shown[2].shape


@pytest.fixture
def command(tmp_path, tmp_path_factory, monkeypatch):
    """command(source, *options, **more): exit code of watch with a run that finds one tumor in every frame, into a.mp4.

    more: ``trained``, what the run says of its training data; ``stream``, a FakeStream.
    """

    def call(source, *options, trained=(), stream=None):
        run = fake_run(tmp_path_factory.mktemp("run"), trained=trained)
        stream = stream or FakeStream()

        def from_run(run, *, step, **options):
            stream.step = step
            return stream, "step"

        monkeypatch.setattr(Run, "open", staticmethod(lambda folder: run))
        monkeypatch.setattr(stream_module.StreamDetector, "from_run", from_run)
        return main(["watch", str(source), "--run", "RUN", "--out", str(tmp_path / "a.mp4"), *map(str, options)])

    return call


def test_a_region_is_refused_where_the_file_tells_its_own(tmp_path, command, capsys):
    pixels = np.zeros((2, 40, 60, 3), np.uint8)
    region = "--region", 0, 0, 16, 16
    own = write_us(tmp_path / "own.dcm", pixels, region=(8, 4, 55, 35))
    assert command(own, *region) == 2 and "its own tissue region, 8 4 56 36" in capsys.readouterr().err
    assert not (tmp_path / "a.mp4").exists()
    assert command(write_us(tmp_path / "none.dcm", pixels), *region) == 0


def test_the_rate_is_the_recordings_unless_given(tmp_path, command):
    pixels = np.zeros((3, 40, 60, 3), np.uint8)
    video = write_video(tmp_path / "v.avi", pixels)
    dicom = write_us(tmp_path / "d.dcm", pixels, FrameTime="80")
    silent = write_us(tmp_path / "s.dcm", pixels)
    for source, options, rate in ((video, (), 10), (dicom, (), 12.5), (silent, (), 25), (video, ("--fps", 8), 8)):
        assert command(source, *options) == 0
        assert cv2.VideoCapture(str(tmp_path / "a.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(rate)
        (tmp_path / "a.mp4").unlink()
    assert command(video, "--fps", 0) == 2 and command(video, "--proposals", 0) == 2


def test_a_codec_that_hides_its_size_is_told(tmp_path, command, capsys):
    assert command(write_video(tmp_path / "v.mp4", np.zeros((3, 48, 64, 3), np.uint8), "mp4v")) == 0
    assert "note: a change of the frame size inside the video cannot be seen in its codec" in capsys.readouterr().out


def test_every_nth_frame_alone_is_read_and_written(tmp_path, command, capsys):
    video, stream = write_video(tmp_path / "v.avi", np.zeros((14, 40, 60, 3), np.uint8)), FakeStream()
    assert command(video, "--every", 4, trained={"step": 8}, stream=stream) == 0
    assert stream.numbers == [0, 4, 8, 12] and stream.step == 8 and len(read(tmp_path / "a.mp4")) == 4
    assert cv2.VideoCapture(str(tmp_path / "a.mp4")).get(cv2.CAP_PROP_FPS) == pytest.approx(2.5)  # a quarter of 10
    printed = capsys.readouterr().out
    assert "note: the previous frame is 8 before (0.8 s at 10 frames a second), as in training" in printed
    assert "note: 1 of 4 frames are their own previous frame: none is 8 before them" in printed


def test_the_step_is_the_trainings_unless_given(tmp_path, command, capsys):
    video = write_video(tmp_path / "v.avi", np.zeros((3, 40, 60, 3), np.uint8))
    for options, step, said in (
        ((), 6, "as in training"),
        (("--step", 3), 3, "the previous frame is 3 before (0.3 s at 10 frames a second); in training it was 6 before"),
        (("--every", 4), 4, "is 4 before (0.4 s at 10 frames a second); in training it was 6 before (0.24 s at 25"),
    ):
        stream = FakeStream()
        trained = {"step": 6, "frames_per_second": [25.0]}
        assert command(video, *options, trained=trained, stream=stream) == 0 and stream.step == step
        assert said in capsys.readouterr().out
        (tmp_path / "a.mp4").unlink()
    for options, message in (
        (("--step", 6, "--every", 4), "--step 6 with --every 4: the frame 6 before is not read"),
        (("--step", 0), "--step 0: it must be 1 or more"),
        (("--every", 0), "--every 0"),
    ):
        assert command(video, *options) == 2 and message in capsys.readouterr().err
    assert command(video, "--step", 2, stream=FakeStream(flow=False)) == 2
    assert "--step is for runs of us-flow" in capsys.readouterr().err and not (tmp_path / "a.mp4").exists()
    assert command(video, "--every", 2, stream=FakeStream(flow=False)) == 0
    assert "previous frame is" not in capsys.readouterr().out


def test_the_numbers_of_a_folders_files_are_those_of_its_frames(tmp_path, command):
    (tmp_path / "in").mkdir()
    for number in (12, 18, 24, 36, 37):
        cv2.imwrite(str(tmp_path / "in" / f"f{number:03d}.png"), np.zeros((40, 60, 3), np.uint8))
    for every, numbers in ((1, [12, 18, 24, 36, 37]), (12, [12, 24, 36])):
        stream = FakeStream()
        assert command(tmp_path / "in", "--every", every, stream=stream) == 0 and stream.numbers == numbers
        (tmp_path / "a.mp4").unlink()
