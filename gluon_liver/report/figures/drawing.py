"""Detections and ground truth drawn over a picture (Fig. 5 of the CT paper)."""

from __future__ import annotations

import io
import math
from functools import lru_cache
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gluon_liver.structures.detections import Boxes, Detections

from .lettering import lettering

Colour = Tuple[int, int, int]
_Key = Tuple[str, Colour, Optional[bool]]  # of the legend: text, colour, whether its line is dashed (None: no line)

# Told apart by colour-blind readers too (a test computes what they see) and bright enough for a dark slice; by class
# index, from the beginning again after the last.
CLASS_COLOURS: Tuple[Colour, ...] = ((86, 180, 233), (240, 228, 66), (255, 120, 50), (105, 105, 255), (75, 255, 150))
CLASS_COLOURS += ((180, 180, 165), (195, 105, 75), (240, 60, 180))
GT_COLOUR: Colour = (255, 255, 255)
_PLATE: Colour = (16, 16, 20)  # behind text
_FAINT: Colour = (170, 170, 170)
_LEGIBLE_SIDE = 640  # smaller images are enlarged by a whole factor to at least this
_DASH = 6


class Rect(NamedTuple):
    """Pixels of the drawing: left and top inclusive, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: Rect) -> bool:
        """Whether the two share a pixel."""
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)


class _Mark(NamedTuple):
    outline: Rect
    text: str
    colour: Colour
    dashed: bool
    where: str = ""  # the box's corner in pixels of the slice


def draw_overlay(
    picture: np.ndarray,
    detections: Detections,
    *,
    truth: Optional[Boxes],
    classes: Sequence[str],
    colours: Optional[Sequence[Colour]] = None,
    scale: Optional[int] = None,
    legend: bool = True,
) -> np.ndarray:
    """Draw predictions (solid, class colour, label and score) and ground truth (dashed, white) over a picture.

    Outlines lie just outside the boxes. Text lies in the image and on no box; where a crowded image has no
    such place near the box, the text goes to a line of the legend, with the box's position. Names are those of
    :func:`lettering`.

    picture: (H, W) grey or (H, W, 3) RGB uint8. detections: in pixels of picture; all are drawn, drop low scores first.
    truth: None where nobody annotated the picture. classes, colours: by label, colours by default of
    :func:`class_colours`. scale: whole enlargement factor; by default the smallest that makes the longer side 640
    pixels or more. legend: a strip under the image with what the colours mean and texts that found no room in the
    image. Without it such texts lie in their boxes, and every drawing of a size has the same size.

    Returns (scale * H + strip, scale * W, 3) uint8 RGB.
    """
    if picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,)) or picture.dtype != np.uint8:
        raise ValueError(f"a (H, W) or (H, W, 3) uint8 picture is needed, found {picture.shape} {picture.dtype}")
    if scale is None:
        scale = max(1, math.ceil(_LEGIBLE_SIDE / max(picture.shape[:2])))
    height, width = picture.shape[0] * scale, picture.shape[1] * scale
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC).convert("RGB")
    line = max(1, round(max(width, height) / 320))
    names, font_file = lettering(classes)
    colours = class_colours(len(classes)) if colours is None else colours
    marks = [
        _Mark(_outline(box, scale, line, width, height), text, colour, dashed, f"x {box[0]:.0f}, y {box[1]:.0f}")
        for box, text, colour, dashed in _boxes(detections, truth, names, colours)
    ]
    draw = ImageDraw.Draw(image)
    for mark in reversed(marks):  # dashes last: they stay visible on a prediction that fits exactly
        _draw_outline(draw, mark, line)
    font = _font(font_file, max(11, round(max(width, height) / 45)))  # still legible at half size on a page
    sizes = [_text_size(font, mark.text) for mark in marks]
    places = place_labels([mark.outline for mark in marks], sizes, width, height)
    if not legend:
        inside = [_inside(mark.outline, size, width, height) for mark, size in zip(marks, sizes)]
        places = [place or other for place, other in zip(places, inside)]
    _draw_labels(draw, [(mark, place) for mark, place in zip(marks, places) if place is not None], font)
    if not legend:
        return np.array(image)
    keys = _keys(detections, truth, names, colours)
    unplaced = [mark for mark, place in zip(marks, places) if place is None]
    keys += [(f"{mark.text} at {mark.where}", mark.colour, mark.dashed) for mark in unplaced]
    return np.concatenate([np.asarray(image), _legend(width, font, keys)])


def class_colours(count: int) -> List[Colour]:
    """Colours of so many classes, by label."""
    return [CLASS_COLOURS[label % len(CLASS_COLOURS)] for label in range(count)]


def place_labels(
    outlines: Sequence[Rect], sizes: Sequence[Tuple[int, int]], width: int, height: int
) -> List[Optional[Rect]]:
    """Find a place for each label that lies in the image and meets no box and no other label.

    Places next to the box are tried first (above, below, right, left), then places up to a third of the image away.
    outlines: boxes in pixels of the drawing. sizes: (width, height) of each label. width, height: of the image.
    Returns a rectangle for each label, None where there is no room.
    """
    taken = list(outlines)
    placed: List[Optional[Rect]] = []
    reach = max(width, height) // 3
    for outline, (text_width, text_height) in zip(outlines, sizes):
        corners = _candidates(outline, text_width, text_height, reach)
        rects = (Rect(left, top, left + text_width, top + text_height) for left, top in corners)
        inside = (one for one in rects if min(one[:2]) >= 0 and one.right <= width and one.bottom <= height)
        placed.append(next((one for one in inside if not any(one.meets(other) for other in taken)), None))
        taken += filter(None, placed[-1:])
    return placed


def _candidates(outline: Rect, text_width: int, text_height: int, reach: int) -> Iterator[Tuple[int, int]]:
    """Top-left corners by preference: touching the box, then on a grid around it, nearest first."""
    above, below = outline.top - text_height, outline.bottom
    before, behind = outline.left - text_width, outline.right
    lefts, tops = [outline.left, outline.right - text_width], [outline.top, outline.bottom - text_height]
    near = [(left, above) for left in lefts] + [(left, below) for left in lefts]
    near += [(behind, top) for top in tops] + [(before, top) for top in tops]
    yield from near + [(behind, above), (before, above), (behind, below), (before, below)]
    offsets = range(-reach, reach + 1, max(4, text_height // 2))

    def distance(place: Tuple[int, int]) -> int:
        """Of a label's (top, left) from the box, squared."""
        top, left = place
        gap_x, gap_y = max(before - left, left - outline.right, 0), max(above - top, top - outline.bottom, 0)
        return gap_x * gap_x + gap_y * gap_y

    far = sorted((outline.top + dy, outline.left + dx) for dy in offsets for dx in offsets)
    yield from ((left, top) for top, left in sorted(far, key=distance))


