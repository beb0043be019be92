"""The DICOM series that a study was read from: which of its images shows a stored slice, and where a box lies in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

import numpy as np

from gluon_liver.archive.scan import scan_folder
from gluon_liver.data.study import Study
from gluon_liver.errors import InputError, why
from gluon_liver.readers.dicom.file_header import SliceHeader
from gluon_liver.readers.dicom.series import SeriesFiles
from gluon_liver.readers.dicom.slice_grid import project_positions
from gluon_liver.readers.dicom.volume import SeriesStack, open_series
from gluon_liver.structures.arrays import Array, FloatArray, IntArray
from gluon_liver.structures.modality import CT
from gluon_liver.structures.slice_mapping import SliceMapping
from gluon_liver.system.terminal import progress_bar

from .source_header import read_header


class PlacedBox(NamedTuple):
    """A box in an image of the series.

    source: which slice of the series, as its mapping counts them. edges: (4,) x1, y1, x2, y2 in its pixels, (0, 0) the
    outer corner of the first, as SCOORD of DICOM counts (PS3.3 C.18.6.1). nearest: the stored slice was interpolated,
    and the image is the nearest one.
    """

    source: int
    edges: FloatArray
    nearest: bool


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The images of the reference phase of a study.

    slices: their headers, z rising to the head, as ``mapping`` counts them.
    places: (n,) where they lie on the stored grid, in slices, fractions.
    emptied: tags whose values DICOM does not have, of the headers that were read; objects have them empty.
    """

    slices: Tuple[SliceHeader, ...]
    mapping: SliceMapping
    places: FloatArray
    emptied: Set[str] = field(default_factory=set)
    _read: Dict[Path, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, series: SeriesFiles, study: Study) -> SourceSeries:
        """The series that the reference phase of a study was read from. Raises :class:`InputError` where it names no
        frame of reference, which DICOM objects of results must share."""
        assert study.source.mapping is not None  # every import of DICOM keeps it
        _, along = project_positions(series.slices)
        slices = tuple(series.slices[index] for index in np.argsort(along, kind="stable"))
        places = study.geometry.world_to_index(np.array([one.position for one in slices]))[:, 0]
        if not series.frame_of_reference:
            why = f"{series.name} has no FrameOfReferenceUID, which the objects would have to share"
            raise InputError(f"{why}: leave dicom-sr and dicom-seg out of --format")
        return cls(slices, study.source.mapping, places)

    def place(self, stored_slice: int, box: Array) -> PlacedBox:
        """Where a box of a stored slice lies in the image that shows it, or in the nearest one, as far as it does.

        Slices that were shifted or padded have boxes beyond the image, where SCOORD has no points.
        """
        source, (rows, columns) = self._nearest(stored_slice), self.mapping.source_size
        edges = self.mapping.to_source_slice(np.asarray(box)[None], source)[0].clip(0, [columns, rows] * 2)
        return PlacedBox(source, edges, self.mapping.slices[source] != stored_slice)

    def shown_by(self, stored_slice: int) -> IntArray:
        """The slices of the series to which a stored one is the nearest, or the nearest slice where there is none."""
        own = np.flatnonzero(np.rint(self.places) == stored_slice)
        return own if len(own) else np.array([self._nearest(stored_slice)])

    def _nearest(self, stored_slice: int) -> int:
        """Of two that are as near the lower."""
        return int(np.abs(self.places - stored_slice).round(3).argmin())

    def header(self, source: int) -> Any:
        """The header of the file of a slice, as pydicom reads it, once. Raises :class:`InputError` where it is gone."""
        one = self.slices[source]
        if one.path not in self._read:
            try:
                dataset, emptied = read_header(one.path)
            except OSError as error:
                raise InputError(f"file {one.file:04d} of the study cannot be read again: {why(error)}") from error
            self._read[one.path] = dataset
            self.emptied.update(emptied)
        return self._read[one.path]

    def headers(self, sources: Iterable[int]) -> List[Any]:
        """The headers of the files of slices, each file once, in the order of the slices."""
        return [*{self.slices[source].path: self.header(source) for source in sources}.values()]


def find_series(folder: Path, study: Study, *, progress: bool = False) -> SourceSeries:
    """The series in a folder of DICOM files that the reference phase of a study of prepared data was imported from.

    It is told by its place in the patient and by all of its pixels. Raises :class:`InputError` where there is none, as
    of a study of another modality or one that was made of arrays.
    """
    if study.modality != CT or study.source.mapping is None:
        what = f"a study of {study.modality}" if study.modality != CT else "a study that was made of arrays"
        raise InputError(f"dicom-sr and dicom-seg name images of CT, and this is {what}: leave them out of --format")
    scan = scan_folder(folder, progress=progress)
    candidates = [
        (one, stack)
        for one in scan.series
        if len(one.slices) == study.source.images.get(study.reference_phase)
        for stack in _stacks(one)
        if stack.mapping == study.source.mapping and stack.geometry.same_grid(study.geometry)
    ]
    for series, stack in progress_bar(candidates, text="comparing pixels", unit="series", show=progress):
        if _has_pixels_of(stack, study):
            return SourceSeries.of(series, study)
    what = f"none of the {len(scan.series)} CT series in {folder} is the one that {study.reference_phase} of the study"
    raise InputError(f"{what} was imported from: place and pixels are compared; give --dicom the folder that has it")


def _stacks(series: SeriesFiles) -> Iterator[SeriesStack]:
    """The series as an import reads it, without and with --regrid."""
    for regrid in (False, True):
        try:
            yield open_series(series, regrid=regrid)
        except InputError:
            pass  # then it was not imported so


def _has_pixels_of(stack: SeriesStack, study: Study) -> bool:
    stored = study.hu[study.reference_index]
    differ = False

    def compare(place: int, plane: Array) -> None:
        nonlocal differ
        differ = differ or not np.array_equal(plane, stored[place])

    try:
        stack.decode(compare)
    except InputError:
        return False
    return not differ
