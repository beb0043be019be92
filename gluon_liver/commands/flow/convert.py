"""Convert released weights of LiteFlowNet to MXNet parameters, with a JSON about them beside it.

FILE is the authors' Caffe model (liteflownet.caffemodel, also -ft-sintel and -ft-kitti; told by the ending) or the
state dict of the PyTorch port (network-default.pytorch). Every tensor must be there in its shape, and no other. The
authors' weights are for non-commercial use: see their licence. Nothing in the file is run.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import add_flag, add_path

CAFFE_ENDING = ".caffemodel"
FILES = f"*{CAFFE_ENDING}, or a file of torch.save"

EXAMPLES = (
    ("the authors' Caffe model", "liteflownet.caffemodel --out flow.params"),
    ("the PyTorch port's weights", "network-default.pytorch --out flow.params"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "file", "FILE", FILES)
    add_path(parser, "--out", "PARAMS", "file to write, such as flow.params", required=True)
    add_path(parser, "--manifest", "JSON", "default: PARAMS with the ending .json")
    add_flag(parser, "--overwrite", "replace files that exist")


def run(args: argparse.Namespace) -> int:
    """Convert and print what was written."""
    from gluon_liver.errors import InputError

    manifest_path = args.manifest if args.manifest is not None else args.out.with_suffix(".json")
    if manifest_path == args.out:
        raise InputError(f"--out {args.out} and the manifest are the same file: give --out another ending")
    for path in (args.out, manifest_path):
        if path.exists() and not args.overwrite:
            raise InputError(f"{path} exists; choose another name, or replace it with --overwrite")
    if args.file.is_dir():
        raise InputError(f"{args.file} is a folder: give the file of weights, {FILES}")
    from gluon_liver.readers.weights.caffe import read_caffemodel
    from gluon_liver.readers.weights.formats import read_weights

    if args.file.suffix == CAFFE_ENDING:
        layers = read_caffemodel(args.file)  # before MXNet is imported
        from gluon_liver.flow.released_weights import from_caffe

        kind, converted = "Caffe", from_caffe(layers)
    else:
        weights = read_weights(args.file)
        from gluon_liver.flow.released_weights import from_port

        kind, converted = "PyTorch port", from_port(weights)
    from gluon_liver.flow.flow_file import digest, save_flow

    source = {"kind": kind, "file": args.file.name, **digest(args.file)}
    save_flow(args.out, manifest_path, converted.arrays, width=1.0, source=source, tensors=converted.sources)
    count = sum(array.size for array in converted.arrays.values())
    print(f"{len(converted.arrays)} tensors, {count} numbers of the {kind} model: {args.out}, {manifest_path}")
    return 0
