"""Transfer learning from a run of this package or its export, on data of the same classes or of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.open import TASKS
from gluon_liver.errors import InputError
from gluon_liver.files.digest import hash_file
from gluon_liver.files.typed import build
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.readers.weights.formats import read_weights
from gluon_liver.runs.checkpoint import read_parameters
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.manifest import PARAMETERS
from gluon_liver.runs.run import Run

from .resnet import BACKBONE, BLOCK4, Match, TransferReport, Unused
from .source import Export
from .torch_names import torch_name

PREDICTORS = ("class_predictor.", "box_predictor.")  # the layers that are made for the classes
FLOW = "flow."


class Source(NamedTuple):
    """Parameters of a detector of this package, by its structural names; ``names`` has what a file calls them."""

    place: Path
    config: Config
    classes: List[str]
    arrays: Mapping[str, mx.nd.NDArray]
    names: Mapping[str, str]


def transfer_run(detector: RegionDetector, config: Config, folder: Path) -> Tuple[TransferReport, Dict[str, Any]]:
    """Set every parameter that the chosen checkpoint of a run has too; returns the report and what a run records of it.

    See :func:`transfer_detector`. Raises :class:`RunError` for a folder that is no run.
    """
    run = Run.open(folder)
    checkpoint = chosen_checkpoint(run)
    manifest, theirs = read_parameters(checkpoint)
    report = transfer_detector(detector, config, Source(folder, run.config, manifest["classes"], theirs, {}))
    record = {"sha256": hash_file(checkpoint / PARAMETERS), "checkpoint": checkpoint.name}
    trained_on = [run.training_record(), *run.trained_before()]
    return report, dict(record, classes=manifest["classes"], trained_on=trained_on, **report.to_dict())


def transfer_export(
    detector: RegionDetector, config: Config, path: Path, export: Export
) -> Tuple[TransferReport, Dict[str, Any]]:
    """:func:`transfer_run` from a file of ``export --safetensors``, which ``export`` describes."""
    theirs_config = export.checked_config(path)
    for number, one in enumerate(export.trained_on):
        build(TASKS[config.task].dataset.trained_on, one, where=f"{path}: metadata: trained_on[{number}]")
    ours = {torch_name(name): name for name in detector.collect_learned()}
    theirs = {ours.get(name, name): mx.nd.array(array) for name, array in read_weights(path).items()}
    names = {ours_name: name for name, ours_name in ours.items()}
    report = transfer_detector(detector, config, Source(path, theirs_config, list(export.classes), theirs, names))
    record = {"sha256": hash_file(path), "checkpoint": export.checkpoint}
    return report, dict(record, classes=list(export.classes), trained_on=export.trained_on, **report.to_dict())


def transfer_detector(detector: RegionDetector, config: Config, source: Source) -> TransferReport:
    """Set every parameter that the source has too; ``check_networks`` has passed.

    The predictors of classes and boxes are taken where the source was trained on the same classes in the same order,
    and else keep their initial values, as do parameters that it lacks or has in another shape. A flow that stays as it
    was trained is the one of ``--flow``.

    Raises :class:`InputError`, with the detector unchanged, for another backbone and for values that are not finite.
    """
    theirs, names = source.arrays, source.names
    same_classes = source.classes == list(detector.classes)
    report = TransferReport([], [], [])
    values: Dict[str, mx.nd.NDArray] = {}
    parameters = detector.collect_learned()
    for name, parameter in parameters.items():
        why = ""
        if name.startswith(PREDICTORS) and not same_classes:
            why = f"made for other classes: {', '.join(source.classes)}"
        elif name.startswith(FLOW) and not config.flow.train:
            why = "of --flow"
        elif name not in theirs:
            why = "not in the run's network"
        elif theirs[name].shape != parameter.shape:
            why = f"{theirs[name].shape} there, {parameter.shape} here"
            if name.startswith((BACKBONE, BLOCK4)):
                same = (
                    "network.width, network.depth, network.stem, network.slice_fusion and, with channels, data.slices"
                )
                where = f"{source.place}: {names.get(name, name)}"
                raise InputError(f"{where} is {why}: take a run of the same {same}")
        elif not np.isfinite(theirs[name].asnumpy()).all():
            raise InputError(f"{source.place}: {names.get(name, name)} holds values that are not finite")
        if why:
            report.not_initialised.append(Unused(name, why))
        else:
            values[name] = theirs[name]
            report.matched.append(Match(name, names.get(name, name), "as is"))
    report.skipped.extend(Unused(name, "has no counterpart") for name in theirs if name not in parameters)
    for name, value in values.items():
        parameters[name].set_data(value)
    return report
