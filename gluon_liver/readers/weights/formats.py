"""Files of trained weights of several frameworks as named arrays. Nothing in a file is run.

The format is told by the content, so the name of the file does not matter.
"""

from __future__ import annotations

import math
import pickle
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict, Union

import numpy as np
import safetensors

from gluon_liver.errors import InputError, why
from gluon_liver.structures.arrays import Array

from .params_check import check_params
from .torch_save import LEGACY_MAGIC, from_bfloat16, pickles_of, read_legacy, read_zip

MXNET_MAGIC = struct.pack("<QQ", 0x112, 0)  # src/ndarray/ndarray.cc: kMXAPINDArrayListMagic, reserved
MXNET_NP_ARRAY = struct.pack("<I", 0xF993FACA)  # NDARRAY_V3_MAGIC: saved in NumPy mode
NPZ_LIMIT = 16 * 2**30  # bytes unpacked; large ResNets are below 1 GB
LITTLE, EXPANSION = 2**26, 100  # bytes that any archive may unpack to; beyond it so many times its own size
SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
PARALLEL = "module."
# what zipfile, pickle and NumPy raise on damaged or forged content
DAMAGE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError, SyntaxError, TypeError),
    *(ValueError, pickle.UnpicklingError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
FORMATS = "MXNet .params, .npz, .safetensors, or torch.save's .pth/.pt/.bin"


def read_weights(path: Union[str, Path]) -> Dict[str, Array]:
    """Arrays of a weight file by name, float32, C-contiguous, in the order of the file.

    Read are MXNet's ``.params`` (``arg:`` and ``aux:`` are taken off), ``.npz``, ``.safetensors``, and both layouts
    of ``torch.save`` (see :mod:`.torch_save`), where the state dict may lie under a key such as
    ``state_dict`` or ``model``. ``module.`` before every name (PyTorch's data parallel) is taken off. Arrays that are
    not floating point, such as ``num_batches_tracked``, are left out.

    Raises :class:`InputError`, naming the file and what was found, when it cannot be read, is damaged or cut, asks
    for anything but tensors, or holds no floating-point array.
    """
    try:
        arrays = _read(Path(path))
    except InputError as error:
        raise InputError(f"{path} cannot be read as weights: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {why(error)}") from error
    floats = {name: array for name, array in arrays.items() if np.issubdtype(array.dtype, np.floating)}
    if not floats:
        raise InputError(f"{path} holds {len(arrays)} arrays, none of them floating point: weights are expected")
    if all(name.startswith(PARALLEL) for name in floats):
        floats = {name[len(PARALLEL) :]: array for name, array in floats.items()}
    # always a copy: the arrays may be views of one large buffer
    return {name: np.array(array, dtype=np.float32, order="C") for name, array in floats.items()}


def check_file(path: Union[str, Path]) -> None:
    """Raise as :func:`read_weights` does. Of MXNet's ``.params`` the layout alone is looked at: without MXNet."""
    try:
        if _head(Path(path)).startswith(MXNET_MAGIC):
            check_params(Path(path))
            return
    except (InputError, OSError):  # read_weights says it, and no MXNet is needed to
        pass
    read_weights(path)


def read_metadata(path: Union[str, Path]) -> Dict[str, str]:
    """The metadata of a ``.safetensors`` file; nothing of files of other formats.

    Raises :class:`InputError` for a file that cannot be read or is damaged.
    """
    try:
        if _head(Path(path))[8:9] != b"{":
            return {}
        with safetensors.safe_open(str(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} cannot be read as weights: safetensors finds it damaged ({error})") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {why(error)}") from error


def read_module_params(path: Union[str, Path]) -> Dict[str, Array]:
    """Arrays of a Module checkpoint's ``.params``, by names that begin with ``arg:`` or ``aux:``, float32.

    Raises :class:`InputError` that names the file and what was found, when it is no such file, is damaged or cut, was
    saved in NumPy mode, or holds arrays that are sparse or of another type.
    """
    path = Path(path)
    head = _head(path)
    if not head.startswith(MXNET_MAGIC):
        raise InputError(f"{path} is no parameter file of MXNet: it begins with {head[:16]!r}")
    if head[24:28] == MXNET_NP_ARRAY:
        remedy = "load it under mxnet.util.np_shape(True) and save it again without"
        raise InputError(f"{path} was saved in NumPy mode, which MXNet 1.0 cannot read: {remedy}")
    try:
        arrays = _load_params(path, np_mode=False)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    for name, array in arrays.items():
        if not name.startswith(("arg:", "aux:")):
            why = "so no Module saved it; Gluon's save_parameters writes such files"
            raise InputError(f"{path}: {name!r} begins with neither arg: nor aux:, {why}")
        if array.stype != "default" or array.dtype != np.float32:
            raise InputError(f"{path}: {name} is {array.stype}, {np.dtype(array.dtype).name}; dense float32 is wanted")
    return {name: array.asnumpy() for name, array in arrays.items()}


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(32)


def _read(path: Path) -> Dict[str, Array]:
    head = _head(path)
    try:
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        if head.startswith(LEGACY_MAGIC):
            return read_legacy(path.read_bytes())
    except DAMAGE as error:
        raise InputError(f"it is damaged or forged ({type(error).__name__}: {error})") from error
    if head.startswith(MXNET_MAGIC):
        params = _load_params(path, np_mode=head[24:28] == MXNET_NP_ARRAY).items()
        return {(name[4:] if name.startswith(("arg:", "aux:")) else name): array.asnumpy() for name, array in params}
    if head[8:9] == b"{":
        return _read_safetensors(path)
    if head.startswith(b"PK\x03\x04"):
        raise InputError("it is a zip archive (.npz, .pth) that was cut: the directory at its end is missing")
    raise InputError(f"it begins with {head[:16]!r}, which none of {FORMATS} does")


def _read_archive(path: Path) -> Dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        pickles = pickles_of(archive)
        if len(pickles) == 1:
            return read_zip(archive, file_bytes=path.stat().st_size)
        entries = archive.infolist()
    others = [entry.filename for entry in entries if not entry.filename.endswith(".npy")]
    if others or not entries:
        raise InputError(f"the zip archive holds {(others or ['nothing'])[0]}, neither torch.save's data.pkl nor .npy")
    unpacked, own = sum(entry.file_size for entry in entries), path.stat().st_size
    if unpacked > min(NPZ_LIMIT, max(LITTLE, EXPANSION * own)):
        raise InputError(f"it unpacks to {unpacked} bytes, far more than its {own} hold of weights")
    _check_npy_headers(path)
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    broken = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]  # NumPy gives bytes then
    if broken:
        raise InputError(f"its entry {broken[0]}.npy is not an array")
    return arrays


