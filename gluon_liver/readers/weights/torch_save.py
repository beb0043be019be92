"""Tensors out of files of PyTorch's ``torch.save``, without PyTorch and without running what the file asks for.

Both layouts keep a pickle that names the tensors and the raw numbers of their storages beside it: a zip archive
(PyTorch 1.6 and later: ``data.pkl``, ``data/<key>``) or one stream of pickles with the storages at its end (before).
A pickle is a program. Here it may build containers and describe tensors; every other name in it is an error, and what
it describes is checked against the bytes that are there before an array is made.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from typing import Any, BinaryIO, Callable, Dict, Mapping, NamedTuple, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.structures.arrays import Array

# torch/serialization.py: the first pickle of the old layout holds this number, the second the protocol version
LEGACY_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
LEGACY_PROTOCOL = 1001

# What a storage class of the pickle means. bfloat16 is the upper half of a float32, which NumPy does not know.
_KINDS = dict(Double="<f8", Float="<f4", Half="<f2", BFloat16="bfloat16", Long="<i8", Int="<i4", Short="<i2")
STORAGES = {f"{name}Storage": kind for name, kind in {**_KINDS, "Char": "i1", "Byte": "u1", "Bool": "?"}.items()}
# Whatever calls or makes something gets it from TensorUnpickler.find_class. Left out are opcodes that protocols 2 to 4
# do not write, and those that size memory by a number in the file.
OPCODES = frozenset(
    "PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE "
    "SHORT_BINUNICODE BINSTRING SHORT_BINSTRING EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS EMPTY_SET "
    "ADDITEMS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL "
    "STACK_GLOBAL REDUCE NEWOBJ BUILD BINPERSID".split()
)
WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net")  # keys under which training code keeps weights
EXPANSION = 6
REMEDY = "in PyTorch, write the weights alone: torch.save(model.state_dict(), FILE)"


class Storage(NamedTuple):
    """A run of numbers in the file: its key, one of the values of STORAGES, and how many are announced."""

    key: str
    kind: str
    numbers: int


class Tensor(NamedTuple):
    """A strided view of a storage; offset and strides count numbers."""

    storage: Storage
    offset: int
    size: Tuple[int, ...]
    stride: Tuple[int, ...]


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that knows ordered dictionaries, sizes and descriptions of tensors, and nothing else.

    ``storages`` are those that it met, by key.
    """

    def __init__(self, content: bytes):
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.storages: Dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in STORAGES:
            return STORAGES[name]
        # new lambdas each time: a pickle may set attributes on what it gets, and these shall die with it
        known = {
            "collections.OrderedDict": OrderedDict,
            "torch.Size": tuple,
            "torch._utils._rebuild_tensor": lambda *parts: describe(*parts),
            "torch._utils._rebuild_tensor_v2": lambda *parts: describe(*parts),
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
        }
        if f"{module}.{name}" not in known:
            raise InputError(f"the file asks for {module}.{name}; only tensors are read: {REMEDY}")
        return known[f"{module}.{name}"]

    def persistent_load(self, identity: Any) -> Storage:
        tag, kind, key, _, count, *view = identity
        if tag != "storage" or kind not in STORAGES.values() or not isinstance(key, str) or view not in ([], [None]):
            raise InputError(f"a storage is described as torch.save no longer does; {REMEDY}")
        storage = Storage(key, kind, *whole((count,)))
        if self.storages.setdefault(key, storage) != storage:
            raise InputError(f"the storage {key} is described twice, differently")
        return storage


def describe(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """Stands for ``_rebuild_tensor(_v2)``; what follows the stride (gradients, hooks) is not wanted."""
    if not isinstance(storage, Storage):
        raise InputError("a tensor is described without a storage")
    return Tensor(storage, whole((offset,))[0], whole(size), whole(stride))


def whole(values: Any) -> Tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(value) is int and value >= 0 for value in values):
        raise InputError("a tensor has a size that is not made of whole numbers from 0 up")
    return values


def read_pickle(stream: BinaryIO) -> Tuple[Any, Dict[str, Storage]]:
    """The next pickle of a stream, which is left after it, and the storages that it names, by key."""
    begin = stream.tell()
    puts, largest = 0, 0
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name not in OPCODES:
            raise InputError(f"its pickle has the opcode {opcode.name}; only tensors are read: {REMEDY}")
        if opcode.name.endswith("BINPUT"):
            puts, largest = puts + 1, max(largest, int(argument or 0))
    if largest > puts:  # the unpickler keeps an array as long as the largest index
        raise InputError("its pickle numbers its parts as torch.save never does")
    end = stream.tell()
    stream.seek(begin)
    unpickler = TensorUnpickler(stream.read(end - begin))
    return unpickler.load(), unpickler.storages


