"""Detections of the ONNX graphs beside predict.py, as ``gluon-liver detect`` writes them, without MXNet.

    python predict.py STUDY --phase venous=FOLDER --out detections.json      CT
    python predict.py liver.mp4 --out detections.json                        ultrasound

CT: a folder with one axial DICOM series of the reference phase (FOLDER@4 where it holds several, or one that is derived
of others: that of SeriesNumber 4), a NIfTI, or an array .npy or .npz, HU (z, y, x) with z to the head, rows to the back
and columns to the left. Other phases are put on the grid of the reference phase by their places in the patient; phases
that are not named are absent.
Ultrasound: a video, a folder of numbered pictures, or an array of frames (n, h, w, 3), uint8 RGB.

Needs numpy and onnxruntime; DICOM pydicom, videos and pictures cv2 or ffmpeg. What an import of gluon_liver would mend
(uneven slices, gantry tilt, pixels that are no squares) is refused. Research use: no medical device, not for diagnosis.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .detections import detect_frames, detect_study
from .refusals import Unusable


def checked_config(folder: Path) -> Dict[str, Any]:
    """config.json of a folder all of whose files are those that were exported."""
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        odd = [
            name
            for name in files
            # texts may have been changed by who reads them, or by git on Windows
            if not name.endswith((".md", ".py"))
            and hashlib.sha256((folder / name).read_bytes()).hexdigest() != files[name]["sha256"]
        ]
        config: Dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        graphs = ["detector.onnx"] if config["task"] == "ct" else ["frame.onnx", "stream.onnx"]
        lacking = [name for name in ("config.json", *graphs) if name not in files]
        if lacking:
            raise KeyError(f"manifest.json says nothing of {lacking[0]}")
    except (AttributeError, OSError, KeyError, TypeError, ValueError) as error:
        raise Unusable(f"{folder} is no whole folder of `export --onnx`: {error}") from error
    if odd:
        raise Unusable(f"{folder / odd[0]} is damaged or was changed: its SHA-256 is not the manifest's")
    return config


def written(rows: List[Dict[str, Any]], classes: Sequence[str], out: Path, place: Optional[str]) -> None:
    """The file, and with ``place``, "frame" or "slice", the same as CSV beside it; they appear whole or not at all."""
    texts = {out: json.dumps(rows, indent=1) + "\n"}
    if place:
        lines = [f"{place},class,score,x,y,width,height"]
        for row in rows:
            name = classes[row["category_id"] - 1].replace('"', '""')
            lines.append(",".join(map(str, [row[place], f'"{name}"', row["score"], *row["bbox"]])))
        texts[out.with_suffix(".csv")] = "\n".join(lines) + "\n"
    partial = {path: path.with_name(f".{path.name}.{os.getpid()}.partial") for path in texts}
    there: List[Path] = []
    try:
        for path, text in texts.items():
            partial[path].write_text(text, encoding="utf-8")
        for path in texts:
            os.replace(partial[path], path)
            there.append(path)
    except OSError as error:
        for one in there:
            one.unlink()
        raise Unusable(f"{path} cannot be written: {error.strerror}") from error
    finally:
        for one in partial.values():
            one.unlink(missing_ok=True)


def named_path(text: str) -> Tuple[str, Path]:
    """NAME and PATH of NAME=PATH; for argparse."""
    name, _, path = text.partition("=")
    if not (name and path):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=PATH")
    return name, Path(path)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, metavar="INPUT", help="study or recording, see above")
    text = "another contrast phase of CT; may be repeated"
    parser.add_argument("--phase", type=named_path, action="append", default=[], metavar="NAME=PATH", help=text)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="COCO results to write")
    parser.add_argument("--csv", action="store_true", help="write them as FILE.csv too")
    text = "lowest score that is written, 0 to 1 (default: all that the network gives)"
    parser.add_argument("--score", type=float, default=0.0, metavar="SHARE", help=text)
    text = "mm between slices, rows and columns, of an array that does not tell them"
    parser.add_argument("--spacing", type=float, nargs=3, metavar=("DZ", "DY", "DX"), help=text)
    parser.add_argument("--no-air", action="store_true", help="take arrays and NIfTI without air as they are")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of onnxruntime (default: its own choice)")
    return parser


def main(arguments: Sequence[str], folder: Path) -> int:
    """Detect with the graphs of a folder; 0, or 2 where something cannot be read, which is told."""
    args = parser().parse_args(arguments)
    args.folder = folder
    try:
        if not 0 <= args.score <= 1:
            raise Unusable(f"--score {args.score:g}: it must be from 0 to 1")
        if args.threads < 0:
            raise Unusable(f"--threads {args.threads}: it must be 1 or more, or 0 for onnxruntime's own choice")
        for path in (args.out, *([args.out.with_suffix(".csv")] if args.csv else [])):
            if path.exists() or args.out.suffix != ".json":
                raise Unusable(f"--out {args.out}: give a new name that ends in .json; {path} exists or would be one")
        if not os.access(args.out.resolve().parent, os.W_OK | os.X_OK):
            raise Unusable(f"--out {args.out}: its folder is not there or not writable")
        for path in (args.input, *(path for _, path in args.phase)):
            if path.is_dir() and path.resolve() in args.out.resolve().parents:
                raise Unusable(f"--out {args.out} lies inside {path}, which is read; choose a folder outside of it")
        config = checked_config(args.folder)
        detect = detect_study if config["task"] == "ct" else detect_frames
        rows = [row for row in detect(args, config) if row["score"] >= args.score]
        place = "slice" if config["task"] == "ct" else "frame"
        written(rows, config["classes"], args.out, place if args.csv else None)
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    likely = sum(row["score"] >= 0.5 for row in rows)
    print(f"{len(rows)} boxes, {likely} at score 0.5 and above: {args.out}. Research use, not for diagnosis.")
    return 0
