"""Masks of videos as Youtube-VOS and DAVIS have them: `JPEGImages/<video>/00000.jpg`, `Annotations/<video>/00000.png`.

The pixels of a mask are ids of objects (a palette, or grey); 0 is none, and 255 of a palette says nothing. `meta.json`
beside them names the category of each object: videos -> objects -> id -> category. The number of a frame is that in the
name of its file, so where every fifth is there, the one before is five before. Read in github.com/visionml/pytracking
(ltr/dataset/youtubevos.py: meta.json, ids are the values of pixels, names of five digits that need not begin at 0) and
in github.com/lyxok1/STM-Training (DATASET.md: train and valid each with the three). Not verified: that DAVIS has a
folder `480p` between, and lists in `ImageSets/2017/train.txt`. Sets without meta.json have the class "object". An
object is one box around all its parts.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np
from PIL import Image

from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.files.json_records import read_json, read_text
from gluon_liver.labels.file_names import stem
from gluon_liver.prepare.us import USSource
from gluon_liver.readers.image_size import FAULTS, image_size
from gluon_liver.system.terminal import progress_bar

from .cvat_tracks import Corners
from .layout import Given, LabelTree, Pictures, USLayout

MASKS, PICTURES, FULL = "Annotations", "JPEGImages", "Full-Resolution"
OBJECT, VOID = "object", 255
SPLITS = {"train": "train", "valid": "val", "val": "val", "test": "test"}


class VOS(USLayout):
    name = "vos"
    title = "Youtube-VOS and DAVIS: masks of the objects in videos"

    def find(self, source: Path, given: Given) -> USSource:
        files, tree = Pictures(source), LabelTree()
        masks: Dict[str, Dict[str, str]] = {}
        full = 0
        smaller = any("480p" in name.split("/") for name in files.pictures)
        for name in files.pictures:
            parts = name.split("/")
            if MASKS in parts[:-2] and name.lower().endswith(".png"):
                if smaller and FULL in parts:
                    full += 1
                    continue
                place = len(parts) - 1 - parts[::-1].index(MASKS)
                video = "/".join([*parts[:place], PICTURES, *parts[place + 1 : -1]])
                masks.setdefault(video, {})[stem(parts[-1])] = name
        if not masks:
            raise files.refuse(f"{MASKS}/<video>/<frame>.png")
        recordings: Dict[str, Path] = {}
        for place, (video, of_frame) in enumerate(progress_bar(sorted(masks.items()), text="masks of videos"), 1):
            pictures = {stem(posixpath.basename(name)): name for name in files.folders.get(video, ())}
            where = f"{source}, video {place} of {len(masks)} by name"  # which may name a patient
            categories = _categories(video, files, where)
            for count, (frame, mask) in enumerate(sorted(of_frame.items()), 1):
                if frame not in pictures:
                    tree.left_out.append((mask, f"its frame is not in {PICTURES}"))
                    continue
                recordings[video] = files.paths[video]
                _add_frame(tree, video, pictures[frame], mask, categories, files, f"{where}, mask {count}")
        notes = [f"{full} mask(s) of {FULL} are those of 480p again and were not read"] if full else []
        splits = _splits(recordings, files, tree)
        return self.made(files, tree, recordings, given, notes=notes, splits=splits)


def _add_frame(
    tree: LabelTree,
    video: str,
    picture: str,
    mask: str,
    categories: Optional[Mapping[int, str]],
    files: Pictures,
    where: str,
) -> None:
    size = files.size(picture, tree)
    if size is None:
        return
    of_mask, boxes, void = mask_boxes(files.pictures[mask], where)
    if of_mask != size:
        raise AnnotationError(f"{where} has {of_mask[0]}x{of_mask[1]} pixels, its frame {size[0]}x{size[1]}")
    tree.counts[f"mask(s) have pixels of {VOID}, which say nothing and are no object"] += void
    patient = posixpath.basename(video)
    image = tree.image(video, size, file_name=posixpath.basename(picture), scene=1, patient=patient)
    for number, corners in boxes.items():
        if categories is not None and number not in categories:
            raise AnnotationError(f"{where}: object {number} is none of its video in meta.json")
        tree.box(image, OBJECT if categories is None else categories[number], corners)


def mask_boxes(path: Path, where: str) -> Tuple[Tuple[int, int], Dict[int, Corners], bool]:
    """(width, height); id of an object -> the box around its pixels; whether there are void ones.

    Grey masks of 0 and 255 alone have one object, 255. Raises AnnotationError for what is no mask of ids.
    """
    try:
        image_size(path)  # of a sane size, before anything is decoded
        with Image.open(path) as picture:
            if picture.mode not in ("P", "L", "1"):
                raise AnnotationError(f"{where} is in colour ({picture.mode}): a mask has ids (palette or 8-bit grey)")
            palette = picture.mode == "P"
            ids = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
    except (InputError, *FAULTS) as error:
        if isinstance(error, AnnotationError):
            raise
        reason = error if isinstance(error, InputError) else "it is cut short or damaged"
        raise AnnotationError(f"{where} cannot be read: {reason}") from error
    values = np.flatnonzero(np.bincount(ids.ravel(), minlength=256))
    void = VOID in values and (palette or bool(((values > 0) & (values < VOID)).any()))
    boxes: Dict[int, Corners] = {}
    for value in values:
        if value != 0 and not (void and value == VOID):
            inside = ids == value
            rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            boxes[int(value)] = float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
    return (ids.shape[1], ids.shape[0]), boxes, bool(void)


def _categories(video: str, files: Pictures, where: str) -> Optional[Dict[int, str]]:
    """Id -> category of a video's objects, None where there is no meta.json. Raises AnnotationError."""
    root = video.split(PICTURES)[0]
    path = files.files.get(f"{root}meta.json")
    if path is None:
        return None
    name = posixpath.basename(video)
    try:
        value: Any = read_json(path, error=AnnotationError)
    except AnnotationError as error:
        raise AnnotationError(str(error).replace(str(path), f"{where}: its meta.json")) from error
    for key in ("videos", name, "objects"):
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise AnnotationError(f"{where}: its meta.json has no objects of it (videos, its name, objects)")
    try:
        return {int(number): str(entry["category"]) for number, entry in value.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"{where}: its objects in meta.json must be ids, each with a category") from error


def _splits(recordings: Mapping[str, Path], files: Pictures, tree: LabelTree) -> Dict[str, str]:
    """Video -> split: of its folder, or of the newest list in ImageSets; nothing where some video has none."""
    lists: Dict[str, str] = {}
    for name in sorted(name for name in files.files if "ImageSets" in name.split("/")[:-1]):
        split = SPLITS.get(stem(posixpath.splitext(posixpath.basename(name))[0]).casefold())
        if split and name.lower().endswith(".txt"):
            try:
                lines = read_text(files.files[name], error=AnnotationError).splitlines()
            except AnnotationError as error:
                where = f"{files.source}, a list of its ImageSets"
                raise AnnotationError(str(error).replace(str(files.files[name]), where)) from error
            lists.update((line.strip(), split) for line in lines)
    result: Dict[str, str] = {}
    for video in recordings:
        folders = [SPLITS[part.casefold()] for part in video.split("/")[:-1] if part.casefold() in SPLITS]
        split = folders[0] if folders else lists.get(posixpath.basename(video), "")
        if split:
            result[video] = split
    if 0 < len(result) < len(recordings):
        tree.counts["video(s) are in none of the set's splits, which are therefore not used"] += len(recordings) - len(
            result
        )
        return {}
    return result
