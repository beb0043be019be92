"""SHA-256 of files, against hashlib on their bytes."""

import hashlib

import pytest

from gluon_liver.files.digest import digest, hash_file, hash_files


def test_digests(tmp_path):
    long, short = bytes(range(256)) * 8192, b"abc"  # the first is read in two blocks
    (tmp_path / "a").write_bytes(long)
    (tmp_path / "b").write_bytes(short)
    assert hash_file(tmp_path / "b") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_files([tmp_path / "a", tmp_path / "b"]) == hashlib.sha256(long + short).hexdigest()
    assert digest(tmp_path / "a") == {"bytes": 2097152, "sha256": hashlib.sha256(long).hexdigest()}
    for name in (".", "missing"):
        with pytest.raises(FileNotFoundError, match="no plain file"):
            digest(tmp_path / name)
