"""The README.md of exported graphs."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from gluon_liver.structures.modality import CT as HU

from .convert import OPSET

TEXT = """# A liver lesion detector as ONNX graphs

Exported by gluon_liver from {name} (step {step}) of a run of {model}{row}.
Research software: not a medical device, not for diagnosis.
{notes}
| file | |
| --- | --- |
{files}
| config.json | what the input must look like, classes, thresholds, and the whole configuration |
| check.npz | squares of random greys and MXNet's answer to them, for scripts/check_onnx_gpu.py |
| manifest.json | checkpoint, versions, SHA-256 of every file |
| predict.py | reads {kinds} and writes detections.json: `python predict.py --help`; predict_parts is of it |

Standard operators of opset {opset}: any runtime of ONNX can run them.

{graphs}
## Input

{input}

## Output

`boxes` are corners x1, y1, x2, y2 in pixels of the input, unclipped, likeliest first; divide by the scale of the resize
to have pixels of the image. `classes` count from 0: {classes}.
Rows of class -1 are empty; they stand behind the others. `scores` run from 0 to 1. Boxes at or below {threshold:g} are
left out, and of two boxes of a class with an IoU above {nms:g} the likelier one stays. Where `check` is not finite the
network computes no numbers, or was given a NaN or an infinity, and its boxes mean nothing.

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("detector.onnx", providers=["CPUExecutionProvider"])
inputs = {{{feeds}}}
boxes, classes, scores, check = session.run(["boxes", "classes", "scores", "check"], inputs)
```
"""
STREAM = """
For streams: `frame.onnx` computes what is kept of a frame, `stream.onnx` the rest of the detector, with the map of the
frame before where the network sees two. Their detections are those of `detector.onnx`.
"""
CT = """`image` is (image, phase, 1, slice, row, column): phases {phases}; {slices}.
Each slice is resized by one factor, {size} / its longer side (bicubic when enlarging, by area when shrinking), zeros
below and to the right. Values: {values}, in the window of width {width:g}, level {level:g} to 0 to 255,
rounded{storage}; then (grey / 255 - {mean}) / {std}.{present}
"""
ONE_SLICE = "one slice"
STACK = "{slices} slices, the one that is read in the middle, ends repeated{step}"
STEP = ", {:g} mm apart, linear between stored slices"
NEXT = ", stored slices next to each other"
PRESENT = """
`present` (image, phase) is 1; 0 for a phase that is not there, with the reference phase's slices in its place."""
MRI = "grey values of MRI, each volume scaled by itself (`gluon_liver.mri_volume`)"
US = """`image` is (image, frame, red green blue, row, column), grey / 255. Each frame is resized by one factor,
{size} / its longer side (bicubic when enlarging, by area when shrinking), zeros below and to the right.{before}
"""
BEFORE = """ The current frame is the last; before it
stands the one that lies {step} frame(s) before in the recording, of the first ones the frame itself."""
OWN = " The current frame stands twice."


def readme(plain: Mapping[str, Any], graphs: Mapping[str, Mapping[str, Any]], *, checkpoint: Mapping[str, Any]) -> str:
    """Text for what :func:`gluon_liver.onnx.settings.settings` says and the graphs as the manifest describes them."""
    image = graphs["detector.onnx"]["inputs"]
    names = (f"`{name}`".replace("`", "'") if "`" in name else f"`{name}`" for name in plain["classes"])
    return TEXT.format(
        **checkpoint,
        model=plain["model"],
        row=f" beside row {plain['row']} of Table 4" if plain["row"] else "",
        notes="".join(f"\n**Note**: {note}.\n" for note in plain["notes"]),
        files="\n".join(f"| {name} | {WHAT[name]} |" for name in graphs),
        opset=OPSET,
        kinds=READ[plain["task"]],
        graphs="\n".join(_graph(name, graph) for name, graph in graphs.items()) + (STREAM if len(graphs) > 1 else ""),
        input=(_study if plain["task"] == "ct" else _frames)(plain["input"], image),
        classes=", ".join(names),
        threshold=plain["output"]["score_threshold"],
        nms=plain["output"]["nms_threshold"],
        feeds=", ".join(f'"{name}": {_zeros(name, one["shape"])}' for name, one in image.items()),
    )


READ = {"ct": "DICOM, NIfTI and arrays", "us": "videos, pictures and arrays"}
WHAT = {
    "detector.onnx": "the whole detector",
    "frame.onnx": "of a stream what is computed once a frame",
    "stream.onnx": "of a stream the rest of the detector",
}


def _graph(name: str, graph: Mapping[str, Any]) -> str:
    rows: List[str] = [f"`{name}`", "", "| | type | shape |", "| --- | --- | --- |"]
    for end in ("inputs", "outputs"):
        for one, said in graph[end].items():
            rows.append(f"| {end[:-1]} `{one}` | {said['type']} | ({', '.join(map(str, said['shape']))}) |")
    return "\n".join([*rows, ""])


def _zeros(name: str, shape: List[Any]) -> str:
    sizes = ", ".join("1" if length == "batch" else str(length) for length in shape)
    return f"np.{'ones' if name == 'present' else 'zeros'}(({sizes}), np.float32)"


def _study(given: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    said: Dict[str, Any] = {key: given[key] for key in ("size", "mean", "std")}
    step = NEXT if given["slice_step_mm"] is None else STEP.format(given["slice_step_mm"])
    return CT.format(
        **said,
        **given["window"],
        phases=", ".join(given["phases"]),
        slices=ONE_SLICE if given["slices"] == 1 else STACK.format(slices=given["slices"], step=step),
        values="HU" if given["modality"] == HU else MRI,
        storage=f", through 8-bit JPEG of quality {given['jpeg_quality']}" if given["jpeg_quality"] else "",
        present=PRESENT if "present" in inputs else "",
    ).rstrip()


def _frames(given: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    before = ""
    if given["frames"] > 1:
        before = BEFORE.format(step=given["step"]) if given["previous_frame"] == "before" else OWN
    return US.format(size=given["size"], before=before).rstrip()
