"""Pictures in one file: the same pixels, one by one, and damage that is noticed."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from gluon_liver.files.planes import PlaneFile, compress, write_planes


@pytest.fixture
def volume():
    rng = np.random.default_rng(0)
    volume = np.repeat(rng.integers(0, 256, (2, 3, 7, 5), dtype=np.uint8), 2, axis=-1)
    volume[1, 1] = 0
    return volume


def write(path, volume):
    with open(path, "wb") as stream:
        write_planes(stream, volume.shape, (compress(plane) for plane in volume.reshape(-1, *volume.shape[-2:])))
    return path


def test_pictures_come_back_one_by_one_and_all(tmp_path, volume):
    pictures = PlaneFile(write(tmp_path / "a.slices", volume))
    assert pictures.shape == volume.shape
    for place in itertools.product(range(2), range(3)):
        assert np.array_equal(pictures[place], volume[place]) and pictures[place].dtype == np.uint8
    assert np.array_equal(pictures, volume) and np.asarray(pictures).dtype == np.uint8
    for place in ((2, 0), (0, 3), (-1, 0)):
        with pytest.raises(IndexError):
            pictures[place]


def test_a_picture_that_is_not_contiguous(tmp_path, volume):
    turned = volume.transpose(0, 1, 3, 2)
    assert np.array_equal(PlaneFile(write(tmp_path / "a.slices", turned)), turned)


def test_grey_that_repeats_takes_little_room(tmp_path):
    assert write(tmp_path / "a", np.zeros((1, 4, 512, 512), np.uint8)).stat().st_size < 8000


def test_threads_read_one_file(tmp_path, volume):
    pictures, wrong = PlaneFile(write(tmp_path / "a", volume)), []

    def read():
        for place in 50 * list(itertools.product(range(2), range(3))):
            if not np.array_equal(pictures[place], volume[place]):
                wrong.append(place)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("count", [5, 7])
def test_another_number_of_pictures_than_the_shape_says(tmp_path, count):
    code = compress(np.zeros((7, 10), np.uint8))
    with pytest.raises(ValueError, match=f"{count} pictures"), open(tmp_path / "a", "wb") as stream:
        write_planes(stream, (2, 3, 7, 10), [code] * count)


def test_a_file_cut_short_anywhere_is_damaged(tmp_path, volume):
    whole = write(tmp_path / "a", volume).read_bytes()
    for size in (*range(0, len(whole) - 1, 13), len(whole) - 1):
        (tmp_path / "a").write_bytes(whole[:size])
        with pytest.raises(ValueError, match="is damaged"):
            PlaneFile(tmp_path / "a")
    (tmp_path / "a").write_bytes(whole + b"x")
    with pytest.raises(ValueError, match="is damaged"):
        PlaneFile(tmp_path / "a")


def test_a_byte_that_changed_anywhere_is_noticed(tmp_path, volume):
    """When the file is opened or when the picture is read; no other pixels ever come out."""
    whole = write(tmp_path / "a", volume).read_bytes()
    for place in range(len(whole)):
        (tmp_path / "a").write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            pictures = PlaneFile(tmp_path / "a")
            assert pictures.shape == volume.shape or np.array_equal(np.ravel(pictures), np.ravel(volume))
            for number in itertools.product(range(2), range(3)):
                try:
                    assert np.array_equal(pictures[number], volume[number])
                except ValueError as error:
                    assert "is damaged" in str(error)
        except ValueError as error:
            assert "is damaged" in str(error)
