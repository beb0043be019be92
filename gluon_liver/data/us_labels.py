"""Scenes of labelled frames: COCO JSON on disk, with recording, frame and scene of each image.

A scene is a run of frames of one recording that belong together. The paper's classes are tumor and vessel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from gluon_liver.errors import AnnotationError, DatasetError
from gluon_liver.files.json_records import read_json
from gluon_liver.files.typed import at_least, build, required

from .coco import Label, coco_images

CLASSES = ("tumor", "vessel")


@dataclass(frozen=True)
class USLabel(Label):
    """The labels of one frame, in pixels of the stored (cropped) frame.

    scene: number in the recording, from 1. row: place in the case's stored frames.
    """

    keys = ("scene", "frame")
    digits = 6

    scene: int
    row: int

    @property
    def frame(self) -> int:
        """0-based place in the recording."""
        return self.place

    @property
    def title(self) -> str:
        return f"{self.case}, scene {self.scene}, frame {self.frame}"

    @property
    def name(self) -> str:
        """case/frame, as in splits.json too."""
        return f"{self.case}/{self.frame:06d}"


@dataclass(frozen=True)
class Scene:
    """frames: rising places in the recording; gaps are allowed."""

    case: str
    number: int
    frames: Tuple[int, ...]

    @property
    def name(self) -> str:
        """case/number, the name of the scene in splits.json."""
        return f"{self.case}/scene-{self.number:03d}"

    @property
    def consecutive(self) -> bool:
        return self.frames[-1] - self.frames[0] == len(self.frames) - 1


@dataclass(frozen=True)
class _Entry:
    study: str
    frame: int = required(at_least(0))
    scene: int = required(at_least(0))


def previous_frame(scene: Scene, frame: int) -> int:
    """The frame of the recording just before ``frame`` if it is in the same scene, else ``frame`` itself.

    So the first frame of a scene is its own previous frame, and so is a frame after a gap: a frame from longer ago
    would show another motion than the network is meant to see. Raises DatasetError for a frame of another scene.
    """
    if frame not in scene.frames:
        raise DatasetError(f"frame {frame} is not in {scene.name}")
    return frame - 1 if frame - 1 in scene.frames else frame


def scenes_of(labels: Sequence[USLabel]) -> List[Scene]:
    """The scenes of labelled frames, by case and number."""
    frames: Dict[Tuple[str, int], List[int]] = {}
    for label in labels:
        frames.setdefault((label.case, label.scene), []).append(label.frame)
    return [Scene(case, number, tuple(sorted(frames[case, number]))) for case, number in sorted(frames)]


def load_labels(path: str, classes: Sequence[str] = CLASSES) -> List[USLabel]:
    """Read DATA/labels.json, ordered by case and frame. Raises AnnotationError that names the image and the key."""
    images = [
        (build(_Entry, image.entry, where=image.where, error=AnnotationError), image)
        for image in coco_images(read_json(path, error=AnnotationError), classes, path)
    ]
    result: List[USLabel] = []
    for one, image in sorted(images, key=lambda pair: (pair[0].study, pair[0].frame)):
        last = result[-1] if result and result[-1].case == one.study else None
        if last is not None and last.frame == one.frame:
            raise AnnotationError(f"{image.where} is the same frame as image {last.image_id}")
        entry, row = image.entry, 0 if last is None else last.row + 1
        size, boxes = (entry["width"], entry["height"]), (image.boxes, image.labels)
        result.append(USLabel(entry["id"], one.study, one.frame, *size, *boxes, one.scene, row))
    return result
