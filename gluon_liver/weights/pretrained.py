"""Transfer learning: a file of trained weights into a fresh detector, and a record of it for the run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

from gluon_liver.config.schema import Config
from gluon_liver.config.windows import window_values
from gluon_liver.data.images import GREY_MEAN, GREY_STD
from gluon_liver.data.open import TASKS
from gluon_liver.errors import ConfigError, InputError
from gluon_liver.files.digest import hash_file
from gluon_liver.flow.flow_file import find_flow
from gluon_liver.flow.options import check_flow
from gluon_liver.flow.released_weights import load_flow
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.readers.weights.formats import read_weights
from gluon_liver.runs.zoo import resolve_run

from .own_run import transfer_export, transfer_run
from .resnet import TransferReport, transfer
from .safetensors_file import read_export


class Pretrained(NamedTuple):
    """A file of ResNet weights (see :func:`gluon_liver.readers.weights.formats.read_weights`), a run folder, or
    ``zoo:NAME``.

    ``input_hu``: what the source net takes as 0 and as 1, in HU, for nets trained on CT; None for one that takes what
    ours takes (grey or RGB normalised by ImageNet's mean and deviation).
    """

    path: Path
    input_hu: Optional[Tuple[float, float]] = None


def load_pretrained(
    detector: RegionDetector, config: Config, pretrained: Pretrained
) -> Tuple[TransferReport, Dict[str, Any]]:
    """Set the detector's backbone and Block4; returns the report and what a run records of it.

    A detector with ``network.width`` below 1 takes the first channels of each layer. Of a run and
    its export to safetensors everything is taken that fits, see :func:`transfer_detector`.

    Raises :class:`InputError` that names file, key and shapes when the weights are another architecture's, and
    :class:`ConfigError` when BatchNorm is frozen on statistics that cropped channels do not have.
    """
    path = resolve_run(pretrained.path)
    if path.is_dir():
        if pretrained.input_hu:
            raise ConfigError("--pretrained-hu says what the net of a file takes; a run takes what ours takes")
        return transfer_run(detector, config, path)
    export = read_export(pretrained.path)
    if export is not None:
        if pretrained.input_hu:
            raise ConfigError(f"--pretrained-hu: {pretrained.path} is an export of a run, which takes what ours takes")
        return transfer_export(detector, config, pretrained.path, export)
    narrow, network = config.network.width < 1, config.network
    if narrow and (network.batch_norm == "frozen" or network.frozen_stages):
        frozen, wanted = f"frozen_stages is {network.frozen_stages}", "0"
        if network.batch_norm == "frozen":
            frozen, wanted = "batch_norm is 'frozen'", "live"
        raise ConfigError(
            f"network.{frozen} with network.width {network.width}: the statistics of a pretrained net do not fit a "
            f"part of its channels, it must be {wanted}"
        )
    if pretrained.input_hu and not TASKS[config.task].dataset.in_hu:
        raise ConfigError(f"--pretrained-hu is for CT; the configuration's model is {config.model}")
    low, high = pretrained.input_hu or (0.0, 1.0)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"--pretrained-hu {low} {high}: two numbers are needed, the first below the second")
    weights = read_weights(pretrained.path)
    if network.batch_norm == "group" and any(name.endswith("running_mean") for name in weights):
        raise ConfigError(
            f"network.batch_norm is 'group': {pretrained.path} was trained with BatchNorm, whose weights do not fit "
            "GroupNorm; it must be live or frozen"
        )
    try:
        report = transfer(weights, detector, crop=narrow, source_input=_source_input(config, pretrained.input_hu))
    except InputError as error:
        raise InputError(f"{pretrained.path}: {error}") from error
    record = {"sha256": hash_file(pretrained.path), "input_hu": pretrained.input_hu, "cropped": narrow}
    return report, dict(record, **report.to_dict())


def set_flow(detector: RegionDetector, config: Config, path: Optional[Path]) -> Optional[Dict[str, Any]]:
    """Set the optical flow of a ``us-flow`` detector from a file; returns what a run records of it.

    Raises :class:`ConfigError` when the network has no flow to set, or needs one and none is given, and
    :class:`InputError` for a file that is not of LiteFlowNet at ``flow.width``.
    """
    check_flow(config, path)
    if path is None:
        return None
    file = find_flow(path)
    if file.width != config.flow.width:
        raise InputError(f"{file.path} is of a flow net of width {file.width}, flow.width is {config.flow.width}")
    load_flow(detector.flow, file.path)
    return {"sha256": file.sha256, "width": file.width}


def _source_input(config: Config, input_hu: Optional[Tuple[float, float]]) -> Tuple[float, float]:
    """(scale, shift) from our network's input to the source's, both linear in HU inside our window."""
    if input_hu is None:
        return 1.0, 0.0
    width, level = window_values(config.data.window)
    low, span = input_hu[0], input_hu[1] - input_hu[0]
    darkest = level - width / 2.0
    return GREY_STD * width / span, (darkest + GREY_MEAN * width - low) / span
