"""CVAT XML 1.1, "CVAT for video" (tracks) and "CVAT for images", a file a task beside its recording or its pictures.

`<annotations>` has meta (task or job: size, start_frame, stop_frame, frame_filter, original_size; source, the name of
the video) and tracks of boxes, polygons, masks or ellipses with frame, outside, occluded and keyframe; or images with
name, width, height and the same shapes with a label. Read in CVAT's own page "XML annotation format" and in
cvat/apps/dataset_manager/formats/cvat.py of github.com/cvat-ai/cvat (numbers of two decimals, frames counted in the
video and not in the task where a task takes every n-th). Tracks are interpolated as :mod:`.cvat_tracks` says.
"""

from __future__ import annotations

import math
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple
from xml.etree.ElementTree import Element

from gluon_liver.errors import AnnotationError
from gluon_liver.files.xml_tree import read_xml
from gluon_liver.labels.file_names import VIDEO_ENDINGS, match_names
from gluon_liver.labels.values import number, whole_number
from gluon_liver.prepare.us import USSource
from gluon_liver.structures.frame_source import MAX_SIDE

from .cvat_tracks import Corners, Mark, Seen, frames_of
from .labelme import around
from .layout import Given, LabelTree, Pictures, USLayout

MAX_FRAMES = 1_000_000  # of a task: nine hours of video
MAX_BOXES = 5_000_000  # of the tracks of a task, interpolated
SHAPES = ("box", "polygon", "ellipse", "mask")
NO_BOX = ("polyline", "points", "cuboid", "skeleton")
INTERPOLATED = "box(es) are CVAT's own between keyframes (keyframe=0)"
MADE = "box(es) between keyframes are not in the files and were interpolated, linearly as CVAT does"
OCCLUDED = "box(es) are marked as occluded and were taken as the others"
LINES = "shape(s) are points, lines, cuboids or skeletons, and no boxes"


class CVAT(USLayout):
    name = "cvat"
    title = "CVAT XML 1.1, for video or for images"
    takes = ("by_folder",)
    stills = "give --by-folder"

    def find(self, source: Path, given: Given) -> USSource:
        files, tree = Pictures(source), LabelTree()
        recordings: Dict[str, Path] = {}
        texts = [name for name in files.files if name.lower().endswith(".xml")]
        if not texts:
            raise files.refuse("an XML file of CVAT (<annotations>)")
        silent = 0
        for count, name in enumerate(texts, 1):
            where = f"{source}, XML file {count} of {len(texts)} by name"
            root = _read(files.files[name], where)
            if root.find("image") is not None:
                _add_images(tree, root, recordings, files, given.by_folder, where)
            else:
                silent += _add_tracks(tree, root, recordings, files, where)
        notes = []
        if silent:
            notes.append(
                f"{silent} frame(s) of which no track says whether it is there are neither labelled nor background; a "
                "track that is outside on a frame makes it background"
            )
        return self.made(files, tree, recordings, given, notes=notes)


def _read(path: Path, where: str) -> Element:
    try:
        root = read_xml(path, error=AnnotationError)
    except AnnotationError as error:
        raise AnnotationError(str(error).replace(str(path), where)) from error  # its path may name a patient
    if root.tag != "annotations":
        tag = "<annotation>" if root.tag == "annotation" else "of another kind"  # a text may be anything
        raise AnnotationError(f"{where} is {tag}, not <annotations> of CVAT: move it elsewhere, or export")
    return root


def _add_images(
    tree: LabelTree, root: Element, recordings: Dict[str, Path], files: Pictures, by_folder: bool, where: str
) -> None:
    entries = root.findall("image")
    names = [entry.get("name", "") for entry in entries]
    paths = list(files.pictures)
    found = match_names(names, ["/" + path for path in paths]).candidates
    for entry, places in zip(entries, found):
        place = f"{where}: image {_id(entry)}"
        if len(places) != 1:
            what = f"{len(places)} pictures" if places else "no picture"
            raise AnnotationError(f"{place}: its name means {what} below the folder")
        picture = paths[places[0]]
        size = (_whole(entry, "width", place), _whole(entry, "height", place))
        if by_folder:
            video = files.folder_of(picture)
            recordings[video] = files.paths[video]
            image = tree.image(video, size, file_name=posixpath.basename(picture), scene=1)
        else:
            recordings[picture] = files.pictures[picture]
            image = tree.image(picture, size)
        for shape in _shapes(entry, tree):
            label = shape.get("label")
            if not label:
                raise AnnotationError(f"{place}: a shape has no label")
            tree.counts[OCCLUDED] += _flag(shape, "occluded")
            tree.box(image, label, _corners(shape, place), _rotation(shape))


