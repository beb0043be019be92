"""gluon_liver.system.shared_libraries: missing libraries are found from ELF files written by hand."""

import struct
import sys

import pytest

from gluon_liver.system import shared_libraries
from gluon_liver.system.shared_libraries import missing_for, read_dynamic

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF and the dynamic loader of Linux")

BASE = 0x400000


def write_library(path, *, needed=(), runpath=None):
    """The smallest ELF file with a dynamic section: header, two program headers, string table, entries."""
    strings, entries = b"\0", []
    for tag, name in [(1, name) for name in needed] + ([] if runpath is None else [(29, runpath)]):
        entries.append((tag, len(strings)))
        strings += name.encode() + b"\0"
    strings_at = 64 + 2 * 56
    dynamic_at = strings_at + len(strings)
    entries += [(5, BASE + strings_at), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    size = dynamic_at + len(dynamic)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    section = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, BASE + dynamic_at, 0, len(dynamic), len(dynamic), 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + load + section + strings + dynamic)


def test_needed_names_and_search_path(tmp_path):
    write_library(tmp_path / "a.so", needed=["liba.so.1", "libc.so.6"], runpath="$ORIGIN/../libs:${ORIGIN}")
    dynamic = read_dynamic(tmp_path / "a.so")
    assert dynamic.needed == ("liba.so.1", "libc.so.6")
    assert dynamic.search == (tmp_path / ".." / "libs", tmp_path)


def test_what_the_system_has_is_not_missing(tmp_path):
    write_library(tmp_path / "a.so", needed=["libc.so.6", "libglurb.so.4"])
    assert missing_for(tmp_path / "a.so") == ["libglurb.so.4"]


def test_bundled_libraries_are_read_in_turn(tmp_path):
    write_library(tmp_path / "pkg" / "a.so", needed=["libb.so"], runpath="$ORIGIN/../pkg.libs")
    write_library(tmp_path / "pkg.libs" / "libb.so", needed=["liba-other.so", "libglurb.so.4", "libb.so"])
    write_library(tmp_path / "pkg.libs" / "liba-other.so", needed=["libglurb.so.4", "libglurb.so.5"])
    assert missing_for(tmp_path / "pkg" / "a.so") == ["libglurb.so.4", "libglurb.so.5"]


def test_other_files_and_those_cut_short_are_refused(tmp_path):
    path = tmp_path / "a.so"
    write_library(path, needed=["libc.so.6"])
    for content in (b"", b"MZ is another format", b"\x7fELF\x01\x01 is 32 bits", path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a.so is not a 64-bit.*cut short"):
            read_dynamic(path)


def test_installed_modules_are_examined_without_being_imported(tmp_path, monkeypatch):
    for name, file in (("mxnet", "libmxnet.so"), ("cv2", "cv2.abi3.so")):
        write_library(tmp_path / name / file, needed=["libquadmath.so.0-gone", f"lib{name}.so.1"])
        (tmp_path / name / "__init__.py").write_text("raise OSError('imported')")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    missing = [(lib.name, lib.module) for lib in shared_libraries.missing_libraries()]
    assert missing == [("libquadmath.so.0-gone", "mxnet"), ("libmxnet.so.1", "mxnet"), ("libcv2.so.1", "cv2")]


def test_debian_packages_are_named_once(monkeypatch):
    names = ["libgthread-2.0.so.0", "libglib-2.0.so.0", "libGL.so.1", "libcuda.so.1"]
    missing = [shared_libraries.MissingLibrary(name, "cv2") for name in names]
    monkeypatch.setattr(shared_libraries, "missing_libraries", lambda: missing)
    assert shared_libraries.missing_debian_packages() == ["libgl1", "libglib2.0-0"]


def test_the_real_mxnet_is_readable():
    (path,) = shared_libraries.native_files("mxnet")
    assert "libgomp.so.1" in read_dynamic(path).needed
