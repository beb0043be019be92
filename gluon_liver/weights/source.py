"""What training may start from, as far as it can be checked before MXNet is imported."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from gluon_liver.config.load import build_config
from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import TASKS
from gluon_liver.errors import ConfigError, InputError
from gluon_liver.files.typed import build
from gluon_liver.readers.weights.formats import read_metadata
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.run import Run
from gluon_liver.runs.zoo import resolve_run

ENDING = ".safetensors"  # of exports of a run
MARK = "gluon_liver"  # the key of the metadata that only such files have


class Pretrained(NamedTuple):
    """A file of ResNet weights (see :func:`gluon_liver.readers.weights.formats.read_weights`), a run folder, or
    ``zoo:NAME``.

    ``input_hu``: what the source net takes as 0 and as 1, in HU, for nets trained on CT; None for one that takes what
    ours takes (grey or RGB normalised by ImageNet's mean and deviation).
    """

    path: Path
    input_hu: Optional[Tuple[float, float]] = None


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


def check_source(config: Config, pretrained: Pretrained) -> Tuple[Path, Optional[Export]]:
    """The file or run folder, and what an export of a run says of itself; None for other weights.

    Raises :class:`InputError` for what holds no weights that the configuration's network can take, as far as that can
    be told without the network, and :class:`ConfigError` for options and keys that do not go with it.
    """
    path = resolve_run(pretrained.path)
    if path.is_dir():
        if pretrained.input_hu:
            raise ConfigError("--pretrained-hu says what the net of a file takes; a run takes what ours takes")
        run = Run.open(path)
        check_networks(run.config, config, path)
        chosen_checkpoint(run)
        return path, None
    export = read_export(path)
    if export is None:
        _check_options(config, pretrained)
    elif pretrained.input_hu:
        raise ConfigError(f"--pretrained-hu: {path} is an export of a run, which takes what ours takes")
    else:
        check_networks(export.checked_config(path), config, path)
    return path, export


def check_ending(out: Path) -> None:
    """Raise :class:`InputError` for a name that an export to safetensors does not have."""
    if out.suffix != ENDING:
        raise InputError(f"--out {out}: the name of such a file ends in {ENDING}")


def check_hu(pretrained: Optional[Pretrained], dataset: Dataset) -> None:
    """Raise :class:`ConfigError` where weights are said to take HU and the data hold none."""
    if pretrained is not None and pretrained.input_hu and not dataset.holds_hu:
        raise ConfigError(f"--pretrained-hu is of HU, and the pixels of {dataset.folder} are none: leave it out")


def _check_options(config: Config, pretrained: Pretrained) -> None:
    network = config.network
    if network.width < 1 and (network.batch_norm == "frozen" or network.frozen_stages):
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


def check_networks(theirs: Config, ours: Config, place: Path) -> None:
    """Raise :class:`InputError` where weights of one configuration can be nothing in the other."""
    if theirs.task != ours.task:
        raise InputError(f"{place} is a run of {theirs.model}, the configuration's model is {ours.model}")
    theirs_norm, norm = theirs.network.batch_norm, ours.network.batch_norm
    if (theirs_norm == "group") != (norm == "group"):
        raise InputError(
            f"{place}: network.batch_norm is {theirs_norm} there and {norm} here: group goes with group alone"
        )


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
