"""Names of files as label tools write them -> the files that they mean.

Tools write a name with folders of their own before it, another ending, another Unicode form, quoted as in an address,
with a prefix (Label Studio) or between words of their own (Roboflow). None of this is an identifier, so two files that
a name may mean are never decided between by guess: the longest common tail of both paths wins, or the name is
ambiguous.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Dict, Iterator, List, Sequence, Set, Tuple
from urllib.parse import unquote

_IMAGES = "dcm dicom ima dic png jpg jpeg jpe bmp tif tiff gif webp npy jp2"
_VIDEOS = "avi mp4 m4v mov mpg mpeg wmv mkv webm"
VIDEO_ENDINGS = tuple(f".{ending}" for ending in _VIDEOS.split())
_ENDING = re.compile(rf"(?<=.)\.({'|'.join([*_IMAGES.split(), *_VIDEOS.split()])})$")
_ENDING_AS_TEXT = re.compile(_ENDING.pattern.replace(r"\.", "_", 1))
_ROBOFLOW = re.compile(r"\.rf\.[0-9a-z]{8,}$")
_LABEL_STUDIO = re.compile(r"^[0-9a-f]{8}-(?=.)")
_FLAT = 4  # folders that a tool may have joined to the name


@dataclass(frozen=True)
class NameMatches:
    """For each name the files that it may mean, by their places: one, none, or, where it is ambiguous, several.

    by_name_alone: the folders of the names are nowhere among those of the files, so only the last part decided.
    """

    candidates: Tuple[Tuple[int, ...], ...]
    by_name_alone: bool


def match_names(names: Sequence[str], files: Sequence[str]) -> NameMatches:
    """Which of the ``files`` (paths, best from the root on) each of the ``names`` means; names that one tool wrote.

    Folders in which the names differ from each other must be among the file's own, in their order: a name of another
    patient's folder means no file, whatever its last part. Only where they fit no file at all, and the last parts are
    enough to find one for every name, do the last parts decide.
    """
    index = _Index(files)
    wanted = [path_parts(name) for name in names]
    # before names with folders; those without say nothing of them
    shared = len(os.path.commonprefix([parts[:-1] for parts in wanted if len(parts) > 1]))
    find = lru_cache(None)(lambda parts, least: index.find(parts, least=least))
    found = tuple(find(tuple(parts), max(1, len(parts) - shared)) for parts in wanted)
    if not any(found):
        by_last = tuple(find(tuple(parts), 1) for parts in wanted)
        found = by_last if all(by_last) else found
    found = tuple(_literal(name, places, files) if len(places) > 1 else places for name, places in zip(names, found))
    pairs = [(parts, place) for parts, places in zip(wanted, found) for place in places]
    alone = bool(pairs) and not any(
        len(parts) == 1 or place in index.by_flat or index.agreement(parts, place)[0] > 1 for parts, place in pairs
    )
    return NameMatches(found, alone)


def path_parts(name: str) -> List[str]:
    """The parts of a path or an address in one form: Unicode, case, slashes and what is quoted.

    At least one: that of a path without any is empty.
    """
    text = name.strip(" \0\t\r\n").replace("\\", "/")
    if re.match(r"^[a-z][a-z0-9+.-]+://", text, re.IGNORECASE) or "?d=" in text:
        # an address: Label Studio's local files have their path in the query, others a signature
        local = re.search(r"[?&]d=([^&]*)", text)
        text = local.group(1) if local else re.sub(r"[?#].*", "", text.split("://", 1)[1])
    for _ in range(2):  # quoted twice where an address stands in an address
        text = unquote(text) if re.search(r"%[0-9a-fA-F]{2}", text) else text
    text = unicodedata.normalize("NFC", text.replace("\\", "/")).casefold()
    parts = [part.strip() for part in unicodedata.normalize("NFC", text).split("/")]
    return [part for part in parts if part not in ("", ".", "..") and not re.fullmatch("[a-z]:", part)] or [""]


def stem(name: str) -> str:
    """The last part of a path without the endings of images and videos, ``012`` for ``012.dcm.png``."""
    while _ENDING.search(name):
        name = _ENDING.sub("", name)
    return name


def _literal(name: str, places: Tuple[int, ...], files: Sequence[str]) -> Tuple[int, ...]:
    """Those of several files whose path ends as the name does to the letter, else all of them."""
    end = "/" + unicodedata.normalize("NFC", name.replace("\\", "/")).lstrip("/")
    exact = tuple(place for place in places if unicodedata.normalize("NFC", "/" + files[place]).endswith(end))
    return exact if len(exact) == 1 else places


class _Index:
    """Files by what tools may make of their last part, and by that with two folders before it."""

    def __init__(self, files: Sequence[str]):
        self.files = [path_parts(file) for file in files]
        self.by_key: Dict[str, List[int]] = defaultdict(list)
        self.by_flat: Set[int] = set()  # places found by flat names
        for place, parts in enumerate(self.files):
            last, name = parts[-1], stem(parts[-1])
            for key in {name, _django(name), _dashes(last), _dashes(name)}:
                self.by_key[key].append(place)
                self.by_key["/".join([*parts[-3:-1], key])].append(place)

    @cached_property
    def flat(self) -> Dict[str, List[int]]:
        """Files by their last part and folders before it, joined to one name."""
        result: Dict[str, List[int]] = defaultdict(list)
        for place, parts in enumerate(self.files):
            for count in range(2, min(_FLAT, len(parts)) + 1):
                result[_words("-".join([*parts[-count:-1], stem(parts[-1])]))].append(place)
        return result

    def find(self, wanted: Sequence[str], *, least: int) -> Tuple[int, ...]:
        """Places of the files that share the longest tail with ``wanted``, and ``least`` parts or more."""
        # with folders first: a name such as 012 may be that of a slice of every patient
        for folders in (wanted[-3:-1], ()) if len(wanted) > 2 else ((),):
            ranks: Dict[int, Tuple[int, ...]] = {}
            for level, key in enumerate(_keys_wanted(wanted[-1])):
                for place in self.by_key.get("/".join([*folders, key]), ()):
                    shared, tail = self.agreement(wanted, place)
                    if shared >= least:
                        ranks.setdefault(place, (tail, shared, self.files[place][-1] == wanted[-1], -level))
            if ranks:
                best = max(ranks.values())
                return tuple(sorted(place for place, rank in ranks.items() if rank == best))
        names = map(_words, _keys_wanted(wanted[-1]))
        places = next((tuple(self.flat[name]) for name in names if name in self.flat), ())
        self.by_flat.update(places)
        return places

    def agreement(self, wanted: Sequence[str], place: int) -> Tuple[int, int]:
        """How many parts from the end on are the file's too, in their order; and how many before another is between.

        The last parts agree in some form.
        """
        shared = tail = 1
        for count, folder in enumerate(reversed(self.files[place][:-1]), 1):
            if shared < len(wanted) and wanted[-1 - shared] == folder:
                tail += count == tail
                shared += 1
        return shared, tail


def _keys_wanted(last: str) -> Iterator[str]:
    """What a file's last part may be, from the surest on."""
    name = stem(last)
    yield name
    if _LABEL_STUDIO.match(name):
        yield _django(_LABEL_STUDIO.sub("", name))
    if _ROBOFLOW.search(name):
        plain = _ROBOFLOW.sub("", name)
        yield _dashes(plain)
        while _ENDING_AS_TEXT.search(plain):
            plain = _ENDING_AS_TEXT.sub("", plain)
        yield _dashes(plain)


def _django(name: str) -> str:
    """What Label Studio keeps of a name."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def _dashes(name: str) -> str:
    """What Roboflow keeps of a name."""
    return re.sub(r"[^0-9a-z_]+", "-", name)


def _words(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name)
