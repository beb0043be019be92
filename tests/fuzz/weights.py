"""Files of weights: .npz, .safetensors, torch.save, Caffe, MXNet."""

import io
import json
import struct
import sys
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from unittest import mock

import numpy as np
import safetensors.numpy

from gluon_liver.readers.weights.caffe import read_caffemodel
from gluon_liver.readers.weights.formats import read_module_params, read_weights
from tests.readers.torch_writer import save_legacy, save_zip, stand_in_modules, tensor

from .harness import Target
from .recipe import WHOLE, change_bytes, change_tree

_ARRAYS = {"arg:a_weight": np.arange(12, dtype=np.float32).reshape(3, 4), "aux:b_mean": np.ones(3, np.float32)}


@lru_cache(maxsize=None)
def params():
    import mxnet as mx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.params")
        mx.nd.save(str(path), {name: mx.nd.array(array) for name, array in _ARRAYS.items()})
        return path.read_bytes()


def _npz():
    stream = io.BytesIO()
    np.savez_compressed(stream, **_ARRAYS)
    return stream.getvalue()


@lru_cache(maxsize=None)
def _torch(save):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.pth")
        with mock.patch.dict(sys.modules, stand_in_modules()):
            save(path, {"a": tensor(_ARRAYS["arg:a_weight"]), "b": tensor(_ARRAYS["aux:b_mean"])})
        return path.read_bytes()


def _in_zip(recipe, content):
    """An archive of which one entry is changed."""
    source, target = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    chosen = recipe.below(len(source.infolist()))
    with zipfile.ZipFile(target, "w", recipe.of((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for place, entry in enumerate(source.infolist()):
            data = source.read(entry)
            archive.writestr(entry.filename, change_bytes(recipe, data) if place == chosen else data)
    return target.getvalue()


def _safetensors(recipe):
    content = safetensors.numpy.save(_ARRAYS)
    (size,) = struct.unpack("<Q", content[:8])
    head = json.dumps(change_tree(recipe, json.loads(content[8 : 8 + size]))).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(head)) + head + content[8 + size :]


def _build(recipe):
    how = recipe.below(6)
    if how < 2:
        return _in_zip(recipe, (_npz(), _torch(save_zip))[how])
    if how == 2:
        return _safetensors(recipe)
    return change_bytes(
        recipe, recipe.of((_npz(), _torch(save_zip), _torch(save_legacy), safetensors.numpy.save(_ARRAYS)))
    )


def _build_params(recipe):
    content = bytearray(params())
    if recipe.below(2):
        return change_bytes(recipe, content)
    for _ in range(1 + recipe.below(3)):  # the file consists of words of four bytes
        place = 4 * recipe.below(len(content) // 4)
        content[place : place + 4] = struct.pack("<I", recipe.of(WHOLE) % 2**32)
    return bytes(content)


def _message(number, value):
    """A field of protobuf that holds bytes."""
    return bytes([number << 3 & 0x7F | 0x80 | 2, number >> 4]) + bytes([len(value)]) + value


def _caffe():
    blob = bytes([7 << 3 | 2, 4, 1 << 3 | 2, 2, 3, 4, 5 << 3 | 2, 48]) + np.arange(12, dtype="<f4").tobytes()
    layer = bytes([1 << 3 | 2, 4]) + b"conv" + bytes([7 << 3 | 2, len(blob)]) + blob
    return _message(100, layer)


def _reads(*readers):
    def read(content, folder):
        path = folder / "a.weights"
        path.write_bytes(content)
        for reader in readers:
            reader(path)

    return read


TARGETS = [
    Target("weights", _build, _reads(read_weights)),
    Target("params", _build_params, _reads(read_weights, read_module_params)),
    Target("caffe", lambda recipe: change_bytes(recipe, _caffe()), _reads(read_caffemodel)),
]
