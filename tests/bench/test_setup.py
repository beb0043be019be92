"""The environment of PyTorch: made where it can be, done without where not."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# a Python that says what the extra is and makes environments
PYTHON = 'case "$1" in -c) echo "$EXTRA";; *) mkdir -p "$3/bin"; cp "$T/inner" "$3/bin/python";; esac'


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def setup(tmp_path):
    """Runs the script with an environment's Python that does ``inner`` and a project's that is PYTHON."""

    def run(inner, *, extra="torch<9 torchvision<9"):
        script(tmp_path / "inner", inner)
        command = ["sh", str(ROOT / "scripts" / "setup-bench.sh"), "venv", str(script(tmp_path / "python", PYTHON))]
        environment = dict(os.environ, T=str(tmp_path), EXTRA=extra)
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert done.returncode == 0
        return done.stderr

    return run


def test_the_extra_is_installed(setup, tmp_path):
    setup('echo "$@" >>"$T/log"')
    assert (tmp_path / "log").read_text().split()[-3:] == ["numpy", "torch<9", "torchvision<9"]
    assert (tmp_path / "venv").exists()


def test_a_failure_is_told_and_leaves_nothing(setup, tmp_path):
    assert "could not be installed: its pairs are left out" in setup("exit 1")
    assert not (tmp_path / "venv").exists()


def test_an_environment_that_has_torch_is_left_alone(setup, tmp_path):
    script(tmp_path / "venv" / "bin" / "python", "exit 0")
    assert setup("exit 1") == ""


def test_a_package_without_the_extra_is_told(setup):
    assert "make setup again" in setup("exit 0", extra="")
