"""What the tests of the Module scripts share."""

import pytest

from gluon_liver.legacy.record_file import write_records

from .gluon_side import write_weights


@pytest.fixture(scope="session")
def weights(tiny_run, tmp_path_factory):
    """Parameters of the tiny run as a Module's file; do not change it."""
    return write_weights(tiny_run, tmp_path_factory.mktemp("weights") / "run.params")


@pytest.fixture
def records(tiny_dataset, make_config, tmp_path):
    """records("train", **changes of the configuration): the path of a record file of that split."""

    def write(split="train", **changes):
        path = tmp_path / "records" / f"{split}.rec"
        write_records(make_config(**changes), tiny_dataset, split, path)
        return str(path)

    return write
