"""Recordings: what is decoded, in which order, which colours, and what is refused."""

from __future__ import annotations

import itertools
import struct
import zlib

import cv2
import numpy as np
import pytest

from gluon_liver import errors
from gluon_liver.readers.frames import read_frames
from gluon_liver.readers.image_folder import file_numbers, numeric_order
from gluon_liver.readers.video import _check_length, _vp8_size
from tests.onnx.predict_names import predict

from .us_writer import grey_frames, write_us, write_video

VALUES = [10, 60, 110, 160, 210]


def levels(source):
    return [int(np.median(frame)) for frame in source]


def whole(path):
    return read_frames(path, whole_frame=True)


def test_a_video_gives_rgb_frames_in_order(tmp_path):
    frames = grey_frames(VALUES)
    frames[..., 2] = 0
    source = whole(write_video(tmp_path / "a.avi", frames))
    read = np.stack(list(source))
    assert read.shape == frames.shape and read.dtype == np.uint8
    assert np.abs(read.astype(int) - frames).max() <= 4  # JPEG
    assert source.notes == ["whole frames were taken: text burned into them stays, patient names too"]


def test_a_video_needs_a_region_or_whole_frame_and_is_cropped(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (2, 48, 64, 3)).astype(np.uint8)
    path = write_video(tmp_path / "Secret_Name.avi", frames)
    with pytest.raises(errors.InputError, match="--whole-frame") as caught:
        read_frames(path)
    assert "Secret" not in str(caught.value)
    for part, frame in zip(read_frames(path, region=(8, 4, 40, 36)), whole(path)):
        assert np.array_equal(part, frame[4:36, 8:40])
    for region in ((0, 0, 65, 48), (-1, 0, 8, 8), (8, 0, 8, 8)):
        with pytest.raises(errors.InputError, match="no box inside"):
            read_frames(path, region=region)


def test_a_video_of_one_frame(tmp_path):
    assert levels(whole(write_video(tmp_path / "one.mp4", grey_frames([90]), "mp4v"))) == [pytest.approx(90, abs=3)]


@pytest.mark.parametrize("ending, codec, share", [("avi", "MJPG", 0.97), ("avi", "MJPG", 0.5), ("mp4", "mp4v", 0.8)])
def test_a_cut_container_is_refused(tmp_path, ending, codec, share):
    whole_file = write_video(tmp_path / f"a.{ending}", grey_frames(VALUES), codec).read_bytes()
    part = tmp_path / f"cut.{ending}"
    part.write_bytes(whole_file[: int(share * len(whole_file))])
    with pytest.raises(errors.InputError, match="cut short|cannot be opened") as caught:
        list(whole(part))
    assert ending == "mp4" or isinstance(caught.value, errors.TruncatedFileError)


