"""What a listing looks like: on the screen, as a page, a table and a phase file to fill in."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from gluon_liver.errors import InputError
from gluon_liver.files.output_folder import whole_folder, why_not_written
from gluon_liver.phases.template import phase_template
from gluon_liver.prepare.ct_report import CTImportLog, why_nothing_was_taken
from gluon_liver.prepare.report import MAX_LINES, Table, private_file, write_private_files
from gluon_liver.report.pages.series_page import SeriesEntry, series_page

from .entries import printable
from .glance import SHOWN_HU
from .listing import Listing, PathLike, list_series
from .new_folder import check_new_folder

FORMULA = ("=", "+", "-", "@")  # with which a spreadsheet takes a cell for a formula


def write_listing(listing: Listing, out: PathLike) -> None:
    """Write the page, tables and a phase file to fill in into the new folder ``out``, for its owner alone.

    Raises InputError where it exists or cannot be written.
    """
    out = Path(out)
    check_new_folder(out, listing.source)
    page = series_page(printable(str(listing.source)), listing.patients, listing.left_out, SHOWN_HU)
    texts = {"index.html": page, "phases.yaml": _phase_file(listing)}
    tables = {"series.csv": _table(listing), "files.csv": _files(listing)}
    try:
        with whole_folder(out) as temporary:
            write_private_files(temporary, texts, tables)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {why_not_written(error)}") from error


def write_phase_template(
    folder: PathLike,
    path: PathLike,
    *,
    phases: Optional[PathLike] = None,
    exclude: Sequence[str] = (),
    skip_damaged: bool = False,
    progress: bool = False,
) -> int:
    """Look at the series of `folder` and write a phase file to fill in to `path`; returns the number of series in it.

    The file holds identifiers and descriptions of the studies. Raises InputError where `path` exists or no CT
    is found.
    """
    if os.path.lexists(path):
        raise InputError(f"--list-series {path} exists; choose another name")
    listing = list_series(folder, phases=phases, exclude=exclude, skip_damaged=skip_damaged, progress=progress)
    if not listing.scan.series:
        raise InputError(why_nothing_was_taken(CTImportLog(listing.scan, listing.rules)))
    try:
        with private_file(Path(path)) as stream:
            stream.write(_phase_file(listing))
    except OSError as error:
        raise InputError(f"--list-series {path} cannot be written: {why_not_written(error)}") from error
    return len(listing.scan.series)


def screen_lines(listing: Listing, *, descriptions: bool = False) -> List[str]:
    """The listing for the screen, without identifiers, dates and paths.

    descriptions: with those of series and studies, and the folders, which may name a patient.
    """
    lines: List[str] = []
    for patient in listing.patients:
        lines.append(f"patient {patient.number}" + f": {patient.patient_id or '-'}" * descriptions)
        for study in patient.studies:
            about = ", ".join(filter(None, (study.date, study.description)))
            named = f": {about}" * (descriptions and bool(about))
            lines.append(f"  study {study.number}" + f", {study.offset}" * bool(study.offset) + named)
            for one in study.series:
                lines += _screen_entry(one, descriptions)
    left_out: Counter[str] = Counter()
    for left in listing.left_out:
        left_out[left.reason] += left.images
    lines += [f"left out: {images} image(s) or file(s): {reason}" for reason, images in left_out.most_common(MAX_LINES)]
    if len(left_out) > MAX_LINES:
        lines.append(f"left out: {len(left_out) - MAX_LINES} more reasons; the page that --out writes has them all")
    return lines + [f"note: {note}" for note in listing.notes]


def _screen_entry(one: SeriesEntry, descriptions: bool) -> List[str]:
    facts = [f"{one.slices} slices", one.extent.partition(" (")[0], one.spacing.partition(",")[0], one.offset]
    facts += ["contrast tag" if one.contrast else "no contrast tag", f"{one.brightness()} HU"]
    facts += [f"looks {one.looks_like}"] * bool(one.looks_like)
    verdict = f"{one.phase}: {one.verdict}" if one.phase else f"not taken: {one.verdict}"
    lines = [f"    {one.name}" + f" {one.description!r} in {one.folder}" * descriptions]
    lines += [f"      {', '.join(filter(None, facts))}", f"      {verdict}"]
    return lines + [f"      would be refused: {one.trouble}"] * bool(one.trouble)


def _phase_file(listing: Listing) -> str:
    by_name = {one.name: one for one in listing.scan.series}
    remarks: Dict[str, List[str]] = {}
    for patient in listing.patients:
        for study in patient.studies:
            about = ", ".join(filter(None, (study.date, study.offset, study.description)))
            who = f"Patient {patient.number} {patient.patient_id!r}"
            heading = [f"{who}, study {study.number} ({about or 'no date'}) {study.uid}"]
            for one in study.series:
                remarks[one.name] = heading + _remarks(one)
                heading = []
    ordered = [by_name[one.name] for one in listing.series]
    notes = "".join(f"# {note}\n" for note in listing.notes)
    return notes + phase_template(ordered, listing.rules, remarks)


def _remarks(one: SeriesEntry) -> List[str]:
    facts = [one.offset, one.contrast or "no contrast tag", one.extent, one.spacing, one.image_type, one.acquisitions]
    verdict = f"taken for {one.phase}: {one.verdict}" if one.phase else f"not taken: {one.verdict}"
    looks = f", looks {one.looks_like}" * bool(one.looks_like)
    lines = [
        f"{one.name}: {one.slices} images, described as {one.description!r}, folder {one.folder!r}",
        f"  {'; '.join(filter(None, facts))}",
        f"  likely {one.brightness()} HU{looks}; {verdict}",
    ]
    return lines + [f"  would be refused: {one.trouble}"] * bool(one.trouble)


def _table(listing: Listing) -> Table:
    header = [key for key in SeriesEntry.__dataclass_fields__ if key != "pictures"]
    return header, ([_cell(getattr(one, key)) for key in header] for one in listing.series)


def _files(listing: Listing) -> Table:
    """The path of each file that messages name by its number."""
    numbered = enumerate(listing.scan.paths, 1)
    return ("number", "path"), ((number, printable(os.path.relpath(path, listing.source))) for number, path in numbered)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
