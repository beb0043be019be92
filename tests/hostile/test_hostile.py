"""Hostile files are refused with an error of the package before they take memory or time."""

import json
import os
import subprocess
import sys

import pytest

from .cases import CASES, EITHER

PEAK_MIB = 150
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, "-m", "tests.hostile"], stdout=subprocess.PIPE, env=environment, check=True)
    return json.loads(ended.stdout)


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_for_little(name, found):
    record = found[name]
    assert not record["error"].startswith(("UNTYPED", "the process")), record
    assert record["error"] or name in EITHER, "it was taken"
    assert record["peak_mib"] < PEAK_MIB, record
