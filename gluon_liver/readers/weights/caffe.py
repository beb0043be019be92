"""Weights out of Caffe's binary ``.caffemodel``, without Caffe and without the protobuf library.

The file is one protobuf message, NetParameter. Field numbers are those of caffe.proto (BVLC Caffe 1.0 and the fork of
FlowNet and LiteFlowNet): ``layer`` = 100 with name 1 and blobs 7, or before 2014 ``layers`` = 2 with name 4 and
blobs 6; a blob has shape 7, or num, channels, height and width 1 to 4, and data 5 (float) or 8 (double).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple, Union

import numpy as np

from gluon_liver.errors import InputError, why
from gluon_liver.structures.arrays import Array

LAYERS = {100: (1, 7), 2: (4, 6)}  # field of the net -> the layer's fields name and blobs
SHAPE, DIMENSION = 7, 1
LEGACY_SHAPE = (1, 2, 3, 4)
DATA = {5: "<f4", 8: "<f8"}
MOST_DIMENSIONS = 8  # Caffe's own blobs have four
VARINT, LENGTH = 0, 2
FIXED = {1: 8, 5: 4}  # wire type -> bytes


def read_caffemodel(path: Union[str, Path]) -> Dict[str, List[Array]]:
    """The blobs of each layer that has any, float32, by the layer's name in the order of the file.

    Shapes are the file's: a bias is (N,), or (1, 1, 1, N) in old files. Gradients in the file are left out.

    Raises :class:`InputError`, naming the file and what was found, when it cannot be read, is damaged or cut, or is
    no Caffe model.
    """
    try:
        return _net(memoryview(Path(path).read_bytes()))
    except InputError as error:
        raise InputError(f"{path} cannot be read as a Caffe model: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {why(error)}") from error


def _net(message: memoryview) -> Dict[str, List[Array]]:
    layers: Dict[str, List[Array]] = {}
    for number, wire, value in _fields(message):
        name, blobs = _layer(value, *LAYERS[number]) if number in LAYERS and wire == LENGTH else ("", [])
        if blobs and name in layers:
            raise InputError(f"two layers with weights are called {name!r}")
        if blobs:
            layers[name] = blobs
    if not layers:
        raise InputError("it has no layer with weights; a trained .caffemodel is wanted, not a prototxt")
    return layers


def _layer(message: memoryview, name_field: int, blobs_field: int) -> Tuple[str, List[Array]]:
    name, blobs = "", []
    for number, wire, value in _fields(message):
        if number == name_field and wire == LENGTH:
            name = bytes(value).decode("utf-8", "replace")
        elif number == blobs_field and wire == LENGTH:
            blobs.append(value)
    return name, [_blob(blob, f"blob {place} of layer {name!r}") for place, blob in enumerate(blobs)]


def _blob(message: memoryview, what: str) -> Array:
    shape: List[int] = []
    legacy: Dict[int, int] = {}
    chunks: List[Array] = []
    for number, wire, value in _fields(message):
        if number == SHAPE and wire == LENGTH:
            shape += _dimensions(value)
        elif number in LEGACY_SHAPE and wire == VARINT:
            legacy[number] = value
        elif number in DATA and wire != VARINT:
            kind = np.dtype(DATA[number])
            if len(value) % kind.itemsize:
                raise InputError(f"{what} has {len(value)} bytes of data, no multiple of {kind.itemsize}")
            chunks.append(np.frombuffer(value, kind))
    if not shape and legacy:
        shape = [legacy.get(number, 1) for number in LEGACY_SHAPE]
    numbers = sum(len(chunk) for chunk in chunks)
    if len(shape) > MOST_DIMENSIONS or numbers != math.prod(shape) or not chunks:
        raise InputError(f"{what} has the shape {tuple(shape)[:MOST_DIMENSIONS]} but {numbers} numbers")
    return np.concatenate(chunks).astype(np.float32).reshape(shape)


def _dimensions(message: memoryview) -> Iterator[int]:
    for number, wire, value in _fields(message):
        if number == DIMENSION and wire == VARINT:
            yield value
        elif number == DIMENSION and wire == LENGTH:  # packed
            position = 0
            while position < len(value):
                dimension, position = _varint(value, position)
                yield dimension


def _fields(message: memoryview) -> Iterator[Tuple[int, int, Any]]:
    """(field number, wire type, value) one after the other; a value is an int or, but for varints, its bytes."""
    position = 0
    while position < len(message):
        begin = position
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in (VARINT, LENGTH, *FIXED):
            raise InputError(f"field {number} of wire type {wire} at byte {begin} of a message: it is no protobuf")
        # the value itself, or the length of what follows
        size, position = (FIXED[wire], position) if wire in FIXED else _varint(message, position)
        if wire == VARINT:
            yield number, wire, size
            continue
        left = len(message) - position
        if size > left:
            raise InputError(f"field {number} announces {size} bytes where {left} are left: it is cut or damaged")
        yield number, wire, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> Tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the position after it."""
    value = 0
    for place, byte in enumerate(message[position : position + 10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, position + place + 1
    raise InputError("a number does not end: it is cut or damaged")
