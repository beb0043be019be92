"""Entries of a phase file that mean nothing in a folder, or not what they say. A UID or folder stands in no message."""

from __future__ import annotations

from typing import Dict, List

from gluon_liver.readers.dicom.series import Scan, SeriesFiles

from .rules import PhaseRules, folder_matches

MAX_NAMED = 12


def entry_notes(scan: Scan, rules: PhaseRules) -> List[str]:
    """What one should know of the entries under 'series' and 'folders'."""
    notes = []
    by_uid: Dict[str, List[SeriesFiles]] = {}
    for one in scan.series:
        by_uid.setdefault(one.series_uid, []).append(one)
    known = {one.address for one in scan.series} | {
        f"{one.series_uid} part {one.part}" for one in scan.series if one.part
    }
    absent = []
    for number, address in enumerate(rules.series, 1):
        uid = address.split()[0]
        if uid not in by_uid:
            absent.append(number)
        elif address not in known | by_uid.keys():
            others = by_uid[uid]
            places = ", ".join(one.place.strip() for one in others[:MAX_NAMED]) or "one volume: write the UID alone"
            name = f"series {others[0].number:02d}"
            notes.append(f"entry {number} of 'series': {name} has no{address[len(uid) :]}; it has {places}")
    if absent:
        notes.insert(
            0,
            f"{len(absent)} of {len(rules.series)} entries under 'series' of the phase file name no CT series of the "
            f"folder ({_listed(absent)})" + _why_absent(scan),
        )
    folders = {folder for one in scan.series for folder in one.folders}
    for number, glob in enumerate(rules.folders, 1):
        hits = {folder for folder in folders if folder_matches(folder, glob)}
        half = [one.name for one in scan.series if hits & set(one.folders) and not hits >= set(one.folders)]
        if not hits:
            notes.append(
                f"entry {number} of 'folders' matches no folder that holds CT slices ('*' stands for one folder, '**' "
                "for any number of them; globs are relative to the imported folder)"
            )
        elif half:
            notes.append(
                f"entry {number} of 'folders' matches a part of the files of {', '.join(half[:MAX_NAMED])}: not used"
            )
    return notes


def _why_absent(scan: Scan) -> str:
    left_out = sum(one.images for one in scan.rejected if one.kind in ("non-axial", "localizer", "dose-report"))
    return f"; {left_out} image(s) of other series were left out as no axial slices" * bool(left_out)


def _listed(numbers: List[int]) -> str:
    shown = ", ".join(map(str, numbers[:MAX_NAMED]))
    return f"entry {shown}" if len(numbers) == 1 else f"entries {shown}" + " and more" * (len(numbers) > MAX_NAMED)
