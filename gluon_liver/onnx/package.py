"""A run as a folder of graphs, with all that a program needs to run them without gluon_liver."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Dict, Optional

import onnx

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.output_folder import check_new, check_output, whole_folder, why_not_written
from gluon_liver.nn.us_detector import USDetector
from gluon_liver.runs.checkpoint import open_network
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.manifest import PARAMETERS
from gluon_liver.runs.run import Run
from gluon_liver.system.environment import installed_versions, provenance

from .calibration import Calibration
from .check_file import write_check
from .convert import IR_VERSION, OPSET
from .graphs import GRAPHS
from .manifest import FLOAT32, write_manifest
from .readme import readme
from .settings import settings

CONFIG, README = "config.json", "README.md"
PROGRAM, PARTS = "predict.py", "predict_parts"  # what runs the graphs without this package
LAUNCHER = f'''"""Detections of the ONNX graphs beside this file: python {PROGRAM} --help. The parts are in {PARTS}."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))  # where Python was told to leave it out (-I, -P)

from {PARTS}.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], FOLDER))
'''
MADE_WITH = ("mxnet", "mxnet-cu112", "gluoncv", "numpy", "onnx", "onnxruntime")


def export_onnx(run: Run, out: Path, *, calibration: Optional[Calibration] = None) -> str:
    """Write the run's checkpoint to the new folder ``out``, whole or not at all; returns the checkpoint's name.

    calibration: makes int8 graphs of those in float32.

    Raises :class:`InputError` when ``out`` is taken, :class:`RunError` when the run has no intact checkpoint.
    """
    check_new(out)
    check_output(out, run.folder, overwrite=False)
    checkpoint = chosen_checkpoint(run)
    detector, loaded = open_network(run, checkpoint)
    names = list(GRAPHS) if isinstance(detector, USDetector) else ["detector"]
    plain = settings(run.config, run.environment)
    own: Dict[str, Any] = {"name": checkpoint.name, "sha256": loaded["files"][PARAMETERS]["sha256"]}
    own.update({key: loaded[key] for key in ("step", "epoch") if key in loaded})
    graphs: Dict[str, Dict[str, Any]] = {}
    try:
        with whole_folder(out) as folder:
            for name in names:
                began = time.monotonic()
                model = GRAPHS[name](detector)
                model = model if calibration is None else calibration(name, model)
                (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
                seconds = round(time.monotonic() - began, 2)
                graphs[f"{name}.onnx"] = {**described(model), "export_seconds": seconds}
            write_json(folder / CONFIG, plain)
            (folder / PROGRAM).write_text(LAUNCHER, encoding="utf-8")
            (folder / PARTS).mkdir()
            for part in Path(__file__).with_name("standalone").glob("*.py"):
                shutil.copyfile(str(part), str(folder / PARTS / part.name))
            write_check(folder, detector)
            said = {"precision": FLOAT32} if calibration is None else calibration.record()
            notes = [*plain["notes"], *([] if calibration is None else [calibration.note])]
            text = readme({**plain, "notes": notes}, graphs, checkpoint=own)
            (folder / README).write_text(text, encoding="utf-8")
            write_manifest(
                folder,
                checkpoint=own,
                model=run.config.model,
                # without the command: the folder goes elsewhere, and paths may name somebody
                made={key: value for key, value in provenance().items() if key != "command"},
                packages=installed_versions(MADE_WITH),
                opset=OPSET,
                ir_version=IR_VERSION,
                graphs=graphs,
                **said,
            )
    except OSError as error:
        raise InputError(f"--out {out}: {why_not_written(error)}") from error
    return checkpoint.name


def described(model: onnx.ModelProto) -> Dict[str, Any]:
    """Inputs and outputs of a graph with their axes, and how large it is."""
    ends = {"inputs": model.graph.input, "outputs": model.graph.output}
    return {
        **{end: {one.name: _axes(one) for one in values} for end, values in ends.items()},
        "nodes": len(model.graph.node),
        "bytes": model.ByteSize(),
    }


def _axes(value: onnx.ValueInfoProto) -> Dict[str, Any]:
    tensor = value.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    return {
        "type": "float32" if kind == "float" else kind,
        "shape": [one.dim_param or one.dim_value for one in tensor.shape.dim],
    }
