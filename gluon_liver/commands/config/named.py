"""Configurations by what a user calls them: packaged names, YAML files and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence, Union

from gluon_liver.config.load import load_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import ConfigError

NAME_HELP = "a packaged configuration, a YAML file, or a run folder (zoo:NAME too)"


def named_config(name: str, *fragments: str, overrides: Sequence[str] = ()) -> Config:
    """A configuration, with others laid over it. Raises :class:`ConfigError` for one that there is not."""
    return load_config(_file(name), *map(_file, fragments), overrides=overrides)


def _file(name: str) -> Union[str, Path]:
    """The configuration of a run, or else the name as it is."""
    folder = Path(name)
    if name.startswith("zoo:"):
        from gluon_liver.runs.zoo import resolve_run

        folder = resolve_run(name)
    if not folder.is_dir():
        return name
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder} is no run folder: it has no config.yaml")
    return folder / "config.yaml"
