"""Transfer learning from a run of this package, on data of the same classes or of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.errors import InputError
from gluon_liver.files.digest import hash_file
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.runs.checkpoint import chosen_checkpoint, read_parameters
from gluon_liver.runs.manifest import PARAMETERS
from gluon_liver.runs.run import Run

from .resnet import BACKBONE, BLOCK4, Match, TransferReport, Unused

PREDICTORS = ("class_predictor.", "box_predictor.")  # the layers that are made for the classes
FLOW = "flow."


def transfer_run(detector: RegionDetector, config: Config, folder: Path) -> Tuple[TransferReport, Dict[str, Any]]:
    """Set every parameter that the chosen checkpoint of a run has too; returns the report and what a run records of it.

    The predictors of classes and boxes are taken where the run was trained on the same classes in the same order, and
    else keep their initial values, as do parameters that the run lacks or has in another shape. A flow that stays as it
    was trained is the one of ``--flow``.

    Raises :class:`RunError` for a folder that is no run, and :class:`InputError` for a run of the other task or with
    another backbone.
    """
    run = Run.open(folder)
    if run.config.task != config.task:
        raise InputError(f"{folder} is a run of {run.config.model}, the configuration's model is {config.model}")
    theirs_norm, norm = run.config.network.batch_norm, config.network.batch_norm
    if (theirs_norm == "group") != (norm == "group"):
        raise InputError(
            f"{folder}: network.batch_norm is {theirs_norm} there and {norm} here: group goes with group alone"
        )
    checkpoint = chosen_checkpoint(run)
    manifest, theirs = read_parameters(checkpoint)
    same_classes = manifest["classes"] == list(detector.classes)
    report = TransferReport([], [], [])
    values: Dict[str, mx.nd.NDArray] = {}
    parameters = detector.collect_learned()
    for name, parameter in parameters.items():
        why = ""
        if name.startswith(PREDICTORS) and not same_classes:
            why = f"made for other classes: {', '.join(manifest['classes'])}"
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
                raise InputError(f"{folder}: {name} is {why}: take a run of the same {same}")
        elif not np.isfinite(theirs[name].asnumpy()).all():
            raise InputError(f"{folder}: {name} holds values that are not finite")
        if why:
            report.not_initialised.append(Unused(name, why))
        else:
            values[name] = theirs[name]
            report.matched.append(Match(name, name, "as is"))
    report.skipped.extend(Unused(name, "has no counterpart") for name in theirs if name not in parameters)
    for name, value in values.items():
        parameters[name].set_data(value)
    record = {"sha256": hash_file(checkpoint / PARAMETERS), "checkpoint": checkpoint.name}
    return report, dict(record, classes=manifest["classes"], trained_on=_trained_on(run), **report.to_dict())


def _trained_on(run: Run) -> List[Dict[str, Any]]:
    """What the run was trained on, and what weights were that it began with."""
    keys = ("split_by", *(key for key in run.environment if key.startswith("training_")))
    own = {key: run.environment[key] for key in keys if key in run.environment}
    return [own, *run.trained_before()]