def test_a_cut_stream_without_length_loses_its_damaged_frame_and_says_so(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (4, 48, 64, 3)).astype(np.uint8)
    codes = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in noise]
    for name, last, kept in (("whole", codes[3], 4), ("cut", codes[3][: len(codes[3]) // 2], 3)):
        path = tmp_path / f"{name}.mjpeg"
        path.write_bytes(b"".join(codes[:3]) + last)
        source = whole(path)
        assert len(list(source)) == len(list(source)) == kept
        assert sum("cut short" in note for note in source.notes) == 4 - kept


def test_a_size_that_changes_is_refused(tmp_path):
    jpegs = [cv2.imencode(".jpg", grey_frames([90], height, 64)[0])[1].tobytes() for height in (48, 48, 64)]
    (tmp_path / "a.mjpeg").write_bytes(b"".join(jpegs))
    with pytest.raises(errors.InputError, match="change size .64x48, 64x64."):
        whole(tmp_path / "a.mjpeg")
    sizes = ((48, 64), (80, 96))
    parts = [write_video(tmp_path / "a.mpg", grey_frames([90] * 3, *size), "MPG2").read_bytes() for size in sizes]
    (tmp_path / "b.mpg").write_bytes(b"".join(parts))
    with pytest.raises(errors.InputError, match="change size .64x48, 96x80."):
        whole(tmp_path / "b.mpg")


def packets(path):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    return [packet.tobytes() for good, packet in iter(capture.read, (False, None))]


def write_ivf(path, frames):
    """VP8 packets in the container of libvpx: a header of 32 bytes, then length, time (8 bytes) and packet."""
    content = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP80", 64, 48, 10, 1, len(frames), 0)
    for time, frame in enumerate(frames):
        content += struct.pack("<IQ", len(frame), time) + frame
    path.write_bytes(content)
    return path


def test_a_size_that_changes_in_vp8_is_refused(tmp_path):
    # the two upper bits ask for scaling
    assert _vp8_size(bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 300 | 1 << 14, 5000 | 3 << 14)) == (300, 5000)
    sizes = ((48, 64), (80, 96))
    parts = [packets(write_video(tmp_path / "a.webm", grey_frames([90] * 3, *size), "VP80")) for size in sizes]
    source = whole(write_ivf(tmp_path / "a.ivf", parts[0]))
    assert len(list(source)) == 3 and not any("cannot be seen" in note for note in source.notes)
    with pytest.raises(errors.InputError, match="change size .64x48, 96x80."):
        whole(write_ivf(tmp_path / "b.ivf", parts[0] + parts[1]))


def test_a_codec_that_hides_its_size_is_noted(tmp_path):
    assert "cannot be seen in its codec" in whole(write_video(tmp_path / "a.avi", grey_frames(VALUES), "XVID")).notes[0]


PACK = {1: b"\0\0\1\xba\x21" + bytes(7), 2: b"\0\0\1\xba\x44" + bytes(8) + b"\xfa\xff\xff"}  # 2 bytes of stuffing
END = b"\0\0\1\xb9"


def packet(code, content):
    return b"\0\0\1" + bytes([code]) + struct.pack(">H", len(content)) + content


@pytest.mark.parametrize("version", [1, 2])
def test_a_program_stream_ends_where_its_last_packet_does(tmp_path, version):
    # a start code inside of a packet is none
    parts = [PACK[version], packet(0xBB, b"header"), PACK[version], packet(0xE0, b"\0\0\1\xb9" + bytes(90)), END]
    content, ends, path = b"".join(parts), set(itertools.accumulate(map(len, parts))), tmp_path / "a.mpg"
    for length in range(4, len(content) + 1):
        path.write_bytes(content[:length])
        if length in ends:
            _check_length(path, "a")
            predict.check_whole(path)
        else:
            with pytest.raises(errors.TruncatedFileError, match=f"it has {length} bytes, its container announces"):
                _check_length(path, "a")
            with pytest.raises(predict.Unusable, match=f"it has {length} bytes, its container announces"):
                predict.check_whole(path)
    path.write_bytes(content + bytes(5))  # what follows the last packet and starts none has no length
    _check_length(path, "a")
    predict.check_whole(path)


def test_a_cut_program_stream_is_refused(tmp_path):
    content = write_video(tmp_path / "a.mpg", grey_frames(VALUES), "MPG2").read_bytes()
    assert len(list(whole(tmp_path / "a.mpg"))) == len(VALUES)
    (tmp_path / "cut.mpg").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(errors.TruncatedFileError, match="cut short"):
        whole(tmp_path / "cut.mpg")


def test_the_rate_that_a_recording_tells(tmp_path):
    assert whole(write_video(tmp_path / "a.avi", grey_frames(VALUES))).frames_per_second == 10
    cv2.imwrite(str(tmp_path / "0.png"), grey_frames([1])[0])
    assert whole(tmp_path).frames_per_second is None
    rates = [
        ({"FrameTime": "40"}, 25),
        ({"FrameTime": "40", "CineRate": "30"}, 25),
        ({"CineRate": "30"}, 30),
        ({}, None),
    ]
    rates += [({"FrameTime": "0", "CineRate": "30"}, 30), ({"FrameTime": "0.001"}, None), ({"CineRate": "-3"}, None)]
    for tags, rate in rates:
        assert whole(write_us(tmp_path / "a.dcm", grey_frames(VALUES), **tags)).frames_per_second == rate


@pytest.mark.parametrize("content", [b"", b"no video at all" * 50])
def test_what_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(errors.InputError, match="cannot be opened as a video"):
        whole(tmp_path / "a.mp4")
    with pytest.raises(errors.InputError, match="no such file"):
        whole(tmp_path / "nothing.mp4")


def test_a_folder_is_read_in_numeric_order(tmp_path):
    for number, value in ((10, 200), (2, 120), (1, 40)):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), np.full((8, 6, 3), (0, 0, value), np.uint8))
    (tmp_path / "readme.txt").write_text("no image")
    read = np.stack(list(whole(tmp_path)))
    assert read[:, 0, 0].tolist() == [[40, 0, 0], [120, 0, 0], [200, 0, 0]]
    assert sorted(["1²3.png", "1²2.png", "02.png"], key=numeric_order) == ["1²2.png", "1²3.png", "02.png"]
    names = ["b1", "a10b2", "a10b11", "a2", "a", "10", "9"]
    assert sorted(names, key=numeric_order) == ["9", "10", "a", "a2", "a10b2", "a10b11", "b1"]


