"""Write a trained run for other programs, in the format that is asked for.

--onnx writes a folder of graphs with standard operators, which onnxruntime and others run without MXNet: detector.onnx,
for ultrasound also frame.onnx and stream.onnx, config.json with all that the input needs, manifest.json with
checkpoint, versions and SHA-256, check.npz to try it elsewhere, and README.md (docs/onnx.md). With --precision int8 its
convolutions are quantised, their ranges seen in images of the val split. It needs the extra onnx.

--legacy writes a folder that MXNet 1.0.0 loads on Python 2.7, and MXNet 1.9.1 too: detector-symbol.json and
detector-0000.params, config.json for symbols/, predict.py to run it with, README.md and SHA256SUMS (docs/legacy.md).

--safetensors writes one file of weights that PyTorch reads: torchvision's names for the ResNet, BatchNorm as it is, the
configuration, classes and phases in its metadata (docs/torch.md); `train --pretrained` reads it back bit for bit.

The best checkpoint of a run that chose one is taken, else the newest. What is written is written whole or not at all.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Callable, Dict

from gluon_liver.commands.options import add_flag, add_options, add_path, check, open_run, prepare_device
from gluon_liver.errors import InputError
from gluon_liver.files.typed import within

if TYPE_CHECKING:
    from gluon_liver.runs.run import Run

INT8 = "int8"
EXAMPLES = (
    ("graphs for onnxruntime", "demo/run --onnx --out graphs"),
    ("graphs in int8, whose ranges are seen in the val split", "demo/run --onnx --precision int8 --out graphs-int8"),
    ("weights for PyTorch", "demo/run --safetensors --out detector.safetensors"),
    ("a run for MXNet 1.0.0", "demo/run --legacy --out exported"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "run", "RUN", "run folder that train.py made, or zoo:NAME (see weights)")
    formats = parser.add_mutually_exclusive_group(required=True)
    add_flag(formats, "--onnx", "a folder of ONNX graphs, without MXNet")
    add_flag(formats, "--legacy", "a folder with a Module checkpoint for MXNet 1.0.0")
    add_flag(formats, "--safetensors", "a file NAME.safetensors of weights, by torchvision's names")
    add_path(parser, "--out", "OUT", "folder or file to make", required=True)
    text = "with --legacy: images at a time, which a symbol fixes (default: 1)"
    parser.add_argument("--batch-size", type=int, metavar="N", help=text)
    _add_precision(parser)


def _add_precision(parser: argparse.ArgumentParser) -> None:
    text = "with --onnx: of convolutions. int8 is faster on CPUs with VNNI, boxes and scores differ a little"
    parser.add_argument("--precision", choices=("float32", INT8), default="float32", help=text)
    add_options(parser, "--data", help="with int8: prepared data to see its ranges in; the run's own by default")
    text = "with int8: the split whose images show its ranges, never the test patients (default: val)"
    parser.add_argument("--calibrate", choices=("val", "train"), help=text)


def run(args: argparse.Namespace) -> int:
    """Export; prints what was written."""
    from gluon_liver.files.output_folder import check_new
    from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
    from gluon_liver.runs.run import Run
    from gluon_liver.weights.source import check_ending

    (write,) = (write for name, write in WRITERS.items() if getattr(args, name))
    check(args, "batch_size", within(1, 256))
    if args.batch_size is not None and not args.legacy:
        raise InputError("--batch-size is for --legacy; the other formats take batches of any size")
    given = [name for name in ("data", "calibrate") if getattr(args, name) is not None]
    if args.precision != "float32" and not args.onnx:
        raise InputError(f"--precision {args.precision} is for --onnx")
    if given and args.precision != INT8:
        raise InputError(f"--{given[0]} is for --precision {INT8}, whose ranges are seen in data")
    opened = Run.open(args.run)
    if args.safetensors:
        check_ending(args.out)
    check_new(args.out)
    chosen_checkpoint(opened)
    prepare_device(args)
    print(write(opened, args))
    return 0


def _onnx(opened: Run, args: argparse.Namespace) -> str:
    from gluon_liver.onnx.session import check_installed

    check_installed("export --onnx", "onnx", *(["onnxruntime"] if args.precision == INT8 else []))
    from gluon_liver.onnx.calibration import Calibration
    from gluon_liver.onnx.package import export_onnx

    calibration = None
    if args.precision == INT8:
        calibration = Calibration(*open_run(args), split=args.calibrate or "val")
    checkpoint = export_onnx(opened, args.out, calibration=calibration)
    how = "" if calibration is None else f" in {INT8}: {calibration.note}"
    return f"{checkpoint} of {args.run} as {args.out / 'detector.onnx'}{how}: README.md there says how to run it"


def _legacy(opened: Run, args: argparse.Namespace) -> str:
    from gluon_liver.legacy.checkpoints import PREFIX, export_legacy

    checkpoint = export_legacy(opened, args.out, batch_size=args.batch_size or 1)
    return f"{checkpoint} of {args.run} as {args.out / PREFIX}: README.md there says how to run it"


def _safetensors(opened: Run, args: argparse.Namespace) -> str:
    from gluon_liver.weights.safetensors_file import export_safetensors

    return f"weights of {export_safetensors(opened, args.out)} of {args.run}: {args.out}"


# option -> what writes the run to --out and says what was written
WRITERS: Dict[str, Callable[[Run, argparse.Namespace], str]] = {
    "onnx": _onnx,
    "legacy": _legacy,
    "safetensors": _safetensors,
}
