"""YAML files to a checked :class:`Config`: names, ``BASE:`` inheritance from one file or a list, overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Sequence, Tuple, Union

import yaml

from gluon_liver.errors import ConfigError
from gluon_liver.files.atomic import write_text
from gluon_liver.files.json_records import read_yaml
from gluon_liver.files.typed import build

from .catalogue import CONFIG_FOLDER, SET_FOLDER, name_help
from .explain import suggestion, unknown_keys
from .renewed import renewed
from .schema import Config


class Choice(NamedTuple):
    """How a configuration was asked for: names or paths, each laid over those before it, then single keys."""

    names: Sequence[str]
    overrides: Sequence[str] = ()  # key.subkey=value


def load_config(name: Union[str, Path], *fragments: Union[str, Path], overrides: Sequence[str] = ()) -> Config:
    """Read a packaged configuration by name, or a YAML file by path.

    Each of the ``fragments`` is laid over what is before it; ``overrides`` are ``key.subkey=value`` strings, values in
    YAML. Raises :class:`ConfigError` for an unknown name or key, a value of the wrong type, or a combination that
    cannot work.
    """
    tree = _read_tree(_find(name), seen=())
    for fragment in fragments:
        tree = _merge(tree, _read_tree(_find(fragment), seen=()))
    for override in overrides:
        _apply_override(tree, override)
    return build_config(tree)


def build_config(tree: Mapping[str, Any]) -> Config:
    """A checked :class:`Config` from nested mappings. Raises :class:`ConfigError` as :func:`load_config`."""
    tree = renewed(tree)
    unknown = {key: suggestion(key) for key in unknown_keys(tree)}
    if any(unknown.values()):
        told = " ".join(f"unknown key {key!r}{near or ';'}" for key, near in unknown.items())
        raise ConfigError(f"{told} `config explain` tells all keys")
    return build(Config, tree, error=ConfigError, refuse_unknown=True, text_numbers=True)


def save_config(config: Config, path: Union[str, Path]) -> None:
    """Write every key, defaults included, as YAML, whole or not at all."""
    write_text(path, config_text(config))


def config_text(config: Config) -> str:
    """Every key, defaults included, as YAML."""
    text: str = yaml.safe_dump(config.to_dict(), sort_keys=False)
    return text


def _find(name: Union[str, Path]) -> Path:
    if not isinstance(name, (str, Path)):
        raise ConfigError(f"BASE: expected the name of a configuration, found {name!r}")
    packaged = [folder / file for folder in (CONFIG_FOLDER, SET_FOLDER) for file in (f"{name}.yaml", str(name))]
    for path in (*packaged, Path(name)):
        if _is_file(path) and (path.suffix == ".yaml" or path == Path(name)):
            return path
    raise ConfigError(f"no configuration {str(name)!r}{name_help(str(name))}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _read_tree(path: Path, *, seen: Tuple[Path, ...]) -> Dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError(f"{path.name}: BASE refers back to the file itself")
    tree = read_yaml(path, error=ConfigError)
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise ConfigError(f"{path.name}: expected keys and values, found a {type(tree).__name__}")
    tree = renewed(tree)  # of each file by itself, so that an older one overrides its base
    base = tree.pop("BASE", None)
    below: Dict[str, Any] = {}
    for one in base if isinstance(base, list) else [] if base is None else [base]:  # each is laid over those before it
        beside = path.parent / str(one)
        below = _merge(below, _read_tree(beside if _is_file(beside) else _find(one), seen=seen + (path.resolve(),)))
    return _merge(below, tree)


def _merge(base: Dict[str, Any], top: Mapping[str, Any]) -> Dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _apply_override(tree: Dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override!r}: expected key.subkey=value")
    *parents, leaf = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} is a value and has no keys")
    try:
        tree[leaf] = yaml.safe_load(text)
    except (RecursionError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML") from error