@pytest.mark.parametrize(
    "names, numbers",
    [
        (["frame_0012.png", "frame_0018.png", "frame_0030.png"], [12, 18, 30]),
        (["1.PNG", "2.jpg"], [1, 2]),
        (["p07 f1.png", "p07 f2.png"], [1, 2]),  # one number alone varies
        (["s1_f001.png", "s2_f002.png", "s2_f010.png"], [1, 2, 10]),  # or the last one rises
        (["f0001_t00033.png", "f0002_t00066.png", "f0004_t00132.png"], [1, 2, 4]),  # a counter beside a time
        (["s1_f11.png", "s2_f12.png"], [11, 12]),
        (["s1_f002.png", "s2_f001.png"], None),
        (["a.png", "b.png"], None),
        (["f1.png", "g2.png"], None),
        (["f1.png", "f01.png"], None),
        (["f7.png"], [7]),
        (["p7f1.png"], None),
        (["f.png"], None),
    ],
)
def test_the_numbers_of_a_folders_files(tmp_path, names, numbers):
    assert file_numbers(sorted(names, key=numeric_order)) == numbers
    for name in names:
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 6, 3), np.uint8))
    source = whole(tmp_path)
    assert [number for number, _ in source.numbered()] == (numbers or list(range(len(names))))
    assert any("do not number them" in note for note in source.notes) == (numbers is None and len(names) > 1)


def turn_video(path, a, b, c, d):
    """Write a display matrix into the header of the one track of an MP4 (ISO/IEC 14496-12 8.3.2)."""
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd") + 4
    place += 52 if content[place] == 1 else 40
    content[place : place + 36] = struct.pack(">9i", *(65536 * one for one in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "matrix, shown, note",
    [
        ((1, 0, 0, 1), lambda frame: frame, ""),
        ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1), "turned by 90 degrees clockwise"),
        ((-1, 0, 0, -1), lambda frame: np.rot90(frame, 2), "turned by 180 degrees"),
        ((0, -1, 1, 0), np.rot90, "turned by 270 degrees clockwise"),
        ((-1, 0, 0, 1), lambda frame: frame[:, ::-1], "mirrored top to bottom and turned by 180 degrees"),
        ((1, 0, 0, -1), lambda frame: frame[::-1], "mirrored"),
        ((0, 1, 1, 0), lambda frame: frame.transpose(1, 0, 2), "mirrored top to bottom and turned by 90 degrees"),
    ],
)
def test_a_video_is_turned_as_players_show_it(tmp_path, matrix, shown, note):
    frame = np.full((48, 64, 3), 30, np.uint8)
    frame[8:20, 4:30] = 220
    path = write_video(tmp_path / "a.mp4", np.stack([frame] * 3), "mp4v")
    turn_video(path, *matrix)
    source, wanted = whole(path), shown(frame)
    read = np.stack(list(source))
    assert (source.height, source.width) == wanted.shape[:2] and read.shape == (3, *wanted.shape)
    assert np.abs(read.astype(int) - wanted).mean() < 4
    assert (note in source.notes[0]) if note else not any("header" in one for one in source.notes)
    part = next(iter(read_frames(path, region=(4, 2, 44, 40))))
    assert np.array_equal(part, read[0, 2:40, 4:44])


def test_an_odd_angle_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", grey_frames(VALUES), "mp4v")
    content = path.read_bytes()
    turn_video(path, 1, 0, 0, 1)
    assert path.read_bytes() == content  # the writer's own matrix
    place = content.find(b"tkhd") + 4 + 40
    half = struct.pack(">9i", 56756, 32768, 0, -32768, 56756, 0, 0, 0, 1 << 30)
    path.write_bytes(content[:place] + half + content[place + 36 :])
    with pytest.raises(errors.InputError, match="turns it by 30 degrees"):
        whole(path)


