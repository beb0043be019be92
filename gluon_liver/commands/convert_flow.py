"""Convert released weights of LiteFlowNet to MXNet parameters, with a JSON about them beside it.

FILE is the authors' Caffe model (liteflownet.caffemodel, also -ft-sintel and -ft-kitti; told by the ending) or the
state dict of the PyTorch port (network-default.pytorch). Every tensor must be there in its shape, and no other. The
authors' weights are for non-commercial use: see their licence. Nothing in the file is run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict

CAFFE_ENDING = ".caffemodel"
CONVENTIONS = {
    "images": "(B, 3, H, W), blue, green, red, 0 to 1; the network subtracts the means",
    "flow": "(B, 2, H, W), pixels, channel 0 right, channel 1 down; first[y, x] = second[y + dy, x + dx]",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m gluon_liver convert-flow``."""
    parser.add_argument("file", type=Path, metavar="FILE", help=f"*{CAFFE_ENDING}, or a file of torch.save")
    parser.add_argument("--out", required=True, type=Path, metavar="PARAMS", help="file to write, such as flow.params")
    parser.add_argument("--manifest", type=Path, metavar="JSON", help="default: PARAMS with the ending .json")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(args: argparse.Namespace) -> int:
    """Convert and print what was written."""
    from ..data.caffe_files import read_caffemodel
    from ..errors import InputError
    from ..nn.flow_weights import from_caffe, from_port

    manifest_path = args.manifest if args.manifest is not None else args.out.with_suffix(".json")
    if manifest_path == args.out:
        raise InputError(f"--out {args.out} and the manifest are the same file: give --out another ending")
    for path in (args.out, manifest_path):
        if path.exists() and not args.overwrite:
            raise InputError(f"{path} exists; choose another name, or replace it with --overwrite")
    if args.file.suffix == CAFFE_ENDING:
        kind, converted = "Caffe", from_caffe(read_caffemodel(args.file))
    else:
        from ..data.weight_files import read_weights

        kind, converted = "PyTorch port", from_port(read_weights(args.file))
    count = sum(array.size for array in converted.arrays.values())
    manifest = {
        "format": 1,
        "network": "LiteFlowNet",
        "width": 1.0,
        "parameters": count,
        "source": {"kind": kind, "file": args.file.name, **digest(args.file)},
        "conventions": CONVENTIONS,
        "tensors": converted.sources,
    }
    write(args.out, manifest_path, converted.arrays, manifest)
    print(f"{len(converted.arrays)} tensors, {count} numbers of the {kind} model: {args.out}, {manifest_path}")
    return 0


def write(path: Path, manifest_path: Path, arrays: Dict[str, Any], manifest: Dict[str, Any]) -> None:
    """Write both files under temporary names, read the first back, and rename them. Raises InputError, OSError."""
    import mxnet as mx
    import numpy as np

    from ..errors import InputError

    partial, partial_manifest = (one.with_name(one.name + ".partial") for one in (path, manifest_path))
    try:
        try:
            mx.nd.save(str(partial), {name: mx.nd.array(array) for name, array in arrays.items()})
            found = mx.nd.load(str(partial))  # MXNet does not notice every failed write
            whole = set(found) == set(arrays)
            whole = whole and all(np.array_equal(found[name].asnumpy(), array) for name, array in arrays.items())
        except mx.MXNetError:
            whole = False
        if not whole:
            raise InputError(f"{path} cannot be written: does its folder exist, and is the disk full?")
        complete = {**manifest, "output": {"file": path.name, **digest(partial)}}
        partial_manifest.write_text(json.dumps(complete, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
        os.replace(partial_manifest, manifest_path)
    finally:
        for one in (partial, partial_manifest):
            if one.exists():
                one.unlink()


def digest(path: Path) -> Dict[str, Any]:
    """Size and SHA-256 of a file."""
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
