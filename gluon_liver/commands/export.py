"""Write a trained run for other programs, in the format that is asked for.

--onnx writes a folder of graphs with standard operators, which onnxruntime and others run without MXNet: detector.onnx,
for ultrasound also frame.onnx and stream.onnx, config.json with all that the input needs, manifest.json with
checkpoint, versions and SHA-256, and README.md (docs/onnx.md). It needs the extra onnx.

--legacy writes a folder that MXNet 1.0.0 loads on Python 2.7, and MXNet 1.9.1 too: detector-symbol.json and
detector-0000.params, config.json for symbols/, predict.py to run it with, README.md and SHA256SUMS (docs/legacy.md).

--safetensors writes one file of weights that PyTorch reads: torchvision's names for the ResNet, BatchNorm as it is, the
configuration, classes and phases in its metadata (docs/torch.md); `train --pretrained` reads it back bit for bit.

The best checkpoint of a run that chose one is taken, else the newest. What is written is written whole or not at all.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Callable, Dict

from gluon_liver.commands.options import add_flag, add_path, check, prepare_device
from gluon_liver.errors import InputError
from gluon_liver.files.typed import within

if TYPE_CHECKING:
    from gluon_liver.runs.run import Run

EXAMPLES = (
    ("graphs for onnxruntime", "demo/run --onnx --out graphs"),
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


def run(args: argparse.Namespace) -> int:
    """Export; prints what was written."""
    from gluon_liver.files.output_folder import check_new
    from gluon_liver.runs.run import Run

    (write,) = (write for name, write in WRITERS.items() if getattr(args, name))
    check(args, "batch_size", within(1, 256))
    if args.batch_size is not None and not args.legacy:
        raise InputError("--batch-size is for --legacy; the other formats take batches of any size")
    opened = Run.open(args.run)
    check_new(args.out)
    prepare_device(args)
    print(write(opened, args))
    return 0


def _onnx(opened: Run, args: argparse.Namespace) -> str:
    from gluon_liver.onnx.session import check_installed

    check_installed("export --onnx", "onnx")
    from gluon_liver.onnx.package import export_onnx

    checkpoint = export_onnx(opened, args.out)
    return f"{checkpoint} of {args.run} as {args.out / 'detector.onnx'}: README.md there says how to run it"


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