@pytest.mark.parametrize("first, count, step", [(3, 5, 20), (0, 5, 20), (2, 4, 20), (3, 5, 1)])
def test_a_video_that_was_trimmed_by_an_edit_list_is_whole(tmp_path, first, count, step):
    values = [20 + step * place for place in range(8)]  # of small steps frames are coded by those before them
    path = write_video(tmp_path / "a.mp4", grey_frames(values), "mp4v")
    content = bytearray(path.read_bytes())
    scales = [content.find(kind) + 16 for kind in (b"mvhd", b"mdhd")]
    movie, media = (struct.unpack(">I", content[place : place + 4])[0] for place in scales)
    place = content.find(b"elst") + 12
    content[place : place + 8] = struct.pack(">Ii", movie * count // 10, media * first // 10)  # 10 frames a second
    path.write_bytes(content)
    source = whole(path)
    read = [frame.mean() for frame in source]
    assert np.abs(np.array(read) - values[first : first + count]).max() < 6
    assert f"its edit list shows {count} of 8 coded frames, which are all that count" in source.notes
    assert not any("left out" in note for note in source.notes)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif"])
def test_one_image_is_a_recording_of_one_frame(tmp_path, ending):
    path = tmp_path / f"one.{ending}"
    cv2.imwrite(str(path), np.full((8, 6, 3), (10, 120, 200), np.uint8))
    source = whole(path)
    (frame,) = source
    assert source.kind == "image" and frame.shape == (8, 6, 3)
    assert np.abs(frame.astype(int) - (200, 120, 10)).max() <= 3
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(errors.InputError, match="cut short|no image"):
        whole(path)


def test_an_image_is_turned_as_its_exif_tag_says(tmp_path):
    frame = np.full((16, 32, 3), 30, np.uint8)
    frame[:8, :8] = 220
    code = cv2.imencode(".jpg", frame)[1].tobytes()
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    (tmp_path / "a.jpg").write_bytes(code[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(tag)) + tag + code[2:])
    (read,) = whole(tmp_path / "a.jpg")
    assert np.abs(read.astype(int) - np.rot90(frame, -1)).max() < 20  # 6: to be turned clockwise


def test_the_end_of_an_image_is_told_from_what_lies_behind_it_and_from_that_of_its_preview(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for ending in ("jpg", "png"):
        code = cv2.imencode(f".{ending}", noise)[1].tobytes()
        (tmp_path / f"a.{ending}").write_bytes(code + b"SEFT" + bytes(500))  # as phones write it
        assert len(list(whole(tmp_path / f"a.{ending}"))) == 1
    preview = b"Exif\0\0" + cv2.imencode(".jpg", noise[:8, :8])[1].tobytes()
    code = cv2.imencode(".jpg", noise)[1].tobytes()
    code = code[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(preview)) + preview + code[2:]
    (tmp_path / "a.jpg").write_bytes(code)
    assert len(list(whole(tmp_path / "a.jpg"))) == 1
    for length in (4, len(preview) + 10, len(code) - 2):
        (tmp_path / "a.jpg").write_bytes(code[:length])
        with pytest.raises(errors.TruncatedFileError, match="cut short"):
            whole(tmp_path / "a.jpg")


def test_pages_of_a_tiff_are_not_passed_over(tmp_path):
    cv2.imwritemulti(str(tmp_path / "a.tif"), [np.zeros((8, 6), np.uint8)] * 2)
    with pytest.raises(errors.InputError, match="several pages"):
        whole(tmp_path / "a.tif")


def test_a_folder_with_a_damaged_image_or_another_size(tmp_path):
    for number, height in ((1, 8), (2, 9)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((height, 6, 3), np.uint8))
    with pytest.raises(errors.InputError, match="frame 2 has 6x9 pixels, the first 6x8"):
        list(whole(tmp_path))
    code = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))[1].tobytes()
    bomb = bytearray(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes())
    bomb[16:24] = struct.pack(">II", 60000, 60000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    cut = (code[: len(code) // 2], errors.TruncatedFileError, "cut short")
    too_large = (bytes(bomb), errors.InputError, "too many pixels|no image")
    for content, error, message in (cut, (b"text", errors.InputError, "no image"), too_large):
        (tmp_path / "1.png").write_bytes(content)
        with pytest.raises(error, match=message):
            whole(tmp_path)
