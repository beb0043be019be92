"""Files as ``torch.save`` writes them, in both layouts, made without PyTorch."""

import io
import math
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np

KINDS = dict(FloatStorage="<f4", HalfStorage="<f2", BFloat16Storage="<u2", DoubleStorage="<f8", LongStorage="<i8")


class Storage:
    def __init__(self, kind, numbers, *, count=None):
        self.kind, self.raw = kind, np.asarray(numbers, KINDS[kind]).tobytes()
        self.count = len(numbers) if count is None else count
        self.key = None  # given when it is pickled


class Tensor:
    """What pickles like a torch tensor: a view of a storage."""

    def __init__(self, storage, size, *, offset=0, stride=None):
        self.storage, self.offset, self.size = storage, offset, tuple(size)
        rows_first = (math.prod(self.size[axis + 1 :]) for axis in range(len(self.size)))
        self.stride = tuple(rows_first) if stride is None else stride

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (self.storage, self.offset, self.size, self.stride, False, OrderedDict())


def tensor(array, kind="FloatStorage"):
    return Tensor(Storage(kind, np.ravel(array)), np.shape(array))


class Pickler(pickle.Pickler):
    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.storages = []

    def persistent_id(self, item):
        if not isinstance(item, Storage):
            return None
        if item not in self.storages:
            item.key = str(len(self.storages))
            self.storages.append(item)
        return "storage", getattr(sys.modules["torch"], item.kind), item.key, "cpu", item.count


def stand_in_modules():
    """``torch`` and ``torch._utils`` for sys.modules, whose names, and nothing else, are pickled."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in KINDS:
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def rebuild(*_):
        raise AssertionError("the file's own function was called")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    return {"torch": torch, "torch._utils": utils}


def save_zip(path, tree, *, compression=zipfile.ZIP_STORED, byteorder=b"little", pickled=None):
    stream = io.BytesIO()
    pickler = Pickler(stream)
    pickler.dump(tree)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", stream.getvalue() if pickled is None else pickled)
        archive.writestr("archive/byteorder", byteorder)
        for storage in pickler.storages:
            archive.writestr(f"archive/data/{storage.key}", storage.raw)
        archive.writestr("archive/version", b"3\n")


def save_legacy(path, tree, *, system=None):
    stream = io.BytesIO()
    system = {"protocol_version": 1001, "little_endian": True} if system is None else system
    for part in (0x1950A86A20F9469CFC6C, 1001, system):
        stream.write(pickle.dumps(part, protocol=2))
    pickler = Pickler(stream)
    pickler.dump(tree)
    stream.write(pickle.dumps([storage.key for storage in pickler.storages], protocol=2))
    for storage in pickler.storages:
        stream.write(struct.pack("<q", storage.count) + storage.raw)
    path.write_bytes(stream.getvalue())


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)
