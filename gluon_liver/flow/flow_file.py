"""Optical flow for detectors: the files of ``train-flow`` or ``convert-flow``, and the network's input."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Mapping, NamedTuple, Union

import mxnet as mx
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.files.arrays import save_arrays
from gluon_liver.files.atomic import whole_path, write_json
from gluon_liver.files.digest import digest, hash_file
from gluon_liver.files.json_records import read_record
from gluon_liver.files.typed import above, at_most, required

FLOW_PARAMETERS, FLOW_MANIFEST = "flow.params", "flow.json"
REMEDY = "make both with train-flow or convert-flow"
CONVENTIONS = {
    "images": "(B, 3, H, W), blue, green, red, 0 to 1; the network subtracts the means",
    "flow": "(B, 2, H, W), pixels, channel 0 right, channel 1 down; first[y, x] = second[y + dy, x + dx]",
}
WIDEST = 4.0  # no file is of such a network; a damaged width must not ask for all memory


@dataclass(frozen=True)
class FlowOutput:
    """The file of parameters as it was written."""

    sha256: str


@dataclass(frozen=True)
class FlowManifest:
    """The JSON beside a file of flow parameters, as far as it is read back."""

    format: Literal[1]
    network: Literal["LiteFlowNet"]
    output: FlowOutput
    width: float = required(above(0) & at_most(WIDEST))


class FlowFile(NamedTuple):
    """Parameters of LiteFlowNet on disk, those that the JSON beside them was written for."""

    path: Path
    width: float
    sha256: str


def find_flow(path: Union[str, os.PathLike]) -> FlowFile:
    """A folder of ``train-flow``, or a file of parameters with its JSON beside it.

    Raises :class:`InputError` when one of the two is missing or the parameters are not those of the JSON.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FLOW_PARAMETERS
    manifest_path = path.with_suffix(".json")
    manifest = read_record(FlowManifest, manifest_path, remedy=REMEDY)
    try:
        digest = hash_file(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {REMEDY}") from error
    if digest != manifest.output.sha256:
        raise InputError(f"{path} is not the file that {manifest_path} was written for: its SHA-256 differs; {REMEDY}")
    return FlowFile(path, manifest.width, digest)


def save_flow(
    path: Path,
    manifest_path: Path,
    arrays: Mapping[str, np.ndarray],
    *,
    width: float,
    source: Mapping[str, Any],
    **more: Any,
) -> None:
    """Write parameters, read them back, and write the JSON about them: what :func:`find_flow` finds.

    arrays: float32 by name. source: where they come from. more: further entries of the JSON. Both files appear when
    both are whole. Raises :class:`InputError` when the disk did not take them, OSError.
    """
    with whole_path(manifest_path) as partial_manifest, whole_path(path) as partial:
        try:
            save_arrays(partial, {name: mx.nd.array(array) for name, array in arrays.items()})
        except OSError as error:
            raise InputError(f"{path} cannot be written: does its folder exist, and is the disk full?") from error
        count, output = sum(array.size for array in arrays.values()), {"file": path.name, **digest(partial)}
        head = {"format": 1, "network": "LiteFlowNet", "width": width, "parameters": count, "source": source}
        write_json(partial_manifest, {**head, "conventions": CONVENTIONS, **more, "output": output})


def flow_input(frames: np.ndarray, *, context: mx.Context) -> mx.nd.NDArray:
    """uint8 (B, H, W, 3) RGB -> (B, 3, H, W), blue, green, red, 0 to 1, as ``LiteFlowNet`` takes it."""
    planes = np.ascontiguousarray(np.moveaxis(frames[..., ::-1], -1, 1), np.float32) / np.float32(255.0)
    return mx.nd.array(planes, ctx=context)
