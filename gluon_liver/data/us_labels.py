"""Scenes of labelled frames: COCO JSON on disk, with recording, frame and scene of each image.

A scene is a run of frames of one recording that belong together. The paper's classes are tumor and vessel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Sequence, Tuple

from gluon_liver.errors import AnnotationError
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
        return frame_name(self.case, self.frame)


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


def frame_name(case: str, frame: int) -> str:
    """:attr:`USLabel.name` of any frame."""
    return f"{case}/{frame:06d}"


def scenes_of(labels: Sequence[USLabel]) -> List[Scene]:
    """The scenes of labelled frames, by case and number."""
    frames: Dict[Tuple[str, int], List[int]] = {}
    for label in labels:
        frames.setdefault((label.case, label.scene), []).append(label.frame)
    return [Scene(case, number, tuple(sorted(frames[case, number]))) for case, number in sorted(frames)]


def stored_rows(
    labelled: Iterable[Tuple[str, int]], unlabelled: Mapping[str, Sequence[int]]
) -> Dict[str, Dict[int, int]]:
    """Case -> row of each of its stored frames: the labelled ones (case, frame) and those beside them, in order."""
    frames = {case: set(some) for case, some in unlabelled.items()}
    for case, frame in labelled:
        frames.setdefault(case, set()).add(frame)
    return {case: {frame: row for row, frame in enumerate(sorted(some))} for case, some in frames.items()}


def load_labels(
    path: str, classes: Sequence[str] = CLASSES, *, unlabelled: Mapping[str, Sequence[int]] = {}
) -> List[USLabel]:
    """Read DATA/labels.json, ordered by case and frame. Raises AnnotationError that names the image and the key.

    unlabelled: as :func:`stored_rows` takes them.
    """
    images = [
        (build(_Entry, image.entry, where=image.where, error=AnnotationError), image)
        for image in coco_images(read_json(path, error=AnnotationError), classes, path)
    ]
    rows = stored_rows(((one.study, one.frame) for one, _ in images), unlabelled)
    result: List[USLabel] = []
    for one, image in sorted(images, key=lambda pair: (pair[0].study, pair[0].frame)):
        last = result[-1] if result and result[-1].case == one.study else None
        if last is not None and last.frame == one.frame:
            raise AnnotationError(f"{image.where} is the same frame as image {last.image_id}")
        entry, row = image.entry, rows[one.study][one.frame]
        size, boxes = (entry["width"], entry["height"]), (image.boxes, image.labels)
        result.append(USLabel(entry["id"], one.study, one.frame, *size, *boxes, one.scene, row))
    return result
