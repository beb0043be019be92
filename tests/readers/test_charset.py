"""Descriptions whose character set is absent or wrong."""

from __future__ import annotations

import pydicom
import pytest

from gluon_liver.readers.dicom.charset import decoded_text

from .ct_writer import ct_dataset, write

CASES = [  # declared, encoding of the bytes, text
    (declared, encoding, text)
    for declared in ("ISO_IR 100", None, "ISO_IR 192", "GB18030")
    for encoding, text in [
        ("gb18030", "\u52a8\u8109\u671f"),
        ("gb18030", "\u4e0a\u8179\u90e8\u5e73\u626b 5mm"),
        ("gb18030", "\u5e73\u626b"),  # is UTF-8, too
        ("utf-8", "\u5e73\u626b"),
        ("big5", "\u52d5\u8108\u671f"),
        ("shift_jis", "\u52d5\u8108\u76f8"),
        ("euc_kr", "\ub3d9\ub9e5\uae30"),
        ("utf-8", "\u5ef6\u8fdf\u671f"),
        ("utf-8", "Sp\u00e4tphase"),
        ("latin-1", "Sp\u00e4tphase"),
        ("latin-1", "phase art\u00e9rielle retard\u00e9e"),
    ]
    if not (declared == "GB18030" and encoding == "latin-1")
] + [
    ("ISO 2022 IR 87", "iso2022_jp", "\u52d5\u8108\u76f8"),
    ("ISO_IR 144", "iso8859_5", "\u043d\u0430\u0442\u0438\u0432"),
]


@pytest.mark.parametrize("declared, encoding, text", CASES)
def test_wrongly_declared_character_sets(tmp_path, declared, encoding, text):
    tags = {} if declared is None else {"SpecificCharacterSet": declared}
    ds = ct_dataset(description="?" * len(text.encode(encoding)), **tags)
    path = write(ds, tmp_path / "a.dcm")
    raw = path.read_bytes()
    assert raw.count(b"?" * len(text.encode(encoding))) == 1
    path.write_bytes(raw.replace(b"?" * len(text.encode(encoding)), text.encode(encoding)))
    assert decoded_text(pydicom.dcmread(path, stop_before_pixels=True), "SeriesDescription") == text


def test_plain_descriptions_are_as_they_were(tmp_path):
    path = write(ct_dataset(description="  LIVER ART "), tmp_path / "a.dcm")
    assert decoded_text(pydicom.dcmread(path), "SeriesDescription") == "LIVER ART"
    assert decoded_text(pydicom.dcmread(path), "StudyDescription") == ""
