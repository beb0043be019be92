"""Which files below a folder an import sees."""

from __future__ import annotations

import os

import pytest

from gluon_liver.errors import InputError
from gluon_liver.files import listing as module
from gluon_liver.files.listing import list_files


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def below(folder, listing):
    return [path.relative_to(folder).as_posix() for path in listing.paths]


def test_linked_folders_are_followed_once_and_loops_end(tmp_path):
    root = tmp_path / "root"
    make(root, "a/1", "a/b/2", "3")
    make(tmp_path / "elsewhere", "4", "c/5")
    for target, link in (("elsewhere", "link"), ("elsewhere", "zlink"), ("root/a", "again"), ("root", "a/loop")):
        os.symlink(tmp_path / target, root / link)
    os.symlink(tmp_path, root / "above")
    os.symlink("self", root / "self")
    found = list_files(root)
    assert below(root, found) == ["3", "a/1", "a/b/2", "link/4", "link/c/5", "self"]
    assert (found.links, found.loops) == (1, 4)
    assert found.notes() == [
        "1 linked folder(s) were followed",
        "4 linked folder(s) lead to a folder that is read anyway: not followed again",
    ]
    (tmp_path / "by").symlink_to(root)  # a link as the folder itself
    assert len(list_files(tmp_path / "by").paths) == 6


def test_excluded_files_keep_their_numbers_and_patterns_are_counted(tmp_path):
    make(tmp_path, "a/1.dcm", "a/2.dcm", "b/1.dcm", "b/c/3.dcm", "x.txt")
    for patterns, left in [
        (["a/1.dcm"], {"a/2.dcm", "b/1.dcm", "b/c/3.dcm", "x.txt"}),
        (["1.dcm"], {"a/2.dcm", "b/c/3.dcm", "x.txt"}),
        (["b"], {"a/1.dcm", "a/2.dcm", "x.txt"}),
        (["b/"], {"a/1.dcm", "a/2.dcm", "x.txt"}),
        (["b/*", "*.txt"], {"a/1.dcm", "a/2.dcm"}),
        (["c"], {"a/1.dcm", "a/2.dcm", "b/1.dcm", "x.txt"}),
        (["./b//"], {"a/1.dcm", "a/2.dcm", "x.txt"}),
        ([f"{tmp_path}/b"], {"a/1.dcm", "a/2.dcm", "x.txt"}),
        ([f"{tmp_path}/?.txt", "b/"], {"a/1.dcm", "a/2.dcm"}),
        (["*/[23].dcm"], {"a/1.dcm", "b/1.dcm", "x.txt"}),
    ]:
        found = list_files(tmp_path, patterns)
        assert len(found.paths) == 5
        assert {path.relative_to(tmp_path).as_posix() for path in set(found.paths) - found.excluded} == left, patterns
    assert list_files(tmp_path, ["*.txt", "none"]).notes() == [
        "--exclude pattern 1 left out 1 file(s)",
        "--exclude pattern 2 " + module.NO_MATCH,
    ]
    assert list_files(tmp_path, ["b", "3.dcm"]).notes()[1] == "--exclude pattern 2 left out 1 file(s)"


def test_a_closed_folder_is_refused_skipped_or_excluded(tmp_path, monkeypatch):
    make(tmp_path, "open/1", "closed/2")
    scandir = os.scandir

    def closed(place):
        if os.path.basename(place) == "closed":  # root may read everything
            raise PermissionError(13, "Permission denied")
        return scandir(place)

    monkeypatch.setattr(module.os, "scandir", closed)
    with pytest.raises(InputError, match=r"1 folder\(s\) .* cannot be read \(Permission denied\).* --skip-damaged"):
        list_files(tmp_path)
    assert below(tmp_path, list_files(tmp_path, skip_closed=True)) == ["open/1"]
    assert "1 folder(s) could not be read" in list_files(tmp_path, skip_closed=True).notes()[0]
    assert below(tmp_path, list_files(tmp_path, ["closed"])) == ["open/1"]


def test_names_that_are_no_utf8_are_listed(tmp_path):
    make(tmp_path, "a")
    name = b"b\xe4.dcm"
    with open(os.path.join(os.fsencode(tmp_path), name), "w"):
        pass
    assert [os.fsencode(path.name) for path in list_files(tmp_path).paths] == [b"a", name]
