"""Paths of the command line, looked at before a command imports what its work needs: that takes seconds."""

from __future__ import annotations

import argparse
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Tuple

from gluon_liver.errors import InputError

# Studies, recordings and labels are not among them: Python reads them, whatever a scanner or an archive named them.
CHECKED = "out data run runs compare cache pretrained flow resume prefix file phantoms".split()
ARGUMENTS = "runs prefix file".split()  # that have no option's name
# What is read as it is. Runs and prepared data are not among them: opening them says more of what is wrong with them.
READ = "folder source study labels classes map phases file detections hosts phantoms".split()
WRITTEN = "out json manifest list_series tensorboard".split()


@contextmanager
def parents_made(args: argparse.Namespace) -> Iterator[None]:
    """Make the folders that what is written is to lie in; those that stay empty are removed again at the end.

    Raises :class:`InputError` where one of them is a file.
    """
    made: List[Path] = []
    try:
        for name in WRITTEN:
            path = getattr(args, name, None)
            if isinstance(path, (str, Path)):  # an option without its folder is True
                _make_parents(name, Path(path), made)
        yield
    finally:
        for folder in reversed(made):
            try:
                folder.rmdir()
            except OSError:  # something was written there, as was meant
                pass


def _make_parents(name: str, path: Path, made: List[Path]) -> None:
    option = "--" + name.replace("_", "-")
    missing = []
    folder = path.parent
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{option} {path}: {folder} is no folder")
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:  # another worker of a job made it
            continue
        made.append(folder)


SEARCHED = "folder source study".split()


def refuse_empty(path: Path) -> None:
    """Raise :class:`InputError` for a folder with nothing in it; what cannot be told is left to who reads it."""
    try:
        empty = path.is_dir() and not any(path.iterdir())
    except OSError:
        return
    if empty:
        raise InputError(f"{path} is empty: there is no file in it or below it")


def check_there(args: argparse.Namespace) -> None:
    """Raise :class:`InputError` for a file or folder that is read and is not there, or has nothing in it."""
    for name in READ:
        value = getattr(args, name, None)
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path) and _is_gone(path):
                raise InputError(f"{path}: there is no such {'folder' if name == 'folder' else 'file or folder'}")
            if isinstance(path, Path) and name in SEARCHED and not hasattr(args, "layout"):  # imports look later
                refuse_empty(path)


READ_WHOLE = "folder source study data dicom masks".split()


def check_apart(args: argparse.Namespace) -> None:
    """Raise as :func:`refuse_inside` for the folders that options and arguments name."""
    for name in READ_WHOLE:
        value = getattr(args, name, None)
        for path in value if isinstance(value, list) else [value]:
            # of what is no prepared data its reader says more; a source may be a camera or an address
            if isinstance(path, (str, Path)) and (name != "data" or (Path(path) / "dataset.json").is_file()):
                refuse_inside(args, Path(path))


def refuse_inside(args: argparse.Namespace, folder: Path) -> None:
    """Raise :class:`InputError` for what is to be written into a folder that is read: the next time it would be input.

    A prepared study stands for the data folder that it is part of.
    """
    source = Path(os.path.realpath(folder))
    if (source / "study.json").is_file() and (source.parent.parent / "dataset.json").is_file():
        source = source.parent.parent
    named = Path(os.path.abspath(folder))
    # of prepared data the cache is a part
    for name in [*WRITTEN, *([] if (source / "dataset.json").is_file() else ["cache"])]:
        path = getattr(args, name, None)
        if isinstance(path, (str, Path)) and source.is_dir():
            real, given = Path(os.path.realpath(path)), Path(os.path.abspath(path))
            # by its name too: what is read follows links to other folders
            if source in (real, *real.parents) or named in (given, *given.parents):
                option = "--" + name.replace("_", "-")
                raise InputError(f"{option} {path} lies inside the folder that is read; choose a folder outside of it")


def _is_gone(path: Path) -> bool:
    """Whether nothing bears that name; what cannot be told is left to who opens it."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def check_paths(args: argparse.Namespace) -> None:
    """Raise :class:`InputError` for a path whose bytes, links followed, are not the UTF-8 of its text.

    MXNet opens and writes files by names in UTF-8: what another program or an old archive named otherwise it does not
    find, or it makes a second file beside it, and both after hours of work.
    """
    for name, given in _paths(args):
        path = os.path.realpath(given)  # some are opened by their whole name, links followed
        try:
            utf8 = path.encode("utf-8") == os.fsencode(path)
        except UnicodeEncodeError:  # bytes that are none, as Python hands them on
            utf8 = False
        if not utf8:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            remedy = "rename what is not ASCII in it, or choose another folder"
            raise InputError(f"{name} {shown}: the path is not UTF-8, and MXNet opens no other; {remedy}")


def _paths(args: argparse.Namespace) -> Iterator[Tuple[str, str]]:
    """The option or argument and text of each path that is written, or read by MXNet."""
    for name in CHECKED:
        value = getattr(args, name, None)
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                yield "--" + name if name not in ARGUMENTS else name.upper(), str(one)
