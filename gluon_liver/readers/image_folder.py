"""A folder of numbered images as a recording, and one image as a recording of one frame."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver.errors import InputError, OversizeError, TruncatedFileError
from gluon_liver.files.digest import hash_files
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.frame_source import IMAGE_ENDINGS, MAX_SIDE, FrameSource

from .image_size import image_size

TIFF_STARTS = b"II*\0", b"MM\0*"
JPEG_START, PNG_START, PNG_END = b"\xff\xd8", b"\x89PNG", b"IEND\xaeB`\x82"


def numeric_order(file_name: str) -> Tuple[Any, ...]:
    """Sort key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", file_name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


def list_images(folder: Path) -> List[Path]:
    """Paths of the images directly in a folder, in numeric order of their names."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS and path.name[0] != "."]
    return sorted(paths, key=lambda path: numeric_order(path.name))


def file_numbers(names: Sequence[str]) -> Optional[List[int]]:
    """The number in each of the names of a folder's images, in numeric order; None where the names are no numbers.

    The names must be alike but for numbers, of which one alone varies, or else the last one rises from name to name:
    frame_0012.png is 12 beside frame_0018.png, and no two names have one number. Where others rise too, times beside
    counters say, the one with the smallest steps counts, the last of these.
    """
    parts = [re.split(r"([0-9]+)", Path(name).stem.casefold()) for name in names]
    if len({tuple(part[::2]) for part in parts}) != 1:
        return None
    columns = [[int(part[place]) for part in parts] for place in range(1, len(parts[0]), 2)]
    varying = [column for column in columns if len(set(column)) > 1] if len(names) > 1 else columns
    if not varying or (len(names) == 1 and len(varying) > 1):
        return None
    rising = [column for column in varying if all(one < other for one, other in zip(column, column[1:]))]
    if varying[-1] not in rising:
        return None
    return min(reversed(rising), key=lambda column: column[-1] - column[0])


def _of_other_form(names: Sequence[str]) -> int:
    """How many names, the fewer ones, keep the others from numbering the images of a folder; 0 where none does."""
    forms = Counter(re.sub("[0-9]+", "0", Path(name).stem.casefold()) for name in names)
    usual, count = forms.most_common(1)[0]
    most = [name for name in names if re.sub("[0-9]+", "0", Path(name).stem.casefold()) == usual]
    return len(names) - count if 2 * count > len(names) and file_numbers(most) is not None else 0


def jpeg_has_end(code: bytes) -> bool:
    """Whether a JPEG image has its end marker (ITU-T T.81 B.1.1), behind which cameras write what they like."""
    place = code.find(b"\xff", 2)
    while 0 <= place < len(code) - 1:
        marker = code[place + 1]
        if marker == 0xD9:
            return True
        if marker == 0xFF:  # fill
            place += 1
        elif marker <= 0x01 or 0xD0 <= marker <= 0xD8:  # inside the coded pixels; no length follows
            place += 2
        else:
            place += 2 + int.from_bytes(code[place + 2 : place + 4], "big")
        place = code.find(b"\xff", place)
    return False


def open_image_folder(folder: Path, name: str) -> FrameSource:
    """The images of a folder, by number. Raises :class:`InputError` for none, or one that cannot be read."""
    paths = list_images(folder)
    if not paths:
        raise InputError(f"{name} is a folder without images ({', '.join(IMAGE_ENDINGS)})")
    numbers = file_numbers([path.name for path in paths])
    source = _open_images(paths, name, "folder", numbers)
    if numbers is None and len(paths) > 1:
        odd = _of_other_form([path.name for path in paths])
        form = f" ({odd} of {len(paths)} have another form than the rest: move what is no frame elsewhere)"
        why = form if odd else ""
        source.notes.append(
            f"the names of its pictures do not number them{why}: frames are counted from 0 in their order"
        )
    return source


def open_image(path: Path, name: str) -> FrameSource:
    """One image, turned as its EXIF tag says. Raises :class:`InputError` where it cannot be read."""
    return _open_images([path], name, "image")


def _open_images(paths: List[Path], name: str, kind: str, numbers: Optional[List[int]] = None) -> FrameSource:
    told = numbers or range(len(paths))
    height, width = _read_image(paths[0], f"{name}, frame {told[0]}").shape[:2]

    def whole_frames() -> Iterator[Array]:
        for number, path in zip(told, paths):
            frame = _read_image(path, f"{name}, frame {number}")
            if frame.shape[:2] != (height, width):
                sizes = f"{frame.shape[1]}x{frame.shape[0]} pixels, the first {width}x{height}"
                remedy = "give recordings of different sizes as folders of their own"
                raise InputError(f"{name}, frame {number} has {sizes}; {remedy}")
            yield frame

    source = FrameSource(kind, height, width, (0, 0, width, height), whole_frames, hash_files(paths))
    source.numbers = numbers
    return source


def _read_image(path: Path, where: str) -> Array:
    code = path.read_bytes()
    # OpenCV fills what is missing of a cut JPEG with grey and says nothing.
    if code.startswith(JPEG_START) and not jpeg_has_end(code) or code.startswith(PNG_START) and PNG_END not in code:
        raise TruncatedFileError(f"{where} is cut short: its image has no end")
    try:  # OpenCV takes what would fill gigabytes
        if code:
            image_size(io.BytesIO(code))
    except OversizeError as error:
        raise OversizeError(f"{where} is an image of too many pixels; the bound is {MAX_SIDE} a side") from error
    except InputError as error:
        raise InputError(f"{where} is no image that can be decoded") from error
    try:
        image = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR) if code else None
    except cv2.error as error:
        raise OversizeError(f"{where} is an image that OpenCV refuses, for it announces too many pixels") from error
    if code.startswith(TIFF_STARTS) and cv2.imcount(str(path)) > 1:
        raise InputError(f"{where} is a TIFF file of several pages; write each page as a file of its own")
    if code.startswith(b"BM") and len(code) < int.from_bytes(code[2:6], "little"):
        raise TruncatedFileError(f"{where} is cut short: it has {len(code)} bytes, its header announces more")
    if image is None:
        raise InputError(f"{where} is no image that can be decoded")
    if max(image.shape[:2]) > MAX_SIDE:
        raise OversizeError(f"{where} has {image.shape[1]}x{image.shape[0]} pixels; the bound is {MAX_SIDE} a side")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
