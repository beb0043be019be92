"""config.yaml of a run folder, read in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from gluon_liver.config.load import build_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import ConfigError, RunError
from gluon_liver.files.json_records import read_yaml

CONFIG_FILE = "config.yaml"


class OtherVersionError(RunError):
    """A configuration that this version does not read: a key is another one's, or a value."""


def read_keys(folder: Path) -> Dict[str, Any]:
    """The keys of a run's configuration as they stand in the file.

    Raises :class:`RunError` where it is not there, or holds no keys.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise RunError(f"{folder} is not a run folder: it has no {CONFIG_FILE}")
    tree = read_yaml(path, error=RunError)
    if not isinstance(tree, dict):
        raise RunError(f"{path}: expected keys and values, found a {type(tree).__name__}")
    return tree


def read_config(folder: Path) -> Config:
    """The configuration of a run folder. Raises as :func:`read_keys`, and :class:`OtherVersionError`."""
    try:
        return build_config(read_keys(folder))
    except ConfigError as error:
        raise OtherVersionError(f"{folder / CONFIG_FILE} cannot be read by this version: {error}") from error
