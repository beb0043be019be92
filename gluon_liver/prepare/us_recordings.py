"""Which recordings an input holds, and which of them the images of a label file name."""

from __future__ import annotations

import difflib
import os
from collections import defaultdict
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Sequence

from gluon_liver.data.us_labels import SourceLabel
from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.structures.frame_source import IMAGE_ENDINGS

from .file_names import match_names, path_parts


def list_recordings(source: Path) -> Dict[str, str]:
    """Name below ``source`` ("/" between parts) -> path, in the order of names. Raises InputError where there is none.

    Every file may be a recording, an image one of a single frame; a folder with images directly in it is one too, of
    which they are the frames. Labels say which is meant.
    """
    if source.is_file():
        return {source.name: str(source)}
    if not source.is_dir():
        raise InputError(f"{source}: there is no such file or folder")

    def fail(error: OSError) -> None:
        raise InputError(f"a folder below {source} cannot be read: {error.strerror}") from error

    recordings: Dict[str, str] = {}
    for root, _, entries in os.walk(source, onerror=fail):
        below, names = Path(root).relative_to(source), [name for name in entries if not name.startswith(".")]
        recordings.update(((below / name).as_posix(), str(Path(root) / name)) for name in names)
        if any(map(is_image, names)):
            recordings[below.as_posix() if below.parts else source.resolve().name] = root
    if not recordings:
        raise InputError(f"{source} is empty: there is no file in it or below it")
    return dict(sorted(recordings.items()))


def not_named(recordings: Dict[str, str], matched: Iterable[str]) -> int:
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
    images: Sequence[SourceLabel], recordings: Mapping[str, str], path: str
) -> Dict[str, List[SourceLabel]]:
    """Recording -> its images by frame.

    Names are matched as those of label tools are, see :func:`match_names`; a name that is there to the letter means
    itself. Raises AnnotationError where 'video' names no recording or more than one, and where an image is labelled by
    itself and as a frame of its folder.
    """
    names = list(recordings)
    videos = list(dict.fromkeys(image.video for image in images))
    places = dict(zip(videos, match_names(videos, names).candidates))
    matched: Dict[str, Dict[int, SourceLabel]] = defaultdict(dict)
    for image in images:
        wanted = image.video
        candidates = [wanted] if wanted in recordings else [names[place] for place in places[wanted]]
        if len(candidates) != 1:
            raise AnnotationError(f"{path}: image {image.image_id}: {_no_match(wanted, candidates, names)}")
        frames = matched[candidates[0]]
        if image.frame in frames:
            other = frames[image.frame].image_id
            raise AnnotationError(f"{path}: image {image.image_id} is the same frame as image {other}")
        frames[image.frame] = image
    folders = {recordings[name]: name for name in matched}
    for name in filter(is_image, matched):
        folder = folders.get(str(Path(recordings[name]).parent))
        if folder is not None:
            one, other = (next(iter(matched[which].values())).image_id for which in (name, folder))
            raise AnnotationError(
                f"{path}: image {one} names a picture by itself and image {other} its folder as a recording; label it "
                "in one way"
            )
    return {name: [frames[index] for index in sorted(frames)] for name, frames in matched.items()}


def _no_match(wanted: str, candidates: Sequence[str], names: Sequence[str]) -> str:
    if candidates:
        return (
            f"key 'video' names {len(candidates)} recordings of the {len(names)} given: give the path below the "
            "imported folder with its ending"
        )
    # names may hold those of patients: one is quoted only where it is almost what the label file says
    forms = {"/".join(path_parts(name)): name for name in names}
    near = difflib.get_close_matches("/".join(path_parts(wanted)), forms, n=1)
    nearest = f" (it is {wanted!r}, the nearest is {forms[near[0]]!r})" if near else ""
    return (
        f"key 'video' names no recording of the {len(names)} given{nearest}; it must be the path below the imported "
        "folder, with or without its ending"
    )
