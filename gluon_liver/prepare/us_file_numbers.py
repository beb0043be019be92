"""Which picture of a folder the frame of a label is: by the numbers in the names of its files, or by their order.

A frame's number in the data is that in the name of its file, where the names number the files, so that gaps are gaps.
Labels count frames by these numbers, or from 0 in the order of the files, as tools do that are given a folder; what
fits tells which.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from gluon_liver.data.faults import Faults
from gluon_liver.labels.file_names import path_parts, stem
from gluon_liver.labels.us import SourceLabel
from gluon_liver.readers.image_folder import file_numbers, list_images
from gluon_liver.structures.frame_source import IMAGE_ENDINGS

AS_FRAMES = "name its folder by 'video' beside file_name"
BOTH, NUMBERS, PLACES = "both", "numbers", "places"  # what may be meant by the frames of labels


class NumberedFolder:
    """The pictures of a folder: their numbers in their order, places from 0 where the names are no numbers."""

    def __init__(self, path: str):
        names = [one.name for one in list_images(Path(path))]
        numbers = file_numbers(names)
        self._numbered = numbers is not None
        self.numbers = list(range(len(names))) if numbers is None else numbers
        self._number_of = {_key(name): number for name, number in zip(names, self.numbers)}

    def meant(self, frames: Sequence[int]) -> Optional[str]:
        """What labels with these frames mean, :data:`BOTH` where that is not clear, None where nothing fits."""
        as_places = max(frames) < len(self.numbers)
        if set(frames) <= set(self.numbers):
            return BOTH if as_places and any(self.numbers[frame] != frame for frame in frames) else NUMBERS
        return PLACES if as_places else None

    def number_of(self, picture: str) -> Optional[int]:
        """The number of the picture of a name, None for a name that no picture has."""
        return self._number_of.get(_key(picture))

    @property
    def words(self) -> str:
        """The numbers, for messages."""
        first, last, count = self.numbers[0], self.numbers[-1], len(self.numbers)
        if not self._numbered:
            return f"{count} files, whose names do not number them: frames are {first} to {last} in their order"
        gaps = last - first + 1 - count
        return f"{count} files numbered {first} to {last}" + (f", of which {gaps} are not there" if gaps else "")


def in_file_numbers(
    matched: Mapping[str, List[SourceLabel]], recordings: Mapping[str, str], faults: Faults, notes: List[str]
) -> Dict[str, List[SourceLabel]]:
    """Recording -> its images, with ``frame`` the number of a file in recordings that are folders.

    An image that names its picture (``file_name`` beside ``video``) is that picture; all others of an input count in
    one way. What fits nothing is added to ``faults``, what was decided to ``notes``.
    """
    result = {name: list(images) for name, images in matched.items()}
    folders = {name: NumberedFolder(recordings[name]) for name in matched if Path(recordings[name]).is_dir()}
    meant: Dict[str, str] = {}
    for name, images in result.items():
        folder = folders.get(name)
        if folder is None:
            for image in (image for image in images if image.frame < 0):
                faults.add(f"{image.where}: frame is missing, and its recording is no folder of which it is a picture")
            continue
        named = any(folder.number_of(image.picture) is not None for image in images if image.picture)
        strange = 0 if named else sum(bool(image.picture) for image in images)
        if strange:
            notes.append(
                f"file_name of {strange} image(s) is none of the pictures of their folder: their frames count alone"
            )
        result[name] = images = [_by_picture(image, folder, faults, named) for image in images]
        frames = sorted({image.frame for image in images if not image.picture})
        if not frames:
            continue
        fits = folder.meant(frames)
        if fits is None:
            first = next(image for image in images if image.frame not in folder.numbers and not image.picture)
            faults.add(
                f"{first.where}: key 'frame' is {first.frame}; its recording has {folder.words}{_hint(folder, frames)}"
            )
        else:
            meant[name] = fits
    sure = {fits for name, fits in meant.items() if folders[name].numbers != [*range(len(folders[name].numbers))]}
    unclear = PLACES if PLACES in sure and NUMBERS not in sure else NUMBERS
    for name, fits in meant.items():
        if (unclear if fits == BOTH else fits) == PLACES:
            numbers = folders[name].numbers
            result[name] = [
                image if image.picture else replace(image, frame=numbers[image.frame]) for image in result[name]
            ]
    notes += _notes(meant, folders, unclear)
    return result


def stills_notes(
    matched: Mapping[str, List[SourceLabel]], recordings: Mapping[str, str], remedy: str = AS_FRAMES
) -> List[str]:
    """A note on pictures that are recordings by themselves though their names number them within a folder.

    remedy: what to do where they are frames; "" where they are not, and nothing is to be said.
    """
    by_folder: Dict[Path, List[str]] = defaultdict(list)
    for name in matched:
        path = Path(recordings[name])
        if path.suffix.lower() in IMAGE_ENDINGS and not path.is_dir():
            by_folder[path.parent].append(path.name)
    numbered = [names for names in by_folder.values() if len(names) > 1 and file_numbers(names) is not None]
    if not numbered or not remedy:
        return []
    return [
        f"{sum(map(len, numbered))} picture(s) of {len(numbered)} folder(s) have numbers in their names and are named "
        "one by one, so each is a recording of one frame without a previous one; where they are frames of a recording, "
        f"{remedy}"
    ]


def _by_picture(image: SourceLabel, folder: NumberedFolder, faults: Faults, named: bool) -> SourceLabel:
    """With the number of the picture that it names, where it names one of the folder's. named: some image does."""
    number = folder.number_of(image.picture) if image.picture else None
    if number is None:
        if image.frame < 0:
            faults.add(f"{image.where}: frame is missing, and its file_name is none of the pictures of its recording")
        elif image.picture and named:
            faults.add(
                f"{image.where}: file_name is none of the pictures of its recording, though that of other images is: "
                "take the image out, or put the picture back"
            )
        return replace(image, picture="")
    place = folder.numbers.index(number)
    if image.frame not in (-1, number, place):
        faults.add(
            f"{image.where}: key 'frame' is {image.frame}; its file_name is that of picture {number} (place {place}, "
            "counted from 0): correct one of them, or leave frame out"
        )
    return replace(image, frame=number)


def _hint(folder: NumberedFolder, frames: Sequence[int]) -> str:
    for change, words in ((-1, "subtract 1 from"), (1, "add 1 to")):
        if {frame + change for frame in frames} <= set(folder.numbers):
            return f"; the labels fit where they are one off: {words} each 'frame'"
    return ""


def _notes(meant: Mapping[str, str], folders: Mapping[str, NumberedFolder], unclear: str) -> List[str]:
    notes = []
    places = [name for name, fits in meant.items() if fits == PLACES]
    both = [name for name, fits in meant.items() if fits == BOTH]
    if places:
        notes.append(
            f"labels of {len(places)} folder(s) count pictures from 0 in their order, not by the numbers in the names "
            f"of their files ({folders[places[0]].words}), which are the frames' numbers in the data"
        )
    if both:
        other = {NUMBERS: "places counted from 0", PLACES: "the numbers in the names of the files"}[unclear]
        like = ", as others do that fit in one way alone" if unclear == PLACES else ""
        notes.append(
            f"labels of {len(both)} folder(s) ({folders[both[0]].words}) may count pictures by the numbers in the "
            f"names of their files or in their order from 0, and were read as {unclear}{like}: where they are {other}, "
            "boxes lie on other pictures; file_name beside 'video' leaves no doubt"
        )
    return notes


def _key(name: str) -> str:
    return stem(path_parts(name)[-1])
