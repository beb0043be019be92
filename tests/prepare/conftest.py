"""A folder of one CT study, and where it is imported to."""

from __future__ import annotations

import pytest

from .ct_source import write_study


@pytest.fixture
def source(tmp_path):
    """A folder of one study."""
    write_study(tmp_path / "in")
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data"
