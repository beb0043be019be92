"""The manifest of a checkpoint folder: its files with their sizes and SHA-256, step, epoch and classes.

It bears its own SHA-256 too. Format 1 did not, and listed the parameters alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

from gluon_liver.errors import InputError
from gluon_liver.files.digest import digest, plain_file
from gluon_liver.files.json_records import read_json

PARAMETERS, OPTIMIZER, STATE, CONFIG = "net.params", "optimizer.params", "state.json", "config.yaml"
MANIFEST = "manifest.json"
FILES = {1: {PARAMETERS}, 2: {PARAMETERS, OPTIMIZER, STATE, CONFIG}}  # what each format may list


class DamageError(Exception):
    """A folder is not what its manifest says; the text names the file, not the folder."""


def write_manifest(folder: Path, *, step: int, epoch: int, classes: Sequence[str]) -> None:
    """List what lies in ``folder``."""
    manifest = {
        "format": 2,
        "step": step,
        "epoch": epoch,
        "classes": list(classes),
        "files": {path.name: digest(path) for path in sorted(folder.iterdir())},
    }
    manifest["sha256"] = own_digest(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def verified(folder: Path, *names: str) -> Dict[str, Any]:
    """The manifest, if the files it lists (or just those of ``names``) are what it says.

    Files that it does not list are not looked at. Raises :class:`DamageError`.
    """
    try:
        manifest = read_json(plain_file(folder / MANIFEST))
        listed, known = manifest["files"], FILES[manifest["format"]]
        if manifest["format"] > 1 and manifest["sha256"] != own_digest(manifest):
            raise ValueError(f"{MANIFEST} differs from its own SHA-256")
        if not {PARAMETERS} <= set(listed) <= known:
            raise ValueError(f"{MANIFEST} lists {sorted(listed)}")
        if type(manifest["step"]) is not int or not isinstance(manifest["classes"], list):
            raise ValueError("step or classes are of another kind")
        odd = [name for name in names or sorted(listed) if digest(folder / name) != listed[name]]
    except (OSError, InputError, LookupError, TypeError, ValueError) as error:
        said = str(error) if isinstance(error, InputError) else repr(error)
        raise DamageError(f"not a complete checkpoint ({said})") from error
    if odd:
        raise DamageError(f"{odd[0]} is damaged: its size or SHA-256 differs from the manifest")
    return manifest


def own_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of all that a manifest says but for the field ``sha256``."""
    said = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode("ascii")).hexdigest()
