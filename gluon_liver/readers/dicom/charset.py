"""Text of a DICOM header whose character set is absent or wrong, as archives and consoles write it."""

from __future__ import annotations

from typing import Any, Tuple

from pydicom.datadict import tag_for_keyword

from .pixels import PARSE_ERRORS
from .tags import text

# Characters that descriptions of CT series consist of: Chinese, Japanese and Korean words for phases and body parts.
_KNOWN = frozenset(
    "\u5e73\u626b\u6383\u589e\u5f3a\u5f37\u52a8\u52d5\u9759\u975c\u95e8\u9580\u8109\u8108\u8131\u5ef6\u8fdf\u9072\u65f6"
    "\u6642\u671f\u76f8\u8861\u809d\u8179\u90e8\u80f8\u4e0a\u4e0b\u4e2d\u76c6\u8154\u5b9e\u8d28\u8584\u5c42\u91cd\u5efa"
    "\u8f74\u4f4d\u975e\u672a\u524d\u540e\u5f8c\u65e9\u665a\u4e09\u4e8c\u5355\u53cc\u5358\u7d14\u9020\u5f71"
    "\ub3d9\ub9e5\uae30\uc9c0\uc5f0\uc870\uc601\uc804\ud6c4\ubb38\ubcf5\ubd80\uac04"
)
_EAST_ASIAN = ("gb18030", "big5", "euc_kr", "shift_jis", "euc_jp")
_TRUSTED_SINGLE = ("", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", "ISO 2022 IR 6", "ISO 2022 IR 100")


def decoded_text(dataset: Any, keyword: str) -> str:
    """The stripped text of a tag, whatever character set the file declares.

    Bytes that are UTF-8 are read so, unless an East Asian encoding makes known words of them; of other bytes it counts
    where the declared set is none, Latin-1, UTF-8 or Chinese.
    """
    declared, value = _raw(dataset, keyword)
    if not any(byte >= 0x80 for byte in value) or 0x1B in value:  # an escape sequence names its own set
        return text(dataset, keyword)
    best = _read(value, "utf-8")
    if not best and declared not in _TRUSTED_SINGLE:
        return text(dataset, keyword)
    known, _ = _known(best)
    for encoding in _EAST_ASIAN:  # also of what is UTF-8 by chance, as the GB18030 of "plain scan" is
        read = _read(value, encoding)
        words, foreign = _known(read)
        if words > known and 2 * words >= foreign:
            best, known = read, words
    if best:
        return best.strip(" \0")
    if declared in ("GB18030", "GBK"):
        return text(dataset, keyword)
    return value.decode("cp1252", errors="replace").strip(" \0")


def _read(value: bytes, encoding: str) -> str:
    """The text, "" where the bytes are none in this encoding."""
    try:
        return value.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _known(read: str) -> Tuple[int, int]:
    """How many characters are known ones, and how many are not ASCII."""
    foreign = [character for character in read if ord(character) > 0x7F]
    return sum(character in _KNOWN for character in foreign), len(foreign)


def _raw(dataset: Any, keyword: str) -> Tuple[str, bytes]:
    """The declared character set and the bytes of a tag, none where they cannot be had."""
    try:
        declared = str(text(dataset, "SpecificCharacterSet")).strip()
        value = dataset.get_item(tag_for_keyword(keyword)).value
    except PARSE_ERRORS:
        return "", b""
    return declared, value if isinstance(value, bytes) else b""
