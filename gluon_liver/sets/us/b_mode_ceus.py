"""B-mode-and-CEUS-Liver of TCIA: DICOM of 120 patients, still and moving (doi.org/10.7937/TCIA.2021.v4z7-tc39).

`LiverUS-01/.../1-1.dcm`, GE LOGIQ E9 in what was looked at; many frames show B-mode and contrast mode side by side, of
which B-mode alone is taken here. Read in a quality report of a sample of five series (99 files: dual panels in cine
loops, wide stills, single panels; "the left side is treated as a B-mode candidate"), in the README of a segmentation
project ("very wide image with a dark vertical band in the middle") and in a script that cuts two-panel DICOM files
(dark columns near the middle; left is B-mode). The set has no boxes: draw them on whole frames and give them with
--labels. Not verified: whether the files list both pictures as regions (SequenceOfUltrasoundRegions), and that B-mode
is on the left in all of them; so both are looked at in each recording, and what contradicts is not taken.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Optional, Sequence, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.labels.source import label_paths
from gluon_liver.labels.us import load_source_labels
from gluon_liver.prepare.us import USSource
from gluon_liver.prepare.us_recordings import list_recordings
from gluon_liver.readers.frames import read_frames
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.frame_source import Box, FrameSource

from .layout import Given, USLayout

SIDES = ("left", "right")
DARK = 20  # grey values of what is no picture
GAP = 0.1  # of the width, around the middle: where the gap between two pictures begins
WIDE = 1.2  # width over height of two pictures beside each other, at least
ALIKE = 0.8  # of the larger: sides of two pictures
TINT = 10.0  # mean difference of colours, grey values, by which one half is tinted
DARKER = 2.0  # times


class BModeCEUS(USLayout):
    name = "b-mode-and-ceus-liver"
    title = "B-mode-and-CEUS-Liver (TCIA)"
    public = True
    takes = ("labels", "b_mode")

    def find(self, source: Path, given: Given) -> USSource:
        if not given.labels:
            raise InputError(
                "B-mode-and-CEUS-Liver has no boxes: draw them on whole frames and give them with --labels FILE "
                "(COCO JSON with video, frame and scene)"
            )
        labels = load_source_labels(list(given.labels), options=given.label_options)
        recordings, notes = list_recordings(source)
        side = given.b_mode or SIDES[0]
        told = f"of frames that show both modes the {side} half is taken as B-mode (--b-mode), and looked at"
        read = partial(open_b_mode, side=side, region=given.region)
        where = ", ".join(label_paths(list(given.labels)))
        return USSource(source, labels, where, recordings, read, [*notes, told], skip_copies=True)


def open_b_mode(path: str, *, name: str, side: str, region: Optional[Box] = None) -> FrameSource:
    """A recording cropped to its B-mode picture. Raises :class:`InputError` where that looks like contrast mode.

    side: where B-mode is in frames with both. region: of recordings that do not tell where the picture lies.
    """
    # asked below, when it is known how far the crop goes
    source = read_frames(path, region=region, whole_frame=region is None, text_stays=True, name=name)
    first: Optional[Array] = next(iter(source.whole_frames()), None)
    if first is None:
        raise InputError(f"{name} has no frame")
    both = halves(first, source.regions, source.region)
    # a dark gap parts two pictures, and tells nothing of what is written above and below them
    uncropped = region is None and not source.own_region
    if uncropped and source.burned_in:
        raise InputError(f"{name} says that text is burned into its frames: give the box of the picture (--region)")
    if both is None:
        source.notes.append("one picture a frame was found, and taken as B-mode")
        return source
    chosen, other = both if side == SIDES[0] else both[::-1]
    looks, sure = looks_like_contrast(_cut(first, chosen), _cut(first, other))
    if looks:
        opposite = SIDES[side == SIDES[0]]
        raise InputError(
            f"{name}: the {side} half of its frames looks like contrast mode ({looks}): where B-mode is on the "
            f"{opposite}, import it with --b-mode {opposite}"
        )
    source.region, source.region_words = chosen, f"{side} of two pictures"
    seen = "its first frame agrees" if sure else "its first frame does not tell the modes apart: look at the frames"
    if uncropped:
        seen += "; whole columns were taken: text burned into them stays"
    source.notes = [note for note in source.notes if not note.startswith("whole frames")]
    source.notes.append(f"frames have two pictures: the {side} one was taken as B-mode; {seen}")
    return source


def halves(frame: Array, regions: Sequence[Box], region: Box) -> Optional[Tuple[Box, Box]]:
    """(left, right) of two pictures beside each other: two regions that a file lists, or the parts beside a dark gap in
    the middle of ``region``; None for one picture.
    """
    pairs = [(one, other) for one in regions for other in regions if one[2] <= other[0] and _alike(one, other)]
    if pairs:
        return pairs[0]
    x1, y1, x2, y2 = region
    width, height = x2 - x1, y2 - y1
    if width < WIDE * height:
        return None
    columns = frame[y1:y2, x1:x2].max(axis=2).mean(axis=0)
    dark = columns < 0.25 * np.median(columns)
    middle = [place for place in np.flatnonzero(dark) if abs(place - width / 2) <= GAP * width]
    if not middle or not columns.any():
        return None
    nearest = min(middle, key=lambda place: abs(place - width / 2))
    begin, end = nearest, nearest + 1
    while begin > 0 and dark[begin - 1]:
        begin -= 1
    while end < width and dark[end]:
        end += 1
    if begin == 0 or end == width:
        return None
    left, right = (x1, y1, x1 + int(begin), y2), (x1 + int(end), y1, x2, y2)
    return (left, right) if _alike(left, right) else None


def looks_like_contrast(chosen: Array, other: Array) -> Tuple[str, bool]:
    """Why a half is rather contrast mode than the other one, "" where it is not; whether the two differ at all.

    Contrast mode is tinted where the machine tints one of them, and nearly black before the contrast arrives.
    """
    tint, other_tint = _tint(chosen), _tint(other)
    if abs(tint - other_tint) > TINT:
        return ("it is tinted, the other half is grey" if tint > other_tint else ""), True
    light, other_light = float(chosen.mean()), float(other.mean())
    if max(light, other_light) > DARKER * min(light, other_light):
        return ("it is much darker than the other half" if light < other_light else ""), True
    return "", False


def _tint(picture: Array) -> float:
    bright = picture[picture.max(axis=2) > DARK].astype(np.int16)
    return float((bright.max(axis=1) - bright.min(axis=1)).mean()) if len(bright) else 0.0


def _alike(one: Box, other: Box) -> bool:
    sides = [(box[2] - box[0], box[3] - box[1]) for box in (one, other)]
    return all(min(pair) >= ALIKE * max(pair) for pair in zip(*sides))


def _cut(frame: Array, box: Box) -> Array:
    return frame[box[1] : box[3], box[0] : box[2]]
