"""A run's weights as one ``.safetensors`` file, by PyTorch's names, and what such a file says of itself.

BatchNorm is live: weight, bias and running statistics, not folded into convolutions. The file is the same, byte for
byte, whenever the same checkpoint is written; the package ``safetensors`` orders metadata at random.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import mxnet as mx
import numpy as np

from gluon_liver import __version__
from gluon_liver.config.load import build_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import ConfigError, InputError
from gluon_liver.files.atomic import whole_file
from gluon_liver.files.output_folder import check_new, check_output, why_not_written
from gluon_liver.files.typed import build
from gluon_liver.nn.build import make_detector
from gluon_liver.readers.weights.formats import read_metadata
from gluon_liver.runs.checkpoint import chosen_checkpoint, load_checkpoint
from gluon_liver.runs.manifest import PARAMETERS
from gluon_liver.runs.run import Run

from .torch_names import torch_name

ENDING = ".safetensors"
MARK = "gluon_liver"  # the key of the metadata that only such files have
USE = "research use: not a medical device, not for diagnosis"
DATA_KEYS = ("classes", "phases", "reference_phase", "modality", "step")  # of a run's environment.json
ALIGNMENT = 8  # bytes; readers of safetensors map the tensors behind the header


@dataclass(frozen=True)
class Export:
    """What the metadata of an exported file must say to be read back; ``trained_on`` as in pretrained.json."""

    config: Dict[str, Any]
    classes: Tuple[str, ...]
    checkpoint: Dict[str, Any]
    trained_on: List[Dict[str, Any]] = field(default_factory=list)

    def checked_config(self, path: Path) -> Config:
        """The configuration. Raises :class:`InputError` for one that this version does not know."""
        try:
            return build_config(self.config)
        except ConfigError as error:
            raise InputError(f"{path}: its configuration cannot be read: {error}") from error


def export_safetensors(run: Run, out: Path) -> str:
    """Write the weights of the run's checkpoint to the new file ``out``, whole or not at all; returns its name.

    Raises :class:`InputError` when ``out`` is taken or ends otherwise, :class:`RunError` without an intact checkpoint.
    """
    if out.suffix != ENDING:
        raise InputError(f"--out {out}: the name of such a file ends in {ENDING}")
    check_new(out, what="name")
    check_output(out, run.folder, overwrite=False)
    checkpoint = chosen_checkpoint(run)
    detector = make_detector(run.config, classes=run.environment["classes"], phases=run.input_phases, context=mx.cpu())
    manifest = load_checkpoint(checkpoint, detector)
    arrays = {torch_name(name): one.data().asnumpy() for name, one in detector.collect_learned().items()}
    metadata = metadata_of(run, {"name": checkpoint.name, **manifest})
    try:
        with whole_file(out, "wb") as stream:
            stream.write(header(arrays, metadata))
            for name in sorted(arrays):
                stream.write(np.ascontiguousarray(arrays[name], "<f4").data)
    except OSError as error:
        raise InputError(f"--out {out}: {why_not_written(error)}") from error
    return checkpoint.name


def metadata_of(run: Run, manifest: Mapping[str, Any]) -> Dict[str, Any]:
    """What is written beside the tensors; manifest: the checkpoint's, with its ``name``."""
    environment = run.environment
    checkpoint = {key: manifest[key] for key in ("name", "step", "epoch") if key in manifest}
    return {
        MARK: __version__,
        "format": "pt",  # the names are those of PyTorch
        "use": USE,
        "model": run.config.model,
        "config": run.config.to_dict(),
        **{key: environment[key] for key in DATA_KEYS if key in environment},
        "checkpoint": {**checkpoint, "sha256": manifest["files"][PARAMETERS]["sha256"]},
        "versions": {"gluon_liver": environment.get("version"), **environment.get("packages", {})},
        "trained_on": [run.training_record(), *run.trained_before()],
    }


def header(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> bytes:
    """The beginning of a file of float32 arrays, which follow in the order of their names. Texts stay as they are in
    the metadata, all else is JSON: the format has texts alone."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)
        for key, value in metadata.items()
    }
    entries: Dict[str, Any] = {"__metadata__": texts}
    end = 0
    for name in sorted(arrays):
        begin, end = end, end + 4 * arrays[name].size
        entries[name] = {"dtype": "F32", "shape": list(arrays[name].shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def read_export(path: Path) -> Optional[Export]:
    """What a file of :func:`export_safetensors` says of itself; None for weights of anything else.

    Raises :class:`InputError` where it says it wrongly.
    """
    texts = read_metadata(path)
    if MARK not in texts:
        return None
    values: Dict[str, Any] = {}
    for key in ("config", "classes", "checkpoint", "trained_on"):
        try:
            values.update({key: json.loads(texts[key])} if key in texts else {})
        except ValueError as error:
            raise InputError(f"{path}: its metadata are damaged: {key} is not JSON ({error})") from error
    return build(Export, values, where=f"{path}: metadata")