def _boxes(
    detections: Detections, truth: Optional[Boxes], classes: Sequence[str], colours: Sequence[Colour]
) -> Iterator[Tuple[np.ndarray, str, Colour, bool]]:
    """Box, text, colour and whether dashed, ground truth first."""
    for box, label in [] if truth is None else zip(truth.boxes, truth.labels):
        yield box, f"GT {classes[label]}", GT_COLOUR, True
    for box, label, score in zip(detections.boxes, detections.labels, detections.scores):
        yield box, f"{classes[label]} {score:.2f}", colours[label], False


def _inside(outline: Rect, size: Tuple[int, int], width: int, height: int) -> Rect:
    """A label in the top-left corner of its box, moved into the image where it is cut off."""
    left, top = max(0, min(outline.left, width - size[0])), max(0, min(outline.top, height - size[1]))
    return Rect(left, top, left + size[0], top + size[1])


def _outline(box: np.ndarray, scale: int, line: int, width: int, height: int) -> Rect:
    """The outer rectangle of the outline around a box, kept in the image."""
    x1, y1, x2, y2 = (round(float(value) * scale) for value in box)
    left, top = min(max(x1 - line, 0), width - 2 * line), min(max(y1 - line, 0), height - 2 * line)
    return Rect(left, top, min(max(x2 + line, left + 2 * line), width), min(max(y2 + line, top + 2 * line), height))


