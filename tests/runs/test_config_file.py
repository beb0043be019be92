"""config.yaml of a run folder: what is wrong with it is told alike wherever it is read."""

import pytest

from gluon_liver.config.load import load_config, save_config
from gluon_liver.errors import RunError
from gluon_liver.runs.config_file import OtherVersionError, read_config, read_keys
from gluon_liver.runs.run import Run


def test_a_configuration_is_read(tmp_path):
    save_config(load_config("demo-ct"), tmp_path / "config.yaml")
    assert read_config(tmp_path) == load_config("demo-ct")


@pytest.mark.parametrize(
    "text, error, message",
    [
        (None, RunError, "is not a run folder: it has no config.yaml"),
        ("- 1\n", RunError, "config.yaml: expected keys and values, found a list"),
        ("a: [", RunError, "config.yaml cannot be read"),
        ("network: {breadth: 1}", OtherVersionError, "cannot be read by this version: unknown key 'network.breadth'"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, text, error, message):
    if text is not None:
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    for read in (read_config, Run.open):
        with pytest.raises(error, match=message):
            read(tmp_path)
    if error is OtherVersionError:
        assert read_keys(tmp_path) == {"network": {"breadth": 1}}