@dataclass(frozen=True)
class _Task:
    """What the meta part tells. size: (width, height). first, last: frames, None where that is not told. source: of the
    video.
    """

    size: Tuple[int, int]
    step: int
    first: int
    last: Optional[int]
    source: str


def _task(root: Element, where: str) -> _Task:
    meta = root.find("meta")
    found = [] if meta is None else [one for one in (meta.find("task"), meta.find("job")) if one is not None]
    if meta is None or not found:
        project = meta is not None and meta.find("project") is not None
        advice = "export each task by itself, not the project" if project else "export as 'CVAT for video 1.1'"
        raise AnnotationError(f"{where}: its meta part tells no task: {advice}")
    task, places = found[0], [found[0].find("original_size"), meta.find("original_size")]
    size = next((one for one in places if one is not None and one.find("width") is not None), None)
    if size is None:
        raise AnnotationError(f"{where}: its meta part has no original_size (width, height)")
    step = re.fullmatch(r"\s*step\s*=\s*([1-9]\d{0,5})\s*", task.findtext("frame_filter") or "")
    start, stop = (whole_number(task.findtext(key) or "") for key in ("start_frame", "stop_frame"))
    count = whole_number(task.findtext("size") or "")
    stride = int(step.group(1)) if step else 1
    last = stop if stop is not None else None if count is None else (start or 0) + (count - 1) * stride
    name = (task.findtext("source") or meta.findtext("source") or "").strip()
    sides = (whole_number(size.findtext(key) or "") for key in ("width", "height"))
    width, height = (side or 0 for side in sides)
    if not 0 < min(width, height) <= max(width, height) <= MAX_SIDE:
        raise AnnotationError(f"{where}: original_size must have a width and a height from 1 to {MAX_SIDE}")
    if last is not None and not 0 <= last < MAX_FRAMES:
        raise AnnotationError(f"{where}: the last frame of its task is {last}; it must be from 0 to {MAX_FRAMES - 1}")
    return _Task((width, height), stride, start or 0, last, name)