def _draw_outline(draw: ImageDraw.ImageDraw, mark: _Mark, line: int) -> None:
    left, top, right, bottom = mark.outline
    if not mark.dashed:
        draw.rectangle((left, top, right - 1, bottom - 1), outline=mark.colour, width=line)
        return
    for start in range(left, right, 2 * _DASH):
        for edge in (top, bottom - line):
            draw.rectangle((start, edge, min(start + _DASH, right) - 1, edge + line - 1), fill=mark.colour)
    for start in range(top, bottom, 2 * _DASH):
        for edge in (left, right - line):
            draw.rectangle((edge, start, edge + line - 1, min(start + _DASH, bottom) - 1), fill=mark.colour)


def _draw_labels(draw: ImageDraw.ImageDraw, placed: Sequence[Tuple[_Mark, Rect]], font: ImageFont.FreeTypeFont) -> None:
    for mark, place in placed:
        start, end = _nearest(mark.outline, place), _nearest(place, mark.outline)
        if max(abs(start[0] - end[0]), abs(start[1] - end[1])) > 2:  # the label does not touch its box
            draw.line([start, end], fill=mark.colour, width=1)
    for mark, place in placed:
        draw.rectangle((place.left, place.top, place.right - 1, place.bottom - 1), fill=_PLATE)
        draw.text((place.left + 3, place.top + 1), mark.text, fill=mark.colour, font=font)


def _nearest(rect: Rect, other: Rect) -> Tuple[int, int]:
    """The pixel of rect nearest to the centre of other."""
    x, y = (other.left + other.right) // 2, (other.top + other.bottom) // 2
    return min(max(x, rect.left), rect.right - 1), min(max(y, rect.top), rect.bottom - 1)


def _keys(
    detections: Detections, truth: Optional[Boxes], classes: Sequence[str], colours: Sequence[Colour]
) -> List[_Key]:
    keys: List[_Key] = [(name, colours[label], False) for label, name in enumerate(classes)]
    if truth is not None:
        keys.append(("ground truth (GT)", GT_COLOUR, True))
    if not len(detections):
        keys.append(("no detection", _FAINT, None))
    if truth is not None and not len(truth.boxes):
        keys.append(("nothing annotated", _FAINT, None))
    return keys


def _legend(width: int, font: ImageFont.FreeTypeFont, items: Sequence[_Key]) -> np.ndarray:
    """The strip under the image, wrapped."""
    row_height = _text_size(font, "Ag")[1] + 6
    swatch, gap = 2 * row_height // 3 + 6, 14
    places, x, row = [], 6, 0
    for text, _, dashed in items:
        item_width = (0 if dashed is None else swatch) + _text_size(font, text)[0]
        if x > 6 and x + item_width > width - 6:
            x, row = 6, row + 1
        places.append((x, row * row_height + 3))
        x += item_width + gap
    strip = Image.new("RGB", (width, (row + 1) * row_height + 6), _PLATE)
    draw = ImageDraw.Draw(strip)
    for (text, colour, dashed), (left, top) in zip(items, places):
        if dashed is not None:
            sample = Rect(left, top + 4, left + swatch - 6, top + row_height - 5)
            _draw_outline(draw, _Mark(sample, "", colour, dashed), 2)
            left += swatch
        draw.text((left, top + 3), _shorten(text, font, width - left), fill=colour, font=font)
    return np.asarray(strip)


def _shorten(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    while len(text) > 1 and font.getbbox(text)[2] > room:
        text = text[:-2] + "\u2026"
    return text


def _text_size(font: ImageFont.FreeTypeFont, text: str) -> Tuple[int, int]:
    """Width and height of a label's plate, the same height for every text."""
    ascent, descent = font.getmetrics()
    return int(font.getbbox(text)[2]) + 7, ascent + descent + 2


@lru_cache(maxsize=4)
def _font(file: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(file), size)


def save_png(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture (h, w, 3) uint8. Raises OSError when it cannot be written whole."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG")
    path.write_bytes(stream.getvalue())
