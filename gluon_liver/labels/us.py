"""Label files that come with ultrasound recordings, read by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np

from gluon_liver.data.coco import CocoImage, value_of
from gluon_liver.data.faults import Faults
from gluon_liver.data.us_labels import CLASSES
from gluon_liver.errors import AnnotationError
from gluon_liver.files.typed import at_least, build, required
from gluon_liver.structures.frame_source import IMAGE_ENDINGS

from .changes import Changes
from .file_names import VIDEO_ENDINGS
from .source import AS_GIVEN, LabelOptions, LabelSource, PathLike, label_paths, read_labels, read_trees
from .values import whole_number

COLUMNS = ("video", "frame", "scene", "patient", "path")
STILL = "still"
SAY_FRAME = (
    "say with 'frame' which one of the recording it is, or with a mapping file (--map FILE, columns file_name, video, "
    "frame, scene), as video tasks of CVAT need that are exported as COCO"
)
_VIDEO_KEYS = ("video", "file", "file_name")


@dataclass(frozen=True)
class _Frame:
    frame: int = required(at_least(0))


@dataclass(frozen=True)
class SourceLabel:
    """One image of a label file that comes with recordings.

    video: the recording by its path below the imported folder. scene: as the file names it. patient: "" where the
    file tells none. width, height, boxes: of the whole frame. where: file and image, for messages. still: no frame is
    told, so the recording must be a single image. key: that of ``video`` in the file. picture: the name of the frame's
    own file, told beside the folder that it is in; where it alone tells the frame, ``frame`` is -1.
    """

    image_id: int
    video: str
    frame: int
    scene: str
    patient: str
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    where: str = ""
    still: bool = False
    key: str = "video"
    picture: str = ""


@dataclass(frozen=True)
class SourceLabels:
    """What label files say. phantom: that their recordings show one. classes: of the data. left_out: what can be
    neither trained on nor scored.
    """

    images: Tuple[SourceLabel, ...]
    left_out: Tuple[CocoImage, ...]
    phantom: bool
    classes: Tuple[str, ...]
    allow_missing: bool
    changes: Changes


def load_source_labels(paths: Union[PathLike, Sequence[PathLike]], *, options: LabelOptions = AS_GIVEN) -> SourceLabels:
    """Read and check label files of recordings by themselves.

    Raises AnnotationError that names the image and the key: 'video' (or 'file', or 'file_name') is required, and
    'frame' and 'scene' but for a single image; 'file_name' beside 'video' may tell the frame.
    """
    files = label_paths(paths)
    return _of_source(read_labels(files, CLASSES, options, **_RULES), files, options)


def made_source_labels(
    name: str, tree: Dict[str, Any], usual: Sequence[str], options: LabelOptions = AS_GIVEN
) -> SourceLabels:
    """:func:`load_source_labels` of one COCO object that was made of labels in another form. name: for messages.

    usual: the classes where the boxes are of no others.
    """
    return _of_source(read_trees({name: tree}, usual, options, **_RULES), [name], options)


def _of_source(source: LabelSource, files: Sequence[str], options: LabelOptions) -> SourceLabels:
    faults = Faults()
    by_frame: Dict[Tuple[str, Union[int, str]], SourceLabel] = {}
    images: List[SourceLabel] = []
    for item in source.images:
        one = _source_label(item)
        which = one.frame if one.frame >= 0 else one.picture
        other = by_frame.setdefault((one.video, which), one)
        if other is not one:
            number = other.where.rpartition(": ")[2] if len(files) == 1 else other.where
            faults.add(f"{item.where} is the same frame as {number}")
        if not item.left_out:
            images.append(one)
    faults.raise_any()
    if not source.images:
        raise AnnotationError(f"{files[0]} lists no image; a frame without boxes must be listed too")
    left_out = tuple(item for item in source.images if item.left_out)
    return SourceLabels(tuple(images), left_out, source.flag, source.classes, options.allow_missing, source.changes)


def _check(item: CocoImage) -> None:
    """Bring the keys of an entry into one form, and raise AnnotationError where they name no frame."""
    entry, where = item.entry, item.where
    for key in ("frame", "scene", "patient"):
        number = whole_number(entry.get(key))
        # as pandas writes numbers; a name of digits stays one
        if number is not None and (key == "frame" or isinstance(entry[key], float)):
            entry[key] = number
    video = value_of(entry, _video_key(entry), (str,), where)
    if _is_still(entry):
        entry.setdefault("scene", 1)
        entry["frame"] = 0
        entry[STILL] = True
    if "frame" not in entry and not _picture(entry):
        raise AnnotationError(f"{where}: frame is missing; {SAY_FRAME}")
    if "frame" in entry:
        which = f"{where} (frame {build(_Frame, entry, where=where, error=AnnotationError, private=True).frame})"
    else:
        which, entry["frame"] = where, -1
    scene = value_of(entry, "scene", (int, str), which)
    value_of({"patient": "", **entry}, "patient", (int, str), where)
    if scene == "":
        raise AnnotationError(f"{which}: scene is empty; it must name the scene of the frame")
    if not video.strip():
        raise AnnotationError(f"{where}: {_video_key(entry)} is empty; it must name the recording")


def _is_still(entry: Dict[str, Any]) -> bool:
    """Whether an entry says no frame, and may do so: one image, or a DICOM file that is yet to be looked into."""
    name = entry[_video_key(entry)].strip().lower()
    other = _video_key(entry) == "file_name" and not name.endswith(VIDEO_ENDINGS)
    return "frame" not in entry and (name.endswith(IMAGE_ENDINGS) or other)


def _picture(entry: Dict[str, Any]) -> str:
    """The name of a frame's own file, where one is told beside the recording."""
    name = entry.get("file_name")
    told = _video_key(entry) != "file_name" and isinstance(name, str) and name.strip().lower().endswith(IMAGE_ENDINGS)
    return str(name) if told else ""


def _source_label(item: CocoImage) -> SourceLabel:
    entry, key = item.entry, _video_key(item.entry)
    texts = entry[key], entry["frame"], str(entry["scene"]), str(entry.get("patient", ""))
    size = entry["width"], entry["height"]
    still = entry.get(STILL, False)
    what = entry["id"], *texts, *size, item.boxes, item.labels
    return SourceLabel(*what, where=item.where, still=still, key=key, picture=_picture(entry))


def _video_key(entry: Dict[str, Any]) -> str:
    return next((key for key in _VIDEO_KEYS if key in entry), "video")


_RULES: Dict[str, Any] = dict(columns=COLUMNS, flag="phantom", check=_check)
