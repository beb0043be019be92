"""Which recordings an input holds, and which of them the images of a label file name."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Sequence

from gluon_liver.data.us_labels import SourceLabel
from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.readers.image_folder import IMAGE_ENDINGS


def list_recordings(source: Path) -> Dict[str, str]:
    """Name below ``source`` ("/" between parts) -> path, in the order of names. Raises InputError where there is none.

    A folder with images directly in it is one recording; of other folders each file may be one.
    """
    if source.is_file():
        return {source.name: str(source)}
    if not source.is_dir():
        raise InputError(f"{source}: there is no such file or folder")

    def fail(error: OSError) -> None:
        raise InputError(f"a folder below {source} cannot be read: {error.strerror}") from error

    recordings: Dict[str, str] = {}
    for root, _, names in os.walk(source, onerror=fail):
        below = Path(root).relative_to(source)
        if any(name.lower().endswith(IMAGE_ENDINGS) for name in names):
            recordings[below.as_posix() if below.parts else source.resolve().name] = root
        else:
            recordings.update(((below / name).as_posix(), str(Path(root) / name)) for name in names)
    if not recordings:
        raise InputError(f"{source} is empty: there is no file in it or below it")
    return dict(sorted(recordings.items()))


def match_recordings(images: Sequence[SourceLabel], names: List[str], path: str) -> Dict[str, List[SourceLabel]]:
    """Recording -> its images by frame. Raises AnnotationError where 'video' names none, or more than one."""
    by_stem: Dict[str, List[str]] = defaultdict(list)
    for name in names:
        by_stem[Path(name).with_suffix("").as_posix()].append(name)
    matched: Dict[str, Dict[int, SourceLabel]] = defaultdict(dict)
    for image in images:
        wanted = Path(image.video.replace("\\", "/")).as_posix()
        candidates = [wanted] if wanted in names else by_stem.get(wanted, [])
        if len(candidates) != 1:
            count = f"{len(candidates)} recordings" if candidates else "no recording"
            raise AnnotationError(
                f"{path}: image {image.image_id}: key 'video' names {count} of the {len(names)} given; it must be "
                "the path below the imported folder, with or without its ending"
            )
        frames = matched[candidates[0]]
        if image.frame in frames:
            other = frames[image.frame].image_id
            raise AnnotationError(f"{path}: image {image.image_id} is the same frame as image {other}")
        frames[image.frame] = image
    return {name: [frames[index] for index in sorted(frames)] for name, frames in matched.items()}
