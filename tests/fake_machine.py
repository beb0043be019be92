"""A machine for the tests of the Makefile: a PATH of fake Pythons and a checkout, so that nothing is downloaded."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = "sh env ls rm mkdir mktemp cat chmod cp dirname grep sleep tail touch make".split()
FILES = (
    "Makefile README.md LICENSE MANIFEST.in setup.py pyproject.toml scripts/setup-venv.sh scripts/setup-legacy.sh "
    "symbols/requirements.txt gluon_liver/py.typed"
).split()

# Evaluates `-c` with the real Python under another version number; its environments hold a fake Python too.
FAKE_PYTHON = """#!/bin/sh
echo "{name} $*" >> "{log}"
version="({major}, {minor}, 0, 'final', 0)"
case "$1" in
-c) exec {python} -c "import sys; sys.version_info = $version; {spoil}; exec(sys.argv[1])" "$2" ;;
--version) echo "Python {major}.{minor}.0" ;;
-m)
    {make_venv}
    mkdir -p "$3/bin"
    cat "{venv_python}" > "$3/bin/python"
    chmod +x "$3/bin/python"
    : > "$3/pyvenv.cfg"
    ;;
esac
"""

# pip, the check for missing Debian packages and the import check do what files in the test's folder say.
FAKE_VENV_PYTHON = """#!/bin/sh
echo "venv $*${{LEGACY_PYTHON:+ with $LEGACY_PYTHON}}" >> "{log}"
case "$*" in
"-m virtualenv"*)
    for folder in "$@"; do :; done
    mkdir -p "$folder/bin"
    cat "{folder}/python27" > "$folder/bin/python"
    chmod +x "$folder/bin/python"
    : > "$folder/pyvenv.cfg" ;;
*missing_debian_packages*) cat "{folder}/missing" ;;
"-m pip install --only-binary"*) [ ! -e "{folder}/offline" ] || {{ echo "ERROR: no network" >&2; exit 1; }} ;;
*"!= (2, 7)"*) exit 1 ;;
*">= (3, 13)"*) cat "{folder}/newest" ;;
"-m pip check") cat "{folder}/conflicts"; [ ! -s "{folder}/conflicts" ] ;;
-) if [ -e "{folder}/import-fails" ]; then exit 1; fi ;;
train.py*) if [ -e "{folder}/stopped" ]; then exit 75; fi ;;
--version) echo "Python 3.11.0" ;;
esac
"""


FAKE_PYTHON27 = """#!/bin/sh
echo "{name} $*" >> "{log}"
case "$*" in
-c*) exec {python} -c "import sys, types; sys.version_info = (2, 7, 18, 'final', 0)
sys.modules['numpy'], sys.modules['mxnet'] = types.ModuleType('numpy'), types.ModuleType('mxnet')
sys.modules['mxnet'].__version__ = '1.0.0'; exec(sys.argv[1])" "$2" ;;
"-m pip install"*) [ ! -e "{folder}/no-wheel" ] || {{ echo "ERROR: no wheel" >&2; exit 1; }} ;;
esac
"""


class FakeMachine:
    """A PATH with the tools of a bare system and the Pythons that a test adds, and a checkout to run make in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin, self.checkout, self.log = folder / "bin", folder / "checkout", folder / "log"
        self.bin.mkdir()
        self.log.write_text("")
        for answer in ("missing", "newest", "conflicts"):
            self.put(answer)
        for tool in TOOLS:
            os.symlink(shutil.which(tool), self.bin / tool)
        self.script("uname", "echo x86_64")
        self.script("id", "echo 1000")
        for name in FILES:
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)
        self.venv_python = folder / "venv-python"
        self.venv_python.write_text(FAKE_VENV_PYTHON.format(log=self.log, folder=folder))

    def script(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(body if body.startswith("#!") else f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def add_python(self, name: str, version, *, spoil: str = "pass", make_venv: str = ":") -> None:
        major, minor = version
        numbers = dict(major=major, minor=minor, python=sys.executable, venv_python=self.venv_python)
        self.script(name, FAKE_PYTHON.format(name=name, log=self.log, spoil=spoil, make_venv=make_venv, **numbers))

    def add_python27(self, name: str = "python2.7") -> None:
        """Its environments have MXNet 1.0.0, unless pip fails as the file no-wheel says."""
        body = FAKE_PYTHON27.format(name=name, log=self.log, folder=self.folder, python=sys.executable)
        self.script(name, body)
        (self.folder / "python27").write_text(body)

    def options(self):
        """How make is called."""
        return dict(cwd=self.checkout, env={"PATH": str(self.bin), "HOME": str(self.folder), "LANG": "C"})

    def make(self, *words: str):
        command = [str(self.bin / "make"), *words]
        return subprocess.run(command, **self.options(), capture_output=True, text=True, timeout=60)

    def works(self, *words: str):
        """Run make, which must succeed; returns the lines that it adds to the log."""
        before = len(self.lines())
        done = self.make(*words)
        assert done.returncode == 0, done.stderr
        return self.lines()[before:]

    def fails(self, *words: str) -> str:
        """Run make, which must fail; returns what it says."""
        done = self.make(*words)
        assert done.returncode != 0
        return done.stderr

    def lines(self):
        return self.log.read_text().splitlines()

    def put(self, name: str, text: str = "") -> Path:
        """Write a file of the test's folder, such as those that tell the fakes what to do."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def venv(self) -> Path:
        return self.checkout / ".venv"

    def stamps(self):
        return sorted(path.name for path in self.venv.glob("*.stamp"))

    def made_with(self):
        """The Pythons that were asked for an environment."""
        return [line.split()[0] for line in self.lines() if " -m venv " in line]

    def touch_setup(self) -> None:
        later = time.time() + 10
        os.utime(self.checkout / "setup.py", (later, later))