def read_zip(archive: zipfile.ZipFile, *, file_bytes: int) -> Dict[str, Array]:
    """Tensors of an open zip archive of ``torch.save``, by name. Raises :class:`InputError`, or ``BadZipFile``."""
    (name,) = pickles_of(archive)
    root = name[: -len("data.pkl")]
    entries = {entry.filename: entry for entry in archive.infolist()}

    def content(path: str) -> bytes:
        if path not in entries:
            raise InputError(f"its entry {path} is missing")
        if entries[path].compress_type != zipfile.ZIP_STORED:  # torch.save never compresses; a small file stays small
            raise InputError(f"its entry {path} is compressed, which torch.save never does")
        return archive.read(path)

    if root + "byteorder" in entries and content(root + "byteorder") != b"little":
        raise InputError("its numbers are big-endian: save it on a little-endian machine")
    tree, _ = read_pickle(io.BytesIO(content(name)))
    return arrays(tree, lambda key: memoryview(content(f"{root}data/{key}")), file_bytes=file_bytes)


def pickles_of(archive: zipfile.ZipFile) -> Tuple[str, ...]:
    """Entries that make a zip archive one of ``torch.save``: ``<root>/data.pkl``."""
    return tuple(name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1)


def read_legacy(content: bytes) -> Dict[str, Array]:
    """Tensors of a file in the layout before PyTorch 1.6, by name.

    Raises :class:`InputError`, or ``ValueError`` when it is cut.
    """
    stream = io.BytesIO(content)
    stream.seek(len(LEGACY_MAGIC))
    (protocol, _), (system, _) = read_pickle(stream), read_pickle(stream)
    if protocol != LEGACY_PROTOCOL or not isinstance(system, dict) or not system.get("little_endian"):
        raise InputError(f"its protocol is {protocol!r}, its system {system!r}; 1001 and little_endian are read")
    (tree, described), (keys, _) = read_pickle(stream), read_pickle(stream)
    raw: Dict[str, memoryview] = {}
    for key in keys:
        if key not in described:
            raise InputError(f"it holds a storage {key!r} that no tensor uses")
        (count,) = struct.unpack("<q", stream.read(8))
        begin, size = stream.tell(), count * item_size(described[key].kind)
        if not 0 <= size <= len(content) - begin:
            raise InputError(f"its storage {key} announces {count} numbers, more than the file still holds: it is cut")
        raw[key] = memoryview(content)[begin : begin + size]
        stream.seek(begin + size)
    return arrays(tree, raw.__getitem__, file_bytes=len(content))


def item_size(kind: str) -> int:
    return 2 if kind == "bfloat16" else np.dtype(kind).itemsize


def arrays(tree: Any, raw: Callable[[str], memoryview], *, file_bytes: int) -> Dict[str, Array]:
    """The named tensors of a state dict as arrays; bfloat16 becomes float32, other kinds stay.

    A tensor may not be larger than its storage, nor may all storages and tensors together be more than EXPANSION
    times the file: views shared by several names are common, but a few bytes must not become gigabytes.
    """
    cache: Dict[str, memoryview] = {}
    result, total = {}, 0
    for name, tensor in state_dict(tree).items():
        storage = tensor.storage
        if storage.key not in cache:
            cache[storage.key] = raw(storage.key)
            total += len(cache[storage.key])
        item = item_size(storage.kind)
        available = min(storage.numbers, len(cache[storage.key]) // item)
        count, same_rank = math.prod(tensor.size), len(tensor.size) == len(tensor.stride) <= 8
        last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride))
        if not same_rank or count > available or (count and last >= available):
            view = f"{name} {tensor.size} (offset {tensor.offset}, strides {tensor.stride})"
            raise InputError(f"{view} does not fit its storage of {available} numbers: the file is damaged or forged")
        total += count * item
        if total > EXPANSION * file_bytes:
            raise InputError(f"its tensors take more than {EXPANSION} times the {file_bytes} bytes of the file")
        result[name] = _view(cache[storage.key], tensor) if count else np.zeros(tensor.size, np.float32)
    return result


def state_dict(tree: Any) -> Mapping[str, Tensor]:
    """The mapping of names to tensors in what was saved, itself or under one of WRAPPERS; other entries are left out.

    Raises :class:`InputError` when there is no tensor.
    """
    for _ in range(len(WRAPPERS) + 1):
        if not isinstance(tree, dict):
            break
        named = {key: value for key, value in dict.items(tree) if isinstance(key, str) and isinstance(value, Tensor)}
        if named:
            return named
        inner = next((dict.get(tree, key) for key in WRAPPERS if isinstance(dict.get(tree, key), dict)), None)
        if inner is None:
            keys = ", ".join(str(key)[:40] for key in list(dict.keys(tree))[:5])
            raise InputError(f"it has no tensors at its top nor under {', '.join(WRAPPERS)}; its keys begin: {keys}")
        tree = inner
    raise InputError(f"it holds a {type(tree).__name__}, not a mapping of names to tensors: {REMEDY}")


def _view(raw: memoryview, tensor: Tensor) -> Array:
    kind = tensor.storage.kind
    numbers = np.frombuffer(raw[: len(raw) - len(raw) % item_size(kind)], "<u2" if kind == "bfloat16" else kind)
    strides = tuple(step * numbers.itemsize for step in tensor.stride)
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.size, strides, writeable=False)
    return from_bfloat16(view) if kind == "bfloat16" else view


def from_bfloat16(halves: Array) -> Array:
    """uint16 bit patterns of bfloat16 -> float32, exactly."""
    return (halves.astype(np.uint32) << 16).view(np.float32)
