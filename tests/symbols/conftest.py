"""What the tests of the Module scripts share."""

import pytest

from .gluon_side import write_weights


@pytest.fixture(scope="session")
def weights(tiny_run, tmp_path_factory):
    """Parameters of the tiny run as a Module's file; do not change it."""
    return write_weights(tiny_run, tmp_path_factory.mktemp("weights") / "run.params")
