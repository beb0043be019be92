"""A folder of ultrasound phantoms: DICOM and video of each scene, labels in COCO JSON, exact flow, and the truth."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import cv2
import numpy as np
from tqdm import tqdm

from gluon_liver.data.splits import MAX_SEED
from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.output_folder import check_replaced, whole_folder, why_not_written
from gluon_liver.phantoms.ct.folder import coco_labels, usable_cores
from gluon_liver.readers.video_writer import check_written, open_writer

from .config import USPhantomConfig
from .dicom_writer import write_us_dicom
from .sweep import CLASSES, PhantomScene, make_us_scene

DICOM_FOLDER, VIDEO_FOLDER, FLOW_FOLDER = "dicom", "video", "flow"
LABELS_FILE, TRUTH_FILE = "labels.json", "us-phantom.json"
ENTRIES = r"(dicom(/scene-\d+\.dcm)?|video(/scene-\d+\.mp4)?|flow(/scene-\d+\.npz)?|labels\.json|us-phantom\.json)"
FRAMES_PER_SECOND = 20
Record = Dict[str, Any]
Task = Tuple[str, USPhantomConfig, int, int, int]


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
    every frame, for either folder. out/flow/scene-NNNN.npz: ``flow`` float32 (frames - 1, 2, size, size), (dx, dy)
    from each frame to the next at the pixels of the whole frame; ``valid`` bool (frames - 1, size, size);
    ``elevation_mm`` float16, how far that tissue leaves the picture's plane. out/us-phantom.json: options, and of each
    scene its fan, poses and tumors.

    The files depend on ``config``, ``frames`` and ``seed`` alone, not on ``jobs`` (processes; default: usable cores),
    and scene k is the same however many are made. Raises InputError: a number out of range, ``out`` exists and
    ``overwrite`` is not given, it holds something that this does not write, or it cannot be written.
    """
    out, jobs = Path(out), usable_cores() if jobs is None else jobs
    for name, value, least in (("scenes", scenes, 1), ("frames", frames, 1), ("seed", seed, 0), ("jobs", jobs, 1)):
        if value < least:
            raise InputError(f"{name} is {value}; it must be {least} or more")
    if seed > MAX_SEED:
        raise InputError(f"seed is {seed}; it must be {MAX_SEED} or less")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already; choose another folder or ask for it to be overwritten")
    check_replaced(out, TRUTH_FILE, ENTRIES)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(out, replace=overwrite) as partial:
            for name in (DICOM_FOLDER, VIDEO_FOLDER, FLOW_FOLDER):
                (partial / name).mkdir()
            tasks = [(str(partial), config, seed, index, frames) for index in range(scenes)]
            bar = tqdm(_results(tasks, jobs), total=scenes, unit="scene", desc="phantoms", disable=not progress)
            records = sorted(bar, key=lambda record: record["index"])
            labels = coco_labels(
                records,
                classes=CLASSES,
                description="synthetic ultrasound phantoms; boxes from the shapes' own geometry",
                phantom=True,
            )
            truth = {"format": 1, "kind": "us-phantoms", "seed": seed, "frames": frames, "options": config.to_json()}
            truth["scenes"] = [record["truth"] for record in records]
            write_json(partial / LABELS_FILE, labels, indent=None)
            write_json(partial / TRUTH_FILE, truth)
            # something may have been put into the old folder meanwhile
            check_replaced(out, TRUTH_FILE, ENTRIES)
    except OSError as error:
        raise InputError(f"phantoms cannot be written to {out}: {why_not_written(error)}") from error
    counts = [0] * len(CLASSES)
    for annotation in labels["annotations"]:
        counts[annotation["category_id"] - 1] += 1
    return {
        "scenes": scenes,
        "patients": len({record["truth"]["patient"] for record in records}),
        "images": len(labels["images"]),
        "boxes": dict(zip(CLASSES, counts)),
    }


def draw_frame(scene: PhantomScene, frame: int) -> np.ndarray:
    """uint8 (size, size): the picture with the text that a scanner burns in above and below it."""
    image, size = scene.frames[frame].copy(), scene.config.size
    text = f"PHANTOM^US^{scene.patient:04d}", f"{frame:04d}  {scene.fan.depth_mm / 10:.1f} cm"
    for line, place in zip(text, ((0.02, 0.07), (0.02, 0.98))):
        origin = int(place[0] * size), int(place[1] * size)
        cv2.putText(image, line, origin, cv2.FONT_HERSHEY_SIMPLEX, size / 640.0, 200, 1, cv2.LINE_8)
    return image


def _results(tasks: List[Task], jobs: int) -> Iterator[Record]:
    if min(jobs, len(tasks)) == 1:
        yield from map(_make_and_write, tasks)
        return
    # one process a core: OpenCV's own threads would only compete
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(tasks)), cv2.setNumThreads, (1,)) as pool:
        yield from pool.imap_unordered(_make_and_write, tasks)


def _make_and_write(task: Task) -> Record:
    """One scene to disk; runs in a worker process."""
    parent, config, seed, index, count = task
    folder = Path(parent)
    scene = make_us_scene(config, seed=seed, index=index, frames=count)
    frames = np.stack([draw_frame(scene, frame) for frame in range(count)])
    write_us_dicom(scene, frames, folder / DICOM_FOLDER / f"{scene.name}.dcm")
    _write_video(frames, folder / VIDEO_FOLDER / f"{scene.name}.mp4")
    size = config.size
    np.savez_compressed(
        folder / FLOW_FOLDER / f"{scene.name}.npz",
        flow=np.array([motion.flow for motion in scene.motions], np.float32).reshape(-1, 2, size, size),
        valid=np.array([motion.valid for motion in scene.motions], bool).reshape(-1, size, size),
        elevation_mm=np.array([motion.elevation_mm for motion in scene.motions], np.float16).reshape(-1, size, size),
    )
    images = []
    for frame in range(count):
        image = {
            "video": scene.name,
            "frame": frame,
            "scene": index,
            "patient": scene.patient_id,
            "width": size,
            "height": size,
        }
        images.append((image, [_annotation(box) for box in scene.boxes if box.frame == frame]))
    return {"index": index, "images": images, "truth": _truth(scene)}


def _write_video(frames: np.ndarray, path: Path) -> None:
    height, width = frames.shape[1:]
    writer = open_writer(path, width=width, height=height, frames_per_second=FRAMES_PER_SECOND)
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    check_written(path, len(frames), name=path.name)


def _annotation(box) -> Record:
    x1, y1, x2, y2 = box.box
    return {
        "category_id": CLASSES.index(box.label) + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": box.pixels,
        "iscrowd": 0,
    }


def _truth(scene: PhantomScene) -> Record:
    def rounded(values) -> List[float]:
        return [round(float(value), 6) for value in values]

    return {
        "scene": scene.name,
        "patient": scene.patient,
        "fan": {
            "radius_mm": round(scene.fan.radius_mm, 4),
            "depth_mm": round(scene.fan.depth_mm, 4),
            "half_angle_deg": round(float(np.rad2deg(scene.fan.half_angle)), 4),
            "pixel_mm": round(float(scene.fan.pixel_mm), 6),
            "region": list(scene.fan.region),
        },
        "tumors": [
            {"kind": one.kind, "centre_mm": rounded(one.centre), "diameter_mm": rounded(2.0 * one.half)}
            for one in scene.liver.tumors
        ],
        "poses": [
            {"position_mm": rounded(pose.position), "axes": [rounded(axis) for axis in pose.axes]}
            for pose in scene.poses
        ],
    }