def _add_tracks(tree: LabelTree, root: Element, recordings: Dict[str, Path], files: Pictures, where: str) -> int:
    """The frames of a task; returns how many lie among the task's and no track speaks of."""
    tracks = root.findall("track")
    if not tracks:
        raise AnnotationError(
            f"{where} has neither image nor track: export as 'CVAT for video 1.1' or 'for images 1.1'"
        )
    task = _task(root, where)
    video = _recording(task.source, files, where)
    recordings[video] = files.files.get(video) or files.paths[video]
    pictures = [] if video in files.files else files.folders[video]
    seen: List[Tuple[str, Seen]] = []
    boxes = 0
    for track in tracks:
        place = f"{where}: track {_id(track)}"
        label = track.get("label")
        if not label:
            raise AnnotationError(f"{place} has no label")
        marks = [_mark(shape, place) for shape in _shapes(track, tree)]
        if task.last is not None and any(mark.frame > task.last for mark in marks):
            raise AnnotationError(f"{place}: a frame is behind {task.last}, the last one of the task")
        tree.counts[OCCLUDED] += sum(mark.occluded and not mark.outside for mark in marks)
        tree.counts[INTERPOLATED] += sum(not mark.keyframe and not mark.outside for mark in marks)
        if marks:
            begin = min(mark.frame for mark in marks)
            end = task.last if task.last is not None else max(mark.frame for mark in marks)
            boxes += (end - begin) // task.step + 1
            if boxes > MAX_BOXES:
                raise AnnotationError(
                    f"{place}: the tracks so far have more than {MAX_BOXES} boxes; export less at once"
                )
            seen.append((label, frames_of(marks, task.step, task.last, place)))
            tree.counts[MADE] += seen[-1][1].interpolated
    unknown = {frame for _, one in seen for frame in one.unknown}
    spoken = {frame for _, one in seen for frame in (*one.boxes, *one.absent)} | unknown
    for frame in sorted(spoken):
        if frame in unknown:
            tree.left_out.append((f"{video}, frame {frame}", "an outline between keyframes is not in the file"))
            continue
        image = tree.image(video, task.size, scene=1, **_frame(frame, pictures, video in files.files, where))
        for label, one in seen:
            if frame in one.boxes:
                tree.box(image, label, *one.boxes[frame])
    return 0 if task.last is None else max(0, (task.last - task.first) // task.step + 1 - len(spoken))


def _recording(name: str, files: Pictures, where: str) -> str:
    """The recording that a task is of: a video or DICOM file of that name, or else the only one there is."""
    videos = [one for one in files.files if one.lower().endswith((*VIDEO_ENDINGS, ".dcm", ".dicom"))]
    folders = list(files.folders)
    if name:
        found = match_names([name], ["/" + one for one in videos]).candidates[0]
        if len(found) == 1:
            return videos[found[0]]
        stem = posixpath.splitext(name)[0].casefold()
        alike = [one for one in folders if posixpath.basename(one).casefold() in (stem, name.casefold())]
        if len(alike) == 1:
            return alike[0]
    if len(videos) + len(folders) == 1:
        return [*videos, *folders][0]
    raise AnnotationError(
        f"{where}: its source names none of the {len(videos)} video(s) and {len(folders)} folder(s) of pictures below "
        "the folder: give the recording, or the folder of its frames, the name that <source> says"
    )


def _frame(frame: int, pictures: Sequence[str], is_file: bool, where: str) -> Dict[str, Any]:
    """The keys that say which frame it is: CVAT counts the pictures of a folder in the order of their names."""
    if is_file:
        return dict(frame=frame)
    if frame >= len(pictures):
        raise AnnotationError(f"{where}: frame {frame} is labelled, counted from 0; its folder has {len(pictures)}")
    return dict(file_name=posixpath.basename(pictures[frame]))


def _shapes(parent: Element, tree: LabelTree) -> Iterator[Element]:
    for shape in parent:
        if shape.tag in NO_BOX:
            tree.counts[LINES] += 1
        elif shape.tag in SHAPES:
            yield shape


def _mark(shape: Element, where: str) -> Mark:
    frame = _whole(shape, "frame", where)
    corners = _corners(shape, f"{where}, frame {frame}")
    outside, occluded = _flag(shape, "outside"), _flag(shape, "occluded")
    keyframe = _flag(shape, "keyframe") if "keyframe" in shape.attrib else True
    return Mark(frame, corners, outside, occluded, keyframe, _rotation(shape), shape.tag == "box")


def _corners(shape: Element, where: str) -> Corners:
    if shape.tag == "box":
        x1, y1, x2, y2 = (_number(shape, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
        return x1, y1, x2, y2
    if shape.tag == "ellipse":
        x, y, wide, high = (_number(shape, key, where) for key in ("cx", "cy", "rx", "ry"))
        return x - wide, y - high, x + wide, y + high
    if shape.tag == "mask":
        x, y, wide, high = (_number(shape, key, where) for key in ("left", "top", "width", "height"))
        return x, y, x + wide, y + high
    pairs = [[number(value) for value in point.split(",")] for point in shape.get("points", "").split(";")]
    points = [[value for value in pair if value is not None] for pair in pairs]
    if not all(len(pair) == 2 == len(point) for pair, point in zip(pairs, points)):
        raise AnnotationError(f"{where}: points of a polygon must be x,y;x,y;... in numbers")
    return around(points)


def _id(entry: Element) -> str:
    """The number of a track or an image, for messages."""
    number = whole_number(entry.get("id", ""))
    return "?" if number is None else str(number)


def _number(shape: Element, key: str, where: str) -> float:
    value = number(shape.get(key))
    if value is None or not math.isfinite(value):
        raise AnnotationError(f"{where}: {shape.tag} needs {key}, a number")
    return value


def _whole(shape: Element, key: str, where: str) -> int:
    value = whole_number(shape.get(key))
    if value is None or not 0 <= value < MAX_FRAMES:
        raise AnnotationError(f"{where}: {shape.tag} needs {key}, a whole number from 0 to {MAX_FRAMES - 1}")
    return value


def _rotation(shape: Element) -> float:
    return (number(shape.get("rotation")) or 0.0) % 360


def _flag(shape: Element, key: str) -> bool:
    return shape.get(key, "0").strip() not in ("0", "", "false", "False")
