"""The reader of .caffemodel against messages that are written here byte by byte, after caffe.proto."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.readers.weights.caffe import read_caffemodel


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    """Bytes are written length-delimited, whole numbers as varint, floats as 32 bits."""
    if isinstance(content, bytes):
        return varint(number << 3 | 2) + varint(len(content)) + content
    if isinstance(content, float):
        return varint(number << 3 | 5) + struct.pack("<f", content)
    return varint(number << 3) + varint(content)


def blob(array, *, kind="<f4"):
    """BlobProto with shape 7 and packed data 5 (float) or 8 (double)."""
    shape = field(7, field(1, b"".join(varint(n) for n in array.shape)))
    return shape + field(8 if kind == "<f8" else 5, np.asarray(array, kind).tobytes())


def layer(name, *blobs):
    """LayerParameter: name 1, type 2, bottom 3, phase 10 and a convolution_param 106 around the blobs 7."""
    head = field(1, name.encode()) + field(2, b"Convolution") + field(3, b"data") + field(10, 1)
    return field(100, head + b"".join(field(7, one) for one in blobs) + field(106, field(1, 32)))


def read(tmp_path, content):
    (tmp_path / "net.caffemodel").write_bytes(content)
    return read_caffemodel(tmp_path / "net.caffemodel")


def test_layers_blobs_and_shapes(tmp_path):
    weight = np.random.default_rng(0).normal(size=(5, 3, 2, 7)).astype(np.float32)
    bias = np.arange(5, dtype=np.float64) / 3
    content = field(1, b"a net") + layer("data") + layer("conv1", blob(weight), blob(bias, kind="<f8"))
    found = read(tmp_path, content + layer("conv2", blob(bias[:300])))
    assert list(found) == ["conv1", "conv2"] and [len(blobs) for blobs in found.values()] == [2, 1]
    assert np.array_equal(found["conv1"][0], weight) and np.allclose(found["conv1"][1], bias)
    assert all(array.dtype == np.float32 for blobs in found.values() for array in blobs)


def test_shapes_over_one_byte_and_values_written_one_by_one(tmp_path):
    long = np.arange(300, dtype=np.float32)
    single = field(7, field(1, 2) + field(1, 2)) + b"".join(field(5, value) for value in (1.0, 2.0, 3.0, 4.0))
    found = read(tmp_path, layer("a", blob(long)) + layer("b", single))
    assert np.array_equal(found["a"][0], long) and np.array_equal(found["b"][0], [[1, 2], [3, 4]])


def test_the_layers_of_old_files_with_four_sizes(tmp_path):
    """V1LayerParameter (field 2): name 4, type 5, blobs 6; num, channels, height, width; gradients (6) beside data."""
    sizes = field(1, 1) + field(2, 1) + field(3, 2) + field(4, 3)
    values = np.arange(6, dtype="<f4")
    old = field(4, b"conv1") + field(5, 4) + field(6, sizes + field(5, values.tobytes()) + field(6, values.tobytes()))
    assert np.array_equal(read(tmp_path, field(2, old))["conv1"][0], values.reshape(1, 1, 2, 3))


def test_every_cut_is_noticed_or_loses_whole_layers_only(tmp_path):
    one, two = (layer(name, blob(np.arange(6.0).reshape(2, 3))) for name in ("one", "two"))
    assert list(read(tmp_path, one)) == ["one"]
    for size in set(range(len(one + two))) - {len(one)}:
        with pytest.raises(InputError, match="cannot be read as a Caffe model"):
            read(tmp_path, (one + two)[:size])


BAD_SHAPE = field(7, field(1, varint(4))) + field(5, np.zeros(3, "<f4").tobytes())
HUGE = field(7, field(1, varint(2**40) * 2)) + field(5, np.zeros(3, "<f4").tobytes())


@pytest.mark.parametrize(
    "content, message",
    [
        (b"name: 'LiteFlowNet'\nlayer {\n", "no protobuf|cut or damaged"),
        (b"", "no layer with weights"),
        (field(1, b"a net") + layer("data"), "no layer with weights"),
        (layer("conv1", BAD_SHAPE), r"blob 0 of layer 'conv1' has the shape \(4,\) but 3 numbers"),
        (layer("conv1", HUGE), "but 3 numbers"),
        (layer("conv1", field(7, field(1, b"\x02"))), "but 0 numbers"),
        (layer("conv1", field(5, b"12345")), "no multiple of 4"),
        (layer("conv1", blob(np.ones(2))) * 2, "two layers with weights are called 'conv1'"),
        (field(100, b"\xff" * 12), "does not end"),
        (layer("conv1", field(7, field(1, b"\x01" * 40)) + field(5, 1.0)), "1, 1\\) but 1 numbers"),
        (b"\x0b" + layer("conv1", blob(np.ones(2))), "wire type 3"),
        (field(100, varint(7 << 3 | 2) + varint(2**60)), "announces"),
    ],
)
def test_damaged_and_foreign_files(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)
    with pytest.raises(InputError, match="No such file"):
        read_caffemodel(tmp_path / "missing.caffemodel")
