"""Masks of organs and maps of classes in the guise of CT, told by their pixels: public sets store them so.

Noise gives every slice of a scanner hundreds of values, and air around the patient values far below 0 HU. A series is
taken for labels only where none of its slices has either.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Sequence, Set, Tuple

import numpy as np

from gluon_liver.errors import DicomError
from gluon_liver.readers.dicom.file_header import SliceHeader
from gluon_liver.readers.dicom.pixels import is_compressed, read_words, stored_values
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.readers.dicom.series import SeriesFiles
from gluon_liver.readers.dicom.slice_grid import project_positions
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.enumerations import all_of

SAMPLED = 5  # slices of every series that are looked at
FEW_VALUES, MAX_VALUES = 16, 256
SAME_NEIGHBOURS = 0.8  # of pixels inside the regions of a map with many classes; noise leaves a fraction of it
ALL_AIR = -500.0  # HU that no value exceeds where a mask keeps the rescale of the CT that it was drawn on


class Values:
    """The stored values of slices, seen one slice after the other; ``possible`` until they cannot be labels."""

    def __init__(self) -> None:
        self.seen: Set[int] = set()
        self.hu: Set[float] = set()
        self.possible = True
        self.structured = False
        self.bits = 0
        self._pairs = self._same = 0

    def add(self, stored: Array, header: SliceHeader) -> None:
        """See one slice (rows, columns)."""
        values: Set[int] = set()
        for part in (stored[::4, ::4], stored):  # a sixteenth of the pixels tells CT at once
            values = set(np.unique(part).tolist())
            if len(values) > MAX_VALUES:
                self.possible = False
                return
        self.seen |= values
        self.hu |= {value * header.slope + header.intercept for value in values}
        self.structured |= len(values) > 1
        self.bits = header.layout.bits_stored
        left, right = stored[:, :-1], stored[:, 1:]
        inside = np.isin(left, [min(values), max(values)], invert=True)
        inside &= np.isin(right, [min(values), max(values)], invert=True)
        self._pairs, self._same = self._pairs + int(inside.sum()), self._same + int((inside & (left == right)).sum())
        smooth = len(self.seen) <= FEW_VALUES or self._same >= SAME_NEIGHBOURS * max(self._pairs, 1)
        air = min(self.seen) == 0 and max(self.hu) <= ALL_AIR
        self.possible = len(self.seen) <= MAX_VALUES and smooth and (min(self.hu) >= 0 or air)

    @property
    def reason(self) -> str:
        """What the slices look like, "" where they may be CT."""
        if not self.possible or not self.seen:
            return ""
        values = sorted(self.seen)
        if len(values) == 1:
            # A constant CT is none either, but nothing says that it is a label unless it is background or 8 bits.
            empty = values == [0] or self.bits <= 8
            return f"it looks like an empty mask, no CT: every pixel is {values[0]}" if empty else ""
        if not self.structured and self.bits > 8 or 0 not in (values[0], min(self.hu)):
            return ""
        if len(values) <= 3:
            return f"it looks like a mask, no CT: its pixels are {all_of(values)}, of {self.bits} bits"
        return (
            f"it looks like a map of classes, no CT: its pixels are {len(values)} numbers, {values[0]} to {values[-1]}"
        )


def label_like(series: SeriesFiles) -> str:
    """Why a series is taken for labels, "" where it may be CT: by a sample of its slices, then by all of them."""
    slices = series.slices
    if series.phantom or not slices or _is_slow(slices[0]):
        return ""
    order = np.argsort(project_positions(slices)[1], kind="stable")
    sample = order[np.unique(np.linspace(0, len(slices) - 1, SAMPLED).round().astype(int))]
    for chosen in (sample, order):
        reason = _reason([slices[index] for index in chosen])
        if not reason:
            return ""
    return reason


def looks_like_labels(header: SliceHeader, words: Array) -> bool:
    """Whether one slice by itself has the values of a mask; ``words``: its file as :func:`read_words` gives it."""
    values = Values()
    values.add(stored_values(words[header.frame or 0], header.layout), header)
    return bool(values.reason)


def _reason(slices: Sequence[SliceHeader]) -> str:
    values = Values()
    with quiet_pydicom():
        for header, stored in _planes(slices):
            values.add(stored, header)
            if not values.possible:
                break
    return values.reason


def _planes(slices: Iterable[SliceHeader]) -> Iterator[Tuple[SliceHeader, Array]]:
    by_file: Dict[int, List[SliceHeader]] = {}
    for header in slices:
        by_file.setdefault(header.file, []).append(header)
    for file, headers in by_file.items():
        try:
            words = read_words(headers[0], f"file {file:04d}")
        except DicomError:
            continue  # loading the series says what is wrong
        for header in headers:
            yield header, stored_values(words[header.frame or 0], header.layout)


def _is_slow(header: SliceHeader) -> bool:
    """Whether a sample costs as much as the whole: compressed frames of one file, of more bits than masks have."""
    return header.frames > 1 and is_compressed(header.transfer_syntax) and header.layout.bits_stored > 8
