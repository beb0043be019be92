"""Files that appear whole or not at all."""

from __future__ import division

import os
from contextlib import contextmanager


@contextmanager
def whole_file(path):
    """The name to write to; it becomes ``path`` at the end, and is removed where an error comes first."""
    partial = path + ".partial"
    try:
        yield partial
        os.rename(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def write_whole(path, text):
    """UTF-8 text as a whole file."""
    with whole_file(path) as partial:
        with open(partial, "wb") as handle:
            handle.write(text.encode("utf-8"))


def check_place(option, path):
    """ValueError where a file cannot be made at ``path``, which ``option`` gave: asked before hours of work."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ValueError("{} {}: there is no folder {}".format(option, path, folder))
    if os.path.isdir(path):
        raise ValueError("{} {} is a folder: a file is written there".format(option, path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError("{} {}: its folder is not writable".format(option, path))
