"""Headers of NRRD and MetaImage files, checked before ITK reads them: some that are damaged end the process there."""

from __future__ import annotations

import math
import re
from typing import Dict, List, Tuple

from gluon_liver.errors import VolumeError

LONGEST_LINE = 1024
MOST_AXES = 8
# http://teem.sourceforge.net/nrrd/format.html; a suffix in brackets says nothing of the kind
ENCODINGS = "raw txt text ascii hex gz gzip bz2 bzip2".split()
KEY = re.compile(r"([^:=]*)[:=]+(.*)")
# numbers that a field of MetaImage has, as a power of the axes
NUMBERS = {"TransformMatrix": 2, "Orientation": 2, "Rotation": 2, "Offset": 1, "Origin": 1, "Position": 1}
NUMBERS.update(CenterOfRotation=1, ElementSpacing=1, ElementSize=1, DimSize=1)
ONE = ("NDims", "CompressedDataSize", "ElementNumberOfChannels", "HeaderSize")
KINDS = "CHAR UCHAR SHORT USHORT INT UINT LONG ULONG LONG_LONG ULONG_LONG FLOAT DOUBLE"
TYPES = [f"MET_{kind}" for kind in KINDS.split()]


def check_header(start: bytes) -> None:
    """Raise :class:`VolumeError` for a header that says something else than such a header says."""
    nrrd = start.startswith(b"NRRD")
    end = start.find(b"\n\n") if nrrd else start.find(b"ElementDataFile")
    lines = start[: end if end >= 0 else len(start)].decode("latin-1").splitlines()
    if any(len(line) > LONGEST_LINE for line in lines):
        raise VolumeError("a line of its header is longer than any such header's")
    fields: Dict[str, str] = {}
    for line in lines[1 if nrrd else 0 :]:
        found = KEY.fullmatch(line)
        if found and not line.startswith("#"):
            key = found.group(1).strip().lower() if nrrd else found.group(1).strip()
            if key in fields and ":=" not in line:
                raise VolumeError("its header is damaged: a field is there twice")
            fields[key] = found.group(2).strip()
    faults = _nrrd_faults(fields) if nrrd else _meta_faults(fields)
    if faults:
        raise VolumeError(f"its header is damaged: {faults[0]}")


def _nrrd_faults(fields: Dict[str, str]) -> List[str]:
    axes = fields.get("dimension", "")
    if not re.fullmatch("[1-9]", axes) or int(axes) > MOST_AXES:
        return ["its number of axes"]
    sizes = fields.get("sizes", "").split()
    wrong = len(sizes) != int(axes) or not all(re.fullmatch("[0-9]{1,9}", size) for size in sizes)
    return ["its sizes"] * wrong + ["its encoding"] * (fields.get("encoding", "").lower() not in ENCODINGS)


def _meta_faults(fields: Dict[str, str]) -> List[str]:
    axes = fields.get("NDims", "")
    if not re.fullmatch("[1-9]", axes) or int(axes) > MOST_AXES:
        return ["NDims"]
    faults = [key for key in ONE if key in fields and not re.fullmatch("-?[0-9]{1,18}", fields[key])]
    for key, power in NUMBERS.items():
        if key in fields or key == "DimSize":
            count, numbers = _numbers(fields.get(key, ""))
            words = fields.get(key, "").split()
            whole = key != "DimSize" or all(re.fullmatch("[0-9]{1,9}", word) for word in words)
            if count != int(axes) ** power or not numbers or not whole:
                faults.append(key)
    return faults + ["ElementType"] * (fields.get("ElementType", "") not in TYPES)


def _numbers(text: str) -> Tuple[int, bool]:
    """(how many words, whether all are finite numbers)."""
    words = text.split()
    try:
        return len(words), all(math.isfinite(float(word)) for word in words)
    except ValueError:
        return len(words), False
