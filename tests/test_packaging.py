"""What an installation and a source distribution of the package hold; `make dist` builds and checks them whole."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def files(folder):
    """The names of all files below a folder that are no caches."""
    found = (path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc"}


def set_up(*words):
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "setup.py", "-q", *words], cwd=ROOT, env=environ, check=True, capture_output=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder whose contents a wheel puts into site-packages."""
    folder = tmp_path_factory.mktemp("installed")
    set_up("build_py", "--build-lib", str(folder))
    return folder


def test_an_installation_holds_every_file_and_the_symbols_below_the_package(installed):
    expected = files(ROOT / "gluon_liver") | {f"symbols/{name}" for name in files(ROOT / "symbols")}
    assert {path.name for path in installed.iterdir()} == {"gluon_liver"}
    assert files(installed / "gluon_liver") == expected
    own = (ROOT / "gluon_liver/symbols/__init__.py").read_text(encoding="utf-8")
    assert own != (installed / "gluon_liver/symbols/__init__.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["installation", "checkout"])
def test_the_symbols_are_those_of_the_same_installation_or_checkout(installed, tmp_path, place):
    root, folder = (installed, "gluon_liver/symbols") if place == "installation" else (ROOT, "symbols")
    code = "from gluon_liver.symbols import portable; print(portable.__file__)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert Path(told.strip()) == root / folder / "portable.py"


def test_the_source_distribution_is_the_checkout(tmp_path):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("without git it cannot be told which files the checkout has")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    set_up("egg_info", "--egg-base", str(tmp_path))
    (sources,) = tmp_path.glob("*.egg-info/SOURCES.txt")
    missing = set(listed.strip("\0").split("\0")) - set(sources.read_text(encoding="utf-8").splitlines())
    assert not [name for name in missing if (ROOT / name).exists()]


def test_papers_and_licence_are_named():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    for words in (
        "10.48550/arXiv.1907.10346",
        "10.21037/hbsn-21-43",
        "Karako",
        "Hasegawa",
        "The gluon_liver developers",
    ):
        assert words in citation
    assert "license: Apache-2.0" in citation and "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
