"""What a listing says of one series, as texts."""

from __future__ import annotations

import base64
import os
import statistics
from datetime import datetime
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.errors import DicomError
from gluon_liver.readers.dicom.series import SeriesFiles
from gluon_liver.readers.dicom.slice_grid import build_grid, project_positions
from gluon_liver.report.pages.series_page import SeriesEntry
from gluon_liver.structures.enumerations import first_of
from gluon_liver.system.terminal import duration

from .glance import Glance
from .headers import SeriesHeader, read_series_header, spread
from .organs import looks_like

UNKNOWN = ("", "no rule says which phase it is")


def printable(text: str) -> str:
    """Text on one line: white space of any kind as one blank, what cannot be shown as its escape sequence."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in " ".join(text.split()))


def header_of(series: SeriesFiles) -> SeriesHeader:
    """What the headers of the first, middle and last slice say."""
    slices = sorted(series.slices, key=lambda header: header.position[2])
    times = [header.timing.acquisition_time for header in slices]
    acquired_at = min((time for time in times if time is not None), default=None)
    return read_series_header([header.path for header in spread(slices)], acquired_at)


def start_of(headers: Iterable[SeriesHeader]) -> Optional[datetime]:
    """When the first of several series was taken, None where none of them says."""
    return min((header.moment.when for header in headers if header.moment), default=None)


def entries_of(
    series: Sequence[SeriesFiles],
    headers: Dict[str, SeriesHeader],
    glances: Dict[str, Glance],
    verdicts: Dict[str, Tuple[str, str]],
    source: Path,
) -> List[SeriesEntry]:
    """The series of one study in the order in which they were taken."""
    start = start_of(headers[one.name] for one in series)
    late = datetime.max

    def order(one: SeriesFiles) -> Tuple[datetime, int, int, str]:
        moment = headers[one.name].moment
        acquired = min((n for n in (each.timing.acquisition for each in one.slices) if n is not None), default=0)
        return moment.when if moment else late, acquired, one.series_number or 0, one.name

    return [
        _entry(one, headers[one.name], glances[one.name], start, verdicts.get(one.name, UNKNOWN), source)
        for one in sorted(series, key=order)
    ]


def _entry(
    one: SeriesFiles,
    header: SeriesHeader,
    glance: Glance,
    start: Optional[datetime],
    verdict: Tuple[str, str],
    source: Path,
) -> SeriesEntry:
    """start: of the study. verdict: the phase that the rules take the series for, and why."""
    return SeriesEntry(
        name=one.name,
        address=printable(one.address),
        patient=printable(one.patient_id),
        study=printable(one.study_uid),
        folder=_folder_of(one, source),
        number="" if one.series_number is None else str(one.series_number),
        description=printable(one.description),
        date=header.date,
        time=_time(header),
        offset=_offset(header, start),
        contrast=printable(header.contrast or one.contrast),
        slices=len(one.slices),
        extent=_extent(one),
        spacing=_spacing(one),
        image_type=printable("/".join(one.slices[0].image_type)) if one.slices else "",
        kind=one.kind,
        acquisitions=_acquisitions(one),
        kernel=printable(header.kernel),
        phase=verdict[0],
        verdict=verdict[1],
        trouble=_trouble(one, glance),
        aorta=glance.aorta,
        liver=glance.liver,
        soft_tissue=glance.soft_tissue,
        looks_like=looks_like(glance.aorta, glance.liver),
        pictures=[
            ("data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"), f"z {z:.0f} mm")
            for jpeg, z in glance.pictures
        ],
    )


def _folder_of(series: SeriesFiles, source: Path) -> str:
    folders = list(dict.fromkeys(os.path.relpath(one.path.parent, source) for one in series.slices))
    return printable(first_of(folders, 1))


def _time(header: SeriesHeader) -> str:
    if header.moment is None:
        return header.date
    clock = header.moment.clock
    return header.moment.when.strftime("%Y-%m-%d %H:%M:%S") + f" ({clock})" * bool(clock)


def _offset(header: SeriesHeader, start: Optional[datetime]) -> str:
    if header.moment is None or start is None:
        return ""
    text = "+" + duration((header.moment.when - start).total_seconds(), exact=True)
    text += f" by {header.moment.clock}" * bool(header.moment.clock)
    if header.after_injection is not None:
        text += f", {duration(header.after_injection, exact=True)} after the injection"
    return text


def _extent(series: SeriesFiles) -> str:
    if not series.slices:
        return ""
    z = [header.position[2] for header in series.slices]
    return f"{max(z) - min(z):.4g} mm (z {min(z):.4g} to {max(z):.4g})"


def _spacing(series: SeriesFiles) -> str:
    if not series.slices:
        return ""
    steps = np.diff(np.sort(project_positions(series.slices)[1]))
    usual = statistics.median(steps.tolist() or [0.0])
    try:
        usual = build_grid(series.slices, series.name).geometry.spacing[0]  # of rounded positions, too
    except DicomError:
        pass
    apart = f"{usual:.3g} mm apart, " if len(steps) else ""
    dy, dx = series.slices[0].pixel_spacing
    return f"{apart}pixels {dx:.3g} x {dy:.3g} mm, {series.slices[0].columns} x {series.slices[0].rows}"


def _acquisitions(series: SeriesFiles) -> str:
    numbers = {one.timing.acquisition for one in series.slices if one.timing.acquisition is not None}
    return f"AcquisitionNumber {first_of(sorted(numbers), 6)}" if numbers else ""


def _trouble(series: SeriesFiles, glance: Glance) -> str:
    """Why the series cannot be imported as it is, or not be looked at; "" where nothing is wrong."""
    found = [str(defect) for defect in series.defects[:1]]
    if series.slices:
        try:
            build_grid(series.slices, series.name)
        except DicomError as error:
            found.append(str(error))
    found += [glance.trouble] * (bool(glance.trouble) and not found)
    return "; ".join(found)
