"""Recordings behind links, in folders that cannot be read, under names that are no UTF-8, with bytes too many."""

from __future__ import annotations

import os

import numpy as np

from gluon_liver.files import listing
from gluon_liver.prepare.us import import_us
from gluon_liver.readers.frames import read_frames
from tests.readers.ct_writer import write
from tests.readers.us_writer import us_dataset, write_labels, write_us

REGION = (0, 0, 31, 31)


def frames(seed):
    return np.random.default_rng(seed).integers(0, 255, (2, 32, 32, 3)).astype(np.uint8)


def test_links_are_followed_once_and_what_cannot_be_read_is_noted(tmp_path, monkeypatch):
    source = tmp_path / "in"
    write_us(tmp_path / "elsewhere" / "a.dcm", frames(1), region=REGION, number=1, patient="P1")
    write_us(source / "b.dcm", frames(2), region=REGION, number=2, patient="P2")
    os.rename(source / "b.dcm", os.fsencode(source) + b"/b\xe4.dcm")
    write_us(source / "c.dcm", frames(3), region=REGION, number=3, patient="P3")
    os.symlink(tmp_path / "elsewhere", source / "link")
    os.symlink(source, tmp_path / "elsewhere" / "loop")
    (source / "closed").mkdir()
    scandir = os.scandir

    def closed(place):
        if os.path.basename(place) == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(place)

    monkeypatch.setattr(listing.os, "scandir", closed)
    images = [{"video": name, "frame": 0, "scene": 1} for name in ("link/a.dcm", "c.dcm")]
    labels = write_labels(tmp_path / "l.json", images, [], width=32, height=32)
    report = import_us(source, tmp_path / "out", labels=labels, fractions=(0.5, 0, 0.5))
    assert len(report["taken"]) == 2 and report["files"]["found"] == 3
    notes = "\n".join(report["notes"])
    for text in ("1 linked folder(s) were followed", "1 folder(s) could not be read", "lead to a folder"):
        assert text in notes


def test_padding_behind_the_frames_is_noted(tmp_path):
    ds = us_dataset(frames(1), region=REGION)
    ds.PixelData += b"\1\2"
    source = read_frames(write(ds, tmp_path / "a.dcm"))
    assert source.notes == ["the file holds more bytes than its frames take: padding, not read"]
    assert (next(iter(source)) == frames(1)[0]).all()
