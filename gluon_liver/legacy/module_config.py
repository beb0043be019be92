"""The configuration beside a Module checkpoint, and where its parameters are, read before MXNet is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping

from gluon_liver.config.load import build_config
from gluon_liver.config.schema import Config
from gluon_liver.data.ct_dataset import network_phases
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import check_task
from gluon_liver.data.us_dataset import reads_pairs
from gluon_liver.data.us_pairs import STEP
from gluon_liver.errors import ConfigError, DatasetError, InputError
from gluon_liver.files.json_records import read_json

CONFIG = "config.json"
ADDED = ("classes", "phases", "step", "modality")  # keys of config.json that a configuration does not have


def params_of(prefix: str, epoch: int) -> Path:
    """The file of parameters of a Module checkpoint. Raises :class:`InputError` where it is not there."""
    path = Path(f"{prefix}-{epoch:04d}.params")
    if not path.is_file():
        raise InputError(f"{path} is not there: PREFIX-0007.params is read with PREFIX --epoch 7")
    return path


def plain_config(config: Config, record: Mapping[str, Any]) -> Dict[str, Any]:
    """A configuration as ``symbols`` takes it; ``record`` is of a run or :meth:`Dataset.training_record`."""
    plain = dict(config.to_dict(), classes=list(record["classes"]))
    if "phases" in record:
        plain["phases"] = network_phases(config, record)
    if "modality" in record:  # of CT it is not said
        plain["modality"] = record["modality"]
    if reads_pairs(config):
        plain["step"] = record.get("step", STEP)
    return plain


def read_legacy_config(path: Path, dataset: Dataset) -> Config:
    """The configuration in an export's config.json.

    Raises :class:`ConfigError` when it is none, and :class:`DatasetError` when the data have other classes or phases.
    """
    plain = read_json(path, error=ConfigError, remedy="say with --config what the checkpoint's network is")
    if not isinstance(plain, dict):
        raise ConfigError(f"{path} is no configuration: say with --config what the checkpoint's network is")
    config = build_config({key: value for key, value in plain.items() if key not in ADDED})
    check_task(config, dataset)
    shown = plain_config(config, dataset.training_record())
    for key in ADDED:
        wanted, given = plain.get(key), shown.get(key)
        if key == "step" and wanted is None:  # an older version exported it
            continue
        if wanted != given:
            remedy = f": import the recordings again with --step {wanted}" if key == "step" else ""
            raise DatasetError(f"the network was made for the {key} {wanted}, of the data it sees {given}{remedy}")
    return config
