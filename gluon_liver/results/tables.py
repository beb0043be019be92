"""lesions.csv and boxes.csv: a row a lesion and a row a box; headers say the units."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Iterator, List, Sequence

from gluon_liver.files.atomic import whole_file

from .found import Found, corners_in_patient

LESIONS, BOXES = "lesions.csv", "boxes.csv"
_AXES = "x_lps_mm", "y_lps_mm", "z_lps_mm"
_EDGES = "x1", "y1", "x2", "y2"
LESION_COLUMNS = (
    *("lesion", "class", "score", "in_plane_mm", "through_plane_mm", *(f"centre_{axis}" for axis in _AXES)),
    *("first_slice", "last_slice", "boxes"),
)
BOX_COLUMNS = (
    *("lesion", "class", "score", "slice", "interpolated", *(f"{edge}_px" for edge in _EDGES)),
    *(f"{corner}_{axis}" for corner in ("first_corner", "opposite_corner") for axis in _AXES),
    *("source_slice", *(f"source_{edge}_px" for edge in _EDGES)),
)


def write_tables(folder: Path, found: Found) -> List[str]:
    """Write both tables of the lesions into ``folder``; the names of the files are returned."""
    _write(folder / LESIONS, LESION_COLUMNS, _lesion_rows(found))
    _write(folder / BOXES, BOX_COLUMNS, _box_rows(found))
    return [LESIONS, BOXES]


def _write(path: Path, columns: Sequence[str], rows: Iterator[List[Any]]) -> None:
    with whole_file(path) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)


def _lesion_rows(found: Found) -> Iterator[List[Any]]:
    for number, one in enumerate(found.entries, 1):
        size = one["size_mm"]
        yield [
            *(number, one["class"], one["score"], size["in_plane"], size["through_plane"], *one["centre_lps_mm"]),
            *(one["first_slice"], one["last_slice"], len(one["boxes"])),
        ]


def _box_rows(found: Found) -> Iterator[List[Any]]:
    """Source columns are empty where the import does not know the way back, and of interpolated slices."""
    study = found.study
    interpolated = {*study.source.history_of(study.reference_phase).interpolated}
    for number, lesion in enumerate(found.entries, 1):
        for box in lesion["boxes"]:
            corners = corners_in_patient(study.geometry, box["slice"], box["box_xyxy_px"]).round(2).tolist()
            source = box.get("source", {"slice": None, "box_xyxy_px": [None] * 4})
            yield [
                *(number, box["class"], box["score"], box["slice"], int(box["slice"] in interpolated)),
                *(*box["box_xyxy_px"], *corners[0], *corners[2], source["slice"], *source["box_xyxy_px"]),
            ]
