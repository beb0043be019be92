"""A run's weights as one ``.safetensors`` file, by PyTorch's names, and what such a file says of itself.

BatchNorm is live: weight, bias and running statistics, not folded into convolutions. The file is the same, byte for
byte, whenever the same checkpoint is written; the package ``safetensors`` orders metadata at random.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Mapping

import numpy as np

from gluon_liver import __version__
from gluon_liver.errors import InputError
from gluon_liver.files.atomic import whole_file
from gluon_liver.files.output_folder import check_new, check_output, why_not_written
from gluon_liver.runs.checkpoint import open_network
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.manifest import PARAMETERS
from gluon_liver.runs.run import Run

from .source import MARK, check_ending
from .torch_names import torch_name

USE = "research use: not a medical device, not for diagnosis"
DATA_KEYS = ("classes", "phases", "reference_phase", "modality", "step")  # of a run's environment.json
ALIGNMENT = 8  # bytes; readers of safetensors map the tensors behind the header


def export_safetensors(run: Run, out: Path) -> str:
    """Write the weights of the run's checkpoint to the new file ``out``, whole or not at all; returns its name.

    Raises :class:`InputError` when ``out`` is taken or ends otherwise, :class:`RunError` without an intact checkpoint.
    """
    check_ending(out)
    check_new(out, what="name")
    check_output(out, run.folder, overwrite=False)
    checkpoint = chosen_checkpoint(run)
    detector, manifest = open_network(run, checkpoint)
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
