"""Which recordings an input holds, and which of them the images of a label file name."""

from __future__ import annotations

import difflib
import os
from collections import defaultdict
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from pydicom import dcmread

from gluon_liver.data.faults import SHOWN, Faults
from gluon_liver.errors import InputError
from gluon_liver.files.listing import list_files
from gluon_liver.labels.file_names import match_names, path_parts
from gluon_liver.labels.us import SAY_FRAME, SourceLabel
from gluon_liver.readers.dicom.bounded import BoundedReader
from gluon_liver.readers.dicom.pixels import PARSE_ERRORS
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.structures.frame_source import IMAGE_ENDINGS

from .us_file_numbers import in_file_numbers


def list_recordings(source: Path) -> Tuple[Dict[str, str], List[str]]:
    """(name below ``source``, "/" between parts -> path, in the order of names; notes for the report).

    Every file may be a recording, an image one of a single frame; a folder with images directly in it is one too, of
    which they are the frames. Labels say which is meant. Raises InputError where there is none.
    """
    if source.is_file():
        return {source.name: str(source)}, []
    if not source.is_dir():
        raise InputError(f"{source}: there is no such file or folder")
    listing = list_files(source, skip_closed=True)
    recordings: Dict[str, str] = {}
    for path in listing.paths:
        if not path.name.startswith("."):
            below = path.relative_to(source)
            recordings[below.as_posix()] = str(path)
            if is_image(path.name):
                name = below.parent.as_posix() if below.parent.parts else source.resolve().name
                recordings[name] = str(path.parent)
    if not recordings:
        closed = "".join(f"; {note}" for note in listing.notes())
        raise InputError(f"{source} is empty: there is no file in it or below it{closed}")
    return dict(sorted(recordings.items())), listing.notes()


def not_named(recordings: Mapping[str, str], matched: Iterable[str]) -> int:
    """How many files no label names, neither by themselves nor as frames of their folder."""
    named = set(matched)
    folders = {recordings[name] for name in named}
    files = {name: path for name, path in recordings.items() if not Path(path).is_dir()}
    return sum(
        name not in named and not (is_image(name) and str(Path(path).parent) in folders) for name, path in files.items()
    )


def is_image(name: str) -> bool:
    """Whether a recording of this name is a single image."""
    return name.lower().endswith(IMAGE_ENDINGS)


def match_recordings(
    images: Sequence[SourceLabel],
    recordings: Mapping[str, str],
    path: str,
    *,
    missing: Optional[List[SourceLabel]] = None,
    notes: Optional[List[str]] = None,
) -> Dict[str, List[SourceLabel]]:
    """Recording -> its images by frame; frames of a folder are numbered as :func:`in_file_numbers` says.

    Names are matched as those of label tools are, see :func:`match_names`; a name that is there to the letter means
    itself. Raises AnnotationError where 'video' names no recording or more than one, and where an image is labelled by
    itself and as a frame of its folder. With ``missing`` images of no recording are added to it instead. ``notes`` gets
    what a user should know.
    """
    names = list(recordings)
    found = _candidates(images, recordings)
    faults = Faults()
    named: Dict[str, List[SourceLabel]] = defaultdict(list)
    for image, candidates in zip(images, found):
        where = image.where or f"{path}: image {image.image_id}"
        if not candidates and missing is not None:
            missing.append(image)
        elif len(candidates) != 1:
            near = [] if len(faults.messages) >= SHOWN else names
            faults.add(f"{where}: {_no_match(image, candidates, len(names), near)}")
        elif image.still and not _is_one_frame(recordings[candidates[0]]):
            known = ", ".join(IMAGE_ENDINGS)
            faults.add(
                f"{where}: frame is missing, and its recording is not a single image (DICOM, {known}); {SAY_FRAME}"
            )
        else:
            named[candidates[0]].append(image)
    matched: Dict[str, Dict[int, SourceLabel]] = {}
    for name, its in in_file_numbers(named, recordings, faults, [] if notes is None else notes).items():
        frames = matched.setdefault(name, {})
        for image in its:
            if image.frame >= 0 and frames.setdefault(image.frame, image) is not image:
                where = image.where or f"{path}: image {image.image_id}"
                faults.add(f"{where} is the same frame as image {frames[image.frame].image_id}")
    folders = {recordings[name]: name for name in matched}
    for name in filter(is_image, matched):
        folder = folders.get(str(Path(recordings[name]).parent))
        if folder is not None:
            one, other = (next(iter(matched[which].values())).image_id for which in (name, folder))
            faults.add(
                f"{path}: image {one} names a picture by itself and image {other} its folder as a recording; label it "
                "in one way"
            )
    lost = sum(not candidates for candidates in found)
    there = f"where the input is a part of what was labelled, --allow-missing goes on without {lost} image(s)"
    faults.raise_any(there if lost and missing is None else "")
    return {name: [frames[index] for index in sorted(frames)] for name, frames in matched.items()}


def _candidates(images: Sequence[SourceLabel], recordings: Mapping[str, str]) -> List[List[str]]:
    """The recordings that each image may mean; names of one label file were written by one tool."""
    groups: Dict[str, List[int]] = defaultdict(list)
    for place, image in enumerate(images):
        groups[image.where.rpartition(": image ")[0]].append(place)
    names, paths = list(recordings), list(map(os.path.abspath, recordings.values()))
    result: List[List[str]] = [[] for _ in images]
    for places in groups.values():
        videos = list(dict.fromkeys(images[place].video for place in places))
        found = dict(zip(videos, match_names(videos, paths).candidates))
        for place in places:
            video = images[place].video
            result[place] = [video] if video in recordings else [names[one] for one in found[video]]
    return result


def _is_one_frame(path: str) -> bool:
    """Whether a file is a single image: by its ending, or as its DICOM header says."""
    if Path(path).is_dir():
        return False
    if is_image(path):
        return True
    try:
        with BoundedReader(Path(path)) as stream, quiet_pydicom():
            header = dcmread(stream, stop_before_pixels=True, specific_tags=["NumberOfFrames"])
        return int(header.get("NumberOfFrames") or 1) == 1
    except (OSError,) + PARSE_ERRORS:
        return False


def _no_match(image: SourceLabel, candidates: Sequence[str], count: int, names: Sequence[str]) -> str:
    wanted, key = image.video, image.key
    if candidates:
        return (
            f"key {key!r} names {len(candidates)} recordings of the {count} given: give the path below the "
            "imported folder with its ending"
        )
    # names may hold those of patients: none is quoted
    forms = {"/".join(path_parts(name)): name for name in names}
    near = difflib.get_close_matches("/".join(path_parts(wanted)), forms, n=1)
    number = names.index(forms[near[0]]) + 1 if near else 0
    nearest = f" (file {number:04d} in the order of their paths is almost called so)" if near else ""
    return (
        f"key {key!r} names no recording of the {count} given{nearest}; it must be the path below the imported "
        "folder, with or without its ending, or a mapping file (--map) must say which recording and frame it is "
        "(columns file_name, video, frame, scene)"
    )
