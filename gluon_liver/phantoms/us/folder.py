"""A folder of ultrasound phantoms: DICOM and video of each scene, labels in COCO JSON, exact flow, and the truth."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import List, Optional

import cv2
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.phantoms.folder import DICOM_FOLDER, PhantomKind, Record, annotation, write_phantoms
from gluon_liver.readers.video_writer import check_written, open_writer

from .config import USPhantomConfig
from .dicom_writer import write_us_dicom
from .sweep import CLASSES, PhantomBox, PhantomScene, make_us_scene

VIDEO_FOLDER, FLOW_FOLDER, TRUTH_FILE = "video", "flow", "us-phantom.json"
ENTRIES = r"(dicom(/scene-\d+\.dcm)?|video(/scene-\d+\.mp4)?|flow(/scene-\d+\.npz)?|labels\.json|us-phantom\.json)"
TEXT = "synthetic ultrasound phantoms; boxes from the shapes' own geometry"
FOLDERS = (DICOM_FOLDER, VIDEO_FOLDER, FLOW_FOLDER)
KIND = PhantomKind("us", "scene", "scenes", FOLDERS, TRUTH_FILE, ENTRIES, CLASSES, TEXT, "phantom")
FRAMES_PER_SECOND = 20


def write_us_phantoms(
    out: Path,
    *,
    config: USPhantomConfig,
    scenes: int,
    frames: int,
    seed: int,
    jobs: Optional[int] = None,
    progress: bool = True,
    overwrite: bool = False,
) -> Record:
    """Write ``scenes`` sweeps of ``frames`` frames to the new folder ``out`` and return counts of what was written.

    out/dicom/scene-NNNN.dcm: Ultrasound Multi-frame Image, 8 bit, text burned in outside of its tissue region.
    out/video/scene-NNNN.mp4: the same frames, lossy. out/labels.json: COCO boxes (xywh, pixels of the whole frame) of
    every frame, for either folder, with ``"hidden": 1`` where the frame does not show what the box is about.
    out/flow/scene-NNNN.npz: ``flow`` float32 (frames - 1, 2, size, size), (dx, dy) from each frame to the next at the
    pixels of the whole frame; ``valid`` bool (frames - 1, size, size); ``elevation_mm`` float16, how far that tissue
    leaves the picture's plane. out/us-phantom.json: options, and of each scene its fan, poses and tumors. jobs,
    progress, overwrite: as :func:`write_phantoms` takes them.

    The files depend on ``config``, ``frames`` and ``seed`` alone, not on ``jobs`` (processes; default: usable cores),
    and scene k is the same however many are made. Raises InputError as :func:`write_phantoms`, and for scenes of one
    frame in which tumors are to be hidden.
    """
    if frames < 2 and config.hidden_fraction > 0:
        raise InputError("--hidden-fraction hides tumors in frames after the first: give --frames 2 or more")
    write, numbers = partial(_write_scene, config, seed, frames), {"scenes": scenes, "frames": frames}
    records, labels = write_phantoms(
        out, KIND, write, config, numbers, seed=seed, jobs=jobs, progress=progress, overwrite=overwrite
    )
    categories = [box["category_id"] for box in labels["annotations"]]
    return {
        "scenes": scenes,
        "patients": len({record["truth"]["patient"] for record in records}),
        "images": len(labels["images"]),
        "boxes": {name: categories.count(index) for index, name in enumerate(CLASSES, 1)},
    }


def draw_frame(scene: PhantomScene, frame: int) -> np.ndarray:
    """uint8 (size, size): the picture with the text that a scanner burns in above and below it."""
    image, size = scene.frames[frame].copy(), scene.config.size
    text = f"PHANTOM^US^{scene.patient:04d}", f"{frame:04d}  {scene.fan.depth_mm / 10:.1f} cm"
    for line, place in zip(text, ((0.02, 0.07), (0.02, 0.98))):
        origin = int(place[0] * size), int(place[1] * size)
        cv2.putText(image, line, origin, cv2.FONT_HERSHEY_SIMPLEX, size / 640.0, (200,), 1, cv2.LINE_8)
    return image


def _write_scene(config: USPhantomConfig, seed: int, count: int, folder: Path, index: int) -> Record:
    """One scene to disk; runs in a worker process."""
    scene = make_us_scene(config, seed=seed, index=index, frames=count)
    frames = np.stack([draw_frame(scene, frame) for frame in range(count)])
    write_us_dicom(scene, frames, folder / DICOM_FOLDER / f"{scene.name}.dcm")
    _write_video(frames, folder / VIDEO_FOLDER / f"{scene.name}.mp4")
    size, motions = config.size, scene.motions
    np.savez_compressed(
        folder / FLOW_FOLDER / f"{scene.name}.npz",
        flow=np.array([one.flow for one in motions], np.float32).reshape(-1, 2, size, size),
        valid=np.array([one.valid for one in motions], bool).reshape(-1, size, size),
        elevation_mm=np.array([one.elevation_mm for one in motions], np.float16).reshape(-1, size, size),
    )
    images = []
    for frame in range(count):
        image: Record = {"video": scene.name, "frame": frame, "scene": index, "patient": scene.patient_id}
        image.update(width=size, height=size)
        shown = (box for box in scene.boxes if box.frame == frame)
        images.append((image, [_annotation(box) for box in shown]))
    return {"images": images, "truth": _truth(scene)}


def _annotation(box: PhantomBox) -> Record:
    return annotation(CLASSES.index(box.label), box.box, box.pixels, **({"hidden": 1} if box.hidden else {}))


def _write_video(frames: np.ndarray, path: Path) -> None:
    height, width = frames.shape[1:]
    writer = open_writer(path, width=width, height=height, frames_per_second=FRAMES_PER_SECOND)
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    check_written(path, len(frames), name=path.name)


def _truth(scene: PhantomScene) -> Record:
    def rounded(values) -> List[float]:
        return [round(float(value), 6) for value in values]

    fan = {name: round(float(getattr(scene.fan, name)), 4) for name in ("radius_mm", "depth_mm")}
    fan["half_angle_deg"] = round(float(np.rad2deg(scene.fan.half_angle)), 4)
    fan["pixel_mm"] = round(float(scene.fan.pixel_mm), 6)
    tumors = [
        {"kind": one.kind, "centre_mm": rounded(one.centre), "diameter_mm": rounded(2.0 * one.half)}
        for one in scene.liver.tumors
    ]
    poses = [{"position_mm": rounded(one.position), "axes": list(map(rounded, one.axes))} for one in scene.poses]
    whole_fan = {**fan, "region": list(scene.fan.region)}
    return {"scene": scene.name, "patient": scene.patient, "fan": whole_fan, "tumors": tumors, "poses": poses}
