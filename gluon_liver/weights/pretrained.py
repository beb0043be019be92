"""Transfer learning: a file of trained weights into a fresh detector, and a record of it for the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from gluon_liver.config.schema import Config
from gluon_liver.config.windows import window_values
from gluon_liver.data.images import GREY_MEAN, GREY_STD
from gluon_liver.errors import ConfigError, InputError
from gluon_liver.files.digest import hash_file
from gluon_liver.flow.flow_file import find_flow
from gluon_liver.flow.options import check_flow
from gluon_liver.flow.released_weights import load_flow
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.readers.weights.formats import read_weights

from .own_run import transfer_export, transfer_run
from .resnet import TransferReport, transfer
from .source import Pretrained, check_source


def load_pretrained(
    detector: RegionDetector, config: Config, pretrained: Pretrained
) -> Tuple[TransferReport, Dict[str, Any]]:
    """Set the detector's backbone and Block4; returns the report and what a run records of it.

    A detector with ``network.width`` below 1 takes the first channels of each layer. Of a run and
    its export to safetensors everything is taken that fits, see :func:`transfer_detector`.

    Raises :class:`InputError` that names file, key and shapes when the weights are another architecture's, and
    :class:`ConfigError` when BatchNorm is frozen on statistics that cropped channels do not have.
    """
    path, export = check_source(config, pretrained)
    if path.is_dir():
        return transfer_run(detector, config, path)
    if export is not None:
        return transfer_export(detector, config, path, export)
    narrow, network = config.network.width < 1, config.network
    weights = read_weights(path)
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
