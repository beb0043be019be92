"""The files below a folder that a user gives: links followed once, some left out by name, closed folders found."""

from __future__ import annotations

import fnmatch
import os
import posixpath
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

from gluon_liver.errors import InputError, why

SKIP = "--skip-damaged"

NO_MATCH = "matches no file: give the path below the folder, the name, or a folder; upper and lower case count"


@dataclass
class Listing:
    """What lies below a folder.

    paths: of every file, in the order of their names.
    excluded: the files of ``paths`` that a pattern leaves out. matched: how many each pattern does.
    closed: why each folder could not be read.
    links, loops: how many linked folders were followed, and not, since they lead to a folder that is read anyway.
    """

    paths: List[Path] = field(default_factory=list)
    excluded: Set[Path] = field(default_factory=set)
    matched: Dict[str, int] = field(default_factory=dict)
    closed: List[str] = field(default_factory=list)
    links: int = 0
    loops: int = 0

    def notes(self) -> List[str]:
        """What a reader of an import's report should know of it."""
        # by their number: a pattern may hold a name
        notes = [
            f"--exclude pattern {number} " + (f"left out {count} file(s)" if count else NO_MATCH)
            for number, count in enumerate(self.matched.values(), 1)
        ]
        if self.links:
            notes.append(f"{self.links} linked folder(s) were followed")
        if self.loops:
            notes.append(f"{self.loops} linked folder(s) lead to a folder that is read anyway: not followed again")
        if self.closed:
            notes.append(f"{len(self.closed)} folder(s) could not be read ({self.closed[0]}): what they hold is absent")
        return notes


def list_files(folder: Path, exclude: Sequence[str] = (), *, skip_closed: bool = False) -> Listing:
    """Every file below ``folder``; what ``exclude`` matches (globs of the path below it) is marked.

    A linked folder is followed unless it leads to one that is read anyway, or to one around ``folder``: each file is
    found once, and loops end. Files keep their place in the list whatever is excluded, so that their numbers stay.
    Raises :class:`InputError` for a folder that cannot be read, unless ``skip_closed``.
    """
    listing = Listing(matched={pattern: 0 for pattern in exclude})
    links: List[Path] = []
    # A folder around the given one would be read with everything beside it.
    seen = {_identity(place) for place in Path(os.path.realpath(folder)).parents}
    waiting = [folder]
    while waiting or links:
        linked = not waiting
        place = waiting.pop() if waiting else links.pop(0)
        try:
            if _identity(place) in seen:
                listing.loops += 1
                continue
            with os.scandir(place) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if place == folder or not _excluded(place, folder, listing):
                listing.closed.append(why(error))
            continue
        seen.add(_identity(place))
        listing.links += linked
        for entry in found:
            if not _is_folder(entry):
                listing.paths.append(Path(entry.path))
            elif entry.is_symlink():
                links.append(Path(entry.path))
            else:
                waiting.append(Path(entry.path))
    listing.paths.sort(key=str)
    listing.excluded = {path for path in listing.paths if _excluded(path, folder, listing)}
    if listing.closed and not skip_closed:
        raise InputError(
            f"{len(listing.closed)} folder(s) below {folder} cannot be read ({listing.closed[0]}): make them readable. "
            f"An import of DICOM goes on without them with {SKIP}, or with --exclude and the name of each"
        )
    return listing


def _identity(place: Path) -> Tuple[int, int]:
    status = place.stat()
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links, or a file system that does not answer: reading the file says so
        return False


def _excluded(path: Path, folder: Path, listing: Listing) -> bool:
    """Whether a pattern matches a path below ``folder``, its name, or a folder on the way to it; counted."""
    below = path.relative_to(folder)
    names = [below.as_posix(), below.name, *(one.as_posix() for one in below.parents if one.parts)]
    names += below.parts[:-1]
    fits = [
        pattern
        for pattern in listing.matched
        if any(name == form or fnmatch.fnmatchcase(name, form) for name in names for form in _forms(pattern, folder))
    ]
    for pattern in fits:
        listing.matched[pattern] += 1
    return bool(fits)


@lru_cache(maxsize=64)
def _forms(pattern: str, folder: Path) -> List[str]:
    """A pattern below ``folder``; shells complete it with the folder in front."""
    text = posixpath.normpath(pattern)
    starts = (f"{posixpath.normpath(start)}/" for start in (folder.as_posix(), os.path.abspath(folder)))
    return [text, *(text[len(start) :] for start in starts if text.startswith(start))]