def _check_npy_headers(path: Path) -> None:
    """Raise :class:`InputError` where an array of an .npz announces more than there is: NumPy makes room first."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as stream:
                if stream.read(6) != b"\x93NUMPY":
                    continue  # told when it is read
                version = tuple(stream.read(2))
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                try:
                    shape, _, kind = read(stream)
                except DAMAGE as error:
                    raise InputError(f"the header of its entry {entry.filename} is damaged") from error
                if math.prod(shape) * kind.itemsize > entry.file_size:
                    says = f"{entry.filename} announces {shape[:8]} numbers of {kind.itemsize} bytes"
                    raise InputError(f"its entry {says} in {entry.file_size} bytes")


def _load_params(path: Path, *, np_mode: bool) -> Dict[str, Any]:
    """NDArrays by the names of the file."""
    check_params(path)
    import mxnet as mx  # here, because nothing else in this room needs it

    try:
        with mx.util.np_shape(np_mode):
            arrays = mx.nd.load(str(path))
    except (mx.MXNetError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"MXNet finds it damaged or cut ({str(error).strip().splitlines()[-1]})") from error
    if not isinstance(arrays, dict):
        raise InputError(f"it holds {len(arrays)} arrays without names")
    return arrays


def _read_safetensors(path: Path) -> Dict[str, Array]:
    try:
        tensors = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise InputError(f"safetensors finds it damaged ({error})") from error
    arrays = {}
    for name, tensor in tensors:
        if tensor["dtype"] in SAFETENSORS:
            array = np.frombuffer(tensor["data"], SAFETENSORS[tensor["dtype"]]).reshape(tensor["shape"])
            arrays[name] = from_bfloat16(array) if tensor["dtype"] == "BF16" else array
    if not arrays:
        kinds = sorted({tensor["dtype"] for _, tensor in tensors})
        raise InputError(f"its arrays are of {', '.join(kinds) or 'no'} kind; {', '.join(SAFETENSORS)} are read")
    return arrays
