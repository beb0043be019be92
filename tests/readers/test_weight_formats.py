"""Weight files of every format; those of torch.save have tests of their own."""

import contextlib
import io
import json
import random
import struct
import zipfile

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.readers.weights.formats import read_weights

from .torch_writer import Bomb

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 8


def save_safetensors(path, entries):
    """entries: name -> (dtype, array); the layout of the format's specification."""
    header, raw = {"__metadata__": {"format": "pt"}}, b""
    for name, (kind, array) in entries.items():
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(raw), len(raw) + array.nbytes]}
        raw += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw)


def refused(path):
    with pytest.raises(InputError) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def with_a_wrong_byte(content, times, *, within=None):
    """Copies of ``content`` with one byte, of the first ``within``, set at random."""
    rng = random.Random(0)
    for _ in range(times):
        broken = bytearray(content)
        broken[rng.randrange(within or len(broken))] = rng.randrange(256)
        yield bytes(broken)


def test_npz(tmp_path):
    np.savez_compressed(tmp_path / "w.npz", **{"module.a": VALUES.astype(np.float64), "module.n": np.arange(3)})
    found = read_weights(tmp_path / "w.npz")
    assert list(found) == ["a"]
    np.testing.assert_array_equal(found["a"], VALUES)
    content = (tmp_path / "w.npz").read_bytes()
    for end in (-30, len(content) // 2):
        (tmp_path / "w.npz").write_bytes(content[:end])
        assert "zip archive (.npz, .pth) that was cut" in refused(tmp_path / "w.npz")


def test_nothing_of_an_npz_runs(tmp_path):
    np.savez(tmp_path / "w.npz", a=VALUES, b=np.array([Bomb(tmp_path / "ran")], object))
    assert "allow_pickle=False" in refused(tmp_path / "w.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # of Python, which parses the header
def test_damaged_npz_headers(tmp_path):
    stream = io.BytesIO()
    np.save(stream, VALUES)
    for broken in with_a_wrong_byte(stream.getvalue(), 300, within=128):
        with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
            archive.writestr("a.npy", broken)
        with contextlib.suppress(InputError):
            read_weights(tmp_path / "w.npz")


def test_safetensors(tmp_path):
    path, whole_numbers = tmp_path / "w.safetensors", ("I64", np.array([3]))
    kinds = {"F32": VALUES, "BF16": (VALUES.view(np.uint32) >> 16).astype(np.uint16)}
    kinds.update(F16=VALUES.astype(np.float16), F64=VALUES.astype(np.float64))
    save_safetensors(path, {**{kind: (kind, array) for kind, array in kinds.items()}, "n": whole_numbers})
    found = read_weights(path)
    assert set(found) == set(kinds)
    for value in found.values():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, VALUES)
    path.write_bytes(path.read_bytes()[:-1])
    assert "safetensors finds it damaged" in refused(path)
    save_safetensors(path, {"n": whole_numbers})
    assert "I64" in refused(path)


def test_params(tmp_path):
    path = str(tmp_path / "w.params")
    mx.nd.save(path, {"arg:a": mx.nd.array(VALUES), "aux:b": mx.nd.ones((2,), dtype="float16"), "c": mx.nd.ones((1,))})
    found = read_weights(path)
    assert sorted(found) == ["a", "b", "c"] and all(value.dtype == np.float32 for value in found.values())
    np.testing.assert_array_equal(found["a"], VALUES)
    content = (tmp_path / "w.params").read_bytes()
    for end in range(16, len(content) - 1, 9):
        (tmp_path / "w.params").write_bytes(content[:end])
        refused(path)
    mx.nd.save(path, [mx.nd.ones((2,))])
    assert "without names" in refused(path)


def test_params_of_numpy_mode(tmp_path):
    path = tmp_path / "w.params"
    with mx.util.np_shape(True):
        mx.nd.save(str(path), {"a": mx.nd.array(VALUES)})
    assert path.read_bytes()[24:28] == b"\xca\xfa\x93\xf9"
    np.testing.assert_array_equal(read_weights(path)["a"], VALUES)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1", b"\x89HDF\r\n\x1a\n" * 8])
def test_other_content_is_named(content, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    assert repr(content[:16]) in refused(tmp_path / "w.pth")


def test_files_that_are_not_there(tmp_path):
    assert "No such file" in refused(tmp_path / "none.pth")
    refused(tmp_path)
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "readme.txt" in refused(tmp_path / "w.zip")
