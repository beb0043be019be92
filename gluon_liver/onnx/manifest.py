"""The manifest of an exported folder: what made it, of which checkpoint, and every file with its SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping

from gluon_liver.errors import InputError, RunError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.digest import digest
from gluon_liver.files.json_records import read_record
from gluon_liver.runs.manifest import PARAMETERS, DamageError, verified

MANIFEST = "manifest.json"
FORMAT = 1
TEXTS = (".md", ".py")
FLOAT32 = "float32"
REMEDY = "export the run again: export RUN --onnx --out DIR"


@dataclass(frozen=True)
class ExportedCheckpoint:
    """Which checkpoint of a run the graphs hold; sha256: of its file of parameters."""

    name: str
    step: int
    sha256: str


@dataclass(frozen=True)
class ExportedFile:
    """A file of the folder."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is read of manifest.json, which says more."""

    format: int
    checkpoint: ExportedCheckpoint
    files: Dict[str, ExportedFile]
    precision: str = FLOAT32


def write_manifest(folder: Path, *, checkpoint: Mapping[str, Any], **said: Any) -> None:
    """List what lies in ``folder``; ``said`` is of the graphs and of what made them."""
    paths = sorted(path for path in folder.rglob("[!.]*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): digest(path) for path in paths}
    write_json(folder / MANIFEST, {"format": FORMAT, "checkpoint": dict(checkpoint), **said, "files": files})


def check_of_run(manifest: Manifest, checkpoint: Path, *, folder: Path) -> None:
    """Raise :class:`InputError` unless the graphs of ``folder`` hold the parameters of a run's ``checkpoint``."""
    try:
        own = verified(checkpoint, PARAMETERS)["files"][PARAMETERS]["sha256"]
    except DamageError as damage:
        raise RunError(f"{checkpoint}: {damage}") from damage
    if own != manifest.checkpoint.sha256:
        theirs = f"{folder} was exported from {manifest.checkpoint.name} (SHA-256 {manifest.checkpoint.sha256[:12]})"
        raise InputError(f"{theirs}, the run's {checkpoint.name} is another ({own[:12]}): {REMEDY}")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder whose files are what it says, but for texts, which readers and git may change.

    Raises :class:`InputError` where it is no such folder, or a file lacks or differs.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} is no folder that export --onnx made: it has no {MANIFEST}")
    manifest = read_record(Manifest, path, remedy=REMEDY)
    if manifest.format != FORMAT:
        raise InputError(f"{path} has the format {manifest.format}, this version reads {FORMAT}: {REMEDY}")
    for name, listed in manifest.files.items():
        if name.endswith(TEXTS):
            continue
        try:
            found = digest(folder / Path(name).name)
        except OSError as error:
            raise InputError(f"{folder}: {name} cannot be read ({error}): {REMEDY}") from error
        if found != {"bytes": listed.bytes, "sha256": listed.sha256}:
            raise InputError(f"{folder}: {name} is not the file that was exported, its SHA-256 differs: {REMEDY}")
    return manifest
