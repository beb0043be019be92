"""The graphs, and what they find."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

import numpy as np

from .frames import read_frames
from .pixels import resized
from .refusals import Unusable, needed, note
from .volume_files import read_volume
from .volumes import AIR_HU, Volume, on_grid, stacks


class Graph:
    """A graph of the folder, ready to run."""

    def __init__(self, path: Path, threads: int):
        onnxruntime = needed("onnxruntime", "predict.py")

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own have no other base
            raise Unusable(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from error
        self.inputs = [one.name for one in self._session.get_inputs()]
        self._outputs = [one.name for one in self._session.get_outputs()]

    def __call__(self, **inputs: np.ndarray) -> Dict[str, np.ndarray]:
        found = self._session.run(self._outputs, {name: inputs[name] for name in self.inputs})
        outputs = dict(zip(self._outputs, found))
        if not np.isfinite(outputs.get("check", np.zeros(1))).all():
            raise Unusable("the network's scores are not finite: it cannot detect anything")
        return outputs


def rows_of(outputs: Dict[str, np.ndarray], scale: float, shape: Sequence[int]) -> Iterator[Tuple[int, float, Any]]:
    """(class, score, corners in pixels of the image) of one image, the best first, clipped to the image."""
    classes, scores, boxes = (outputs[name][0] for name in ("classes", "scores", "boxes"))
    height, width = shape
    for at in np.argsort(-scores, kind="stable"):
        box = np.clip(boxes[at] / np.float32(scale), 0, np.array([width, height, width, height], np.float32))
        if classes[at] >= 0 and (box[2:] > box[:2]).all():
            yield int(classes[at]), float(scores[at]), box


def coco(image_id: int, found: Tuple[int, float, Any], **place: int) -> Dict[str, Any]:
    label, score, box = found
    x1, y1, x2, y2 = (round(float(edge), 2) for edge in box)
    bbox = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
    return {"image_id": image_id, "category_id": label + 1, "bbox": bbox, "score": round(score, 5), **place}


def detect_study(args: argparse.Namespace, config: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    given = config["input"]
    named = dict(args.phase)
    if {*named} - {*given["phases"][1:]} or len(named) < len(args.phase):
        others = ", ".join(given["phases"][1:]) or "none"
        raise Unusable(f"--phase NAME=PATH: INPUT is {given['phases'][0]}, the others of this network are: {others}")
    if given["modality"] != "CT" and args.input.suffix.lower() not in (".npy", ".npz"):
        raise Unusable(f"the network reads {given['modality']}: give an array of gluon_liver.mri_volume with --no-air")
    paths = [args.input, *named.values()]
    arrays = [one for one in paths if one.suffix.lower() in (".npy", ".npz")]
    if args.spacing and not arrays:
        raise Unusable("--spacing is for arrays: the others tell their own")
    if args.no_air and not arrays and not any(one.name.lower().endswith((".nii", ".nii.gz")) for one in paths):
        raise Unusable("--no-air is for arrays and NIfTI: DICOM is read as it is")
    fixed = read_volume(args.input, args)
    read = {given["phases"][0]: fixed}
    hu = np.full((len(given["phases"]), *fixed.hu.shape), AIR_HU, np.int16)
    present = np.zeros(hu.shape[:2], bool)
    hu[0], present[0] = fixed.hu, True
    for number, name in enumerate(given["phases"]):
        if name in named:
            moving = read_volume(named[name], args)
            try:
                check_apart(moving, read)
                hu[number], present[number] = on_grid(moving, fixed)
            except Unusable as error:
                raise Unusable(f"{named[name]}: {error}") from error
            read[name] = moving
        tell_phase(name, read.get(name), present[number], hu[number])
    graph, dz = Graph(args.folder / "detector.onnx", args.threads), float(np.linalg.norm(fixed.steps[0]))
    table = (np.arange(256, dtype=np.float32) / np.float32(255) - np.float32(given["mean"])) / np.float32(given["std"])
    for z, (image, there, scale) in enumerate(stacks(hu, present, dz, given)):
        outputs = graph(image=table[image][None], present=there[None].astype(np.float32))
        for found in rows_of(outputs, scale, fixed.hu.shape[1:]):
            row: Dict[str, Any] = coco(-1 - z, found, slice=z)
            if fixed.turn is not None:
                x1, y1, x2, y2 = fixed.source_box(found[2])
                row["source"] = {"slice": z, "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]}
            yield row


def check_apart(moving: Volume, read: Dict[str, Volume]) -> None:
    """Raise :class:`Unusable` for a phase of another patient than those that were read, or that is one of them."""
    for name, other in read.items():
        if moving.patient and other.patient and moving.patient != other.patient:
            raise Unusable(f"its PatientID is not that of {name}: phases of one study are wanted")
        if (moving.series and moving.series == other.series) or np.array_equal(moving.hu, other.hu):
            raise Unusable(f"it is the same series as {name}: leave one of them out")


def tell_phase(name: str, volume: Optional[Volume], present: np.ndarray, hu: np.ndarray) -> None:
    """Say what was read for a phase."""
    if volume is None:
        note(f"{name}: absent")
        return
    said = [f"{len(volume.hu)} slices of {volume.hu.shape[1]} x {volume.hu.shape[2]}"]
    if not present.all():
        said.append(f"absent in {int((~present).sum())} of {len(present)} slices of the reference phase")
    if hu.shape != volume.hu.shape or not np.array_equal(hu, volume.hu):
        said.append("resampled onto its grid")
    note(f"{name}: {', '.join(said)}")


def detect_frames(args: argparse.Namespace, config: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """Frame by frame; the first frames are their own previous ones, as is one whose previous frame is not there."""
    if args.phase or args.spacing or args.no_air:
        raise Unusable("--phase, --spacing and --no-air are for CT; these are graphs of ultrasound")
    given, number, count = config["input"], -1, 0
    seen: Dict[int, Tuple[np.ndarray, np.ndarray]] = {}
    frame_net, stream_net = (Graph(args.folder / f"{name}.onnx", args.threads) for name in ("frame", "stream"))
    for number, frame in read_frames(args.input):
        planes = [resized(frame[..., colour], given["size"]) for colour in range(3)]
        current = (np.stack([one for one, _ in planes])[None] / np.float32(255)).astype(np.float32)
        frame_map = frame_net(frame=current)["frame_map"]
        before = current, frame_map
        if given["previous_frame"] == "before":
            wanted = number - given["step"]
            before = seen.get(wanted, before)
            seen = {key: value for key, value in seen.items() if key > wanted}
            seen[number] = current, frame_map
        outputs = stream_net(frame=current, frame_map=frame_map, previous=before[0], previous_map=before[1])
        for found in rows_of(outputs, planes[0][1], frame.shape[:2]):
            yield coco(number + 1, found, frame=number)
        count += 1
    if number < 0:
        raise Unusable(f"{args.input}: no frame of it can be decoded")
    note(f"{count} frames, the last is number {number}")
