"""The size of a picture by its header alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO, Tuple, Union

from PIL import Image

from gluon_liver.errors import InputError, OversizeError
from gluon_liver.structures.frame_source import MAX_SIDE

ORIENTATION, ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)  # Exif 2.3, 4.6.4
FAULTS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises for damaged headers


def image_size(path: Union[str, Path, IO[bytes]]) -> Tuple[int, int]:
    """(width, height) of a picture, turned as its EXIF tag says. Raises :class:`InputError`, which names no file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded
            with Image.open(path) as picture:
                width, height = picture.size
                turned = picture.getexif().get(ORIENTATION) in ON_ITS_SIDE
    except Image.DecompressionBombError as error:
        raise OversizeError(f"its picture has more than {MAX_SIDE} pixels a side") from error
    except FAULTS as error:
        raise InputError("its picture cannot be read") from error
    if max(width, height) > MAX_SIDE:
        raise OversizeError(f"its picture has more than {MAX_SIDE} pixels a side")
    return (height, width) if turned else (width, height)
