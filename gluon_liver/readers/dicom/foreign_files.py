"""What a file is that is no DICOM file, by its first bytes: said where it may hold images all the same."""

from __future__ import annotations

from typing import Tuple

ARCHIVE = "archives are not searched: unpack it and import again"
PACKED = "packed files are not read: unpack it and import again"
# (place, bytes there, kind, what the file is)
MARKS: Tuple[Tuple[int, bytes, str, str], ...] = (
    (0, b"PK\x03\x04", "archive", f"a zip archive; {ARCHIVE}"),
    (0, b"PK\x05\x06", "archive", "an empty zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "archive", f"a 7z archive; {ARCHIVE}"),
    (0, b"Rar!\x1a\x07", "archive", f"a RAR archive; {ARCHIVE}"),
    (257, b"ustar", "archive", f"a tar archive; {ARCHIVE}"),
    (0, b"\x1f\x8b", "archive", f"packed with gzip; {PACKED}"),
    (0, b"BZh", "archive", f"packed with bzip2; {PACKED}"),
    (0, b"\xfd7zXZ\x00", "archive", f"packed with xz; {PACKED}"),
    (0, b"\x28\xb5\x2f\xfd", "archive", f"packed with zstd; {PACKED}"),
    (0, b"\x00\x05\x16\x07", "not-dicom", "what macOS keeps beside a file (AppleDouble, ._NAME), no image"),
    (0, b"\x00\x00\x00\x01Bud1", "not-dicom", "what the Finder of macOS keeps of a folder (.DS_Store)"),
    (0, b"NRRD", "volume-file", "an NRRD volume; DICOM files are read"),
    (344, b"n+1\x00", "volume-file", "a NIfTI volume; DICOM files are read"),
    (344, b"ni1\x00", "volume-file", "the header of a NIfTI volume; DICOM files are read"),
)
START = 512  # bytes that :func:`what_it_is` wants to see


def what_it_is(start: bytes) -> Tuple[str, str]:
    """(kind, reason) of a file that is no DICOM file; ``start``: its first bytes."""
    if not start:
        return "not-dicom", "an empty file"
    for place, mark, kind, what in MARKS:
        if start[place : place + len(mark)] == mark:
            return kind, what
    return "not-dicom", "not a DICOM file"
