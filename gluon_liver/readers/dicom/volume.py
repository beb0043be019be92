"""CT series -> volumes in HU on regular grids."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import Dict, List, Tuple

import numpy as np

from gluon_liver.errors import OversizeError
from gluon_liver.structures.arrays import Array, FloatArray
from gluon_liver.structures.volume_stack import PutPlane, VolumeStack

from .file_header import SliceHeader
from .pixels import hounsfield, read_words
from .planes import between, stored_plane
from .quiet import quiet_pydicom
from .series import Rejection, SeriesFiles, slice_uid
from .slice_grid import SliceGrid, build_grid, file_of
from .tags import MAX_SLICES, MAX_VOXELS
from .woven import check_not_woven, shrunk


@dataclass(frozen=True, eq=False)
class SeriesStack(VolumeStack):
    """A DICOM series whose place in the patient is known.

    sop_instance_uids: one for each stored slice, "" where --regrid interpolated it; frames of a multi-frame file are
    "<uid>#<frame from 1>".
    left_out: slices of the series, counted as the mapping does, that are not taken, with the reason.
    off_line: slices whose position was rounded or wavers: the line through all of them counts instead.
    decode: see :class:`VolumeStack`; raises a :class:`DicomError`.
    """

    sop_instance_uids: Tuple[str, ...] = ()
    frame_of_reference: str = ""
    left_out: Dict[int, Rejection] = field(default_factory=dict)
    off_line: int = 0


def open_series(series: SeriesFiles, *, regrid: bool = False) -> SeriesStack:
    """Find the regular grid of one series by its headers.

    Raises the :class:`DicomError` of the first defect (a truncated file, a missing tag), or that of
    :func:`build_grid` for slices that make no regular grid; ``regrid`` interpolates linearly between positions and
    shears tilted slices back, within bounds.
    """
    if series.defects:
        more = f" ({len(series.defects) - 1} more files of {series.name} are unusable)" * (len(series.defects) > 1)
        raise type(series.defects[0])(f"{series.defects[0]}{more}")
    slices = series.slices
    count, pixels = len(slices), slices[0].rows * slices[0].columns
    if count > MAX_SLICES or count * pixels > MAX_VOXELS:
        bounds = f"{MAX_SLICES} slices and {MAX_VOXELS} pixels in all"
        raise OversizeError(f"{series.name} has {count} slices of {pixels} pixels; the bounds are {bounds}")
    grid = build_grid(slices, series.name, regrid=regrid)
    uids = [""] * grid.geometry.size[0]
    for index, z in zip(grid.order, grid.mapping.slices):
        if z >= 0:
            uids[z] = slice_uid(slices[index])
    return SeriesStack(
        grid.geometry,
        grid.mapping,
        grid.history,
        partial(_decode, series, grid),
        tuple(uids),
        slices[0].frame_of_reference,
        {grid.order.index(index): _left_out(slices[index], mm, series) for index, mm in grid.left_out},
        grid.off_line,
    )


def _decode(series: SeriesFiles, grid: SliceGrid, put: PutPlane) -> None:
    """See :class:`VolumeStack`. Files are read in their order, each once.

    Raises :class:`MixedSeriesError` where the slices are those of several stacks.
    """
    slices = [series.slices[index] for index in grid.order]
    taken = np.flatnonzero(np.isfinite(grid.place))
    by_file: Dict[int, List[int]] = defaultdict(list)
    for source in taken.tolist():
        by_file[slices[source].file].append(source)
    mixed = grid.history.interpolated or grid.history.blended
    stack: Dict[int, Array] = {}
    small: Dict[int, FloatArray] = {}
    with quiet_pydicom():
        for file, sources in sorted(by_file.items()):
            words = read_words(slices[sources[0]], f"file {file:04d} ({series.name})")
            for source in sources:
                hu = hounsfield(words[slices[source].frame or 0], slices[source])
                small[source] = shrunk(hu)
                plane = stored_plane(hu, grid.mapping, source)
                if mixed:
                    stack[source] = plane
                else:
                    put(grid.mapping.slices[source], plane)
    check_not_woven(small, series.name)
    for z in range(grid.geometry.size[0] if mixed else 0):
        put(z, between([stack[source] for source in taken.tolist()], grid.place[taken], z))


def _left_out(header: SliceHeader, mm: float, series: SeriesFiles) -> Rejection:
    reason = f"it lies {mm:.1f} mm off the other slices of {series.name}, so --regrid leaves it out"
    return Rejection(file_of(header), reason, "stray-slice")
