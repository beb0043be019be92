"""The formats that results are written in."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Sequence

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json

from .found import Found
from .geojson import write_geojson
from .nifti import write_nifti
from .source_pixels import coco_rows
from .tables import write_tables

COCO, COCO_FILE = "coco", "detections.json"


def write_coco(folder: Path, found: Found) -> List[str]:
    """Write the detections of all slices and scores into ``folder``; the name of the file is returned."""
    write_json(folder / COCO_FILE, coco_rows(found.detections, found.image_ids, found.study))
    return [COCO_FILE]


# name -> writes into a folder and returns the names of the files
FORMATS: Dict[str, Callable[[Path, Found], List[str]]] = {
    COCO: write_coco,
    "csv": write_tables,
    "geojson": write_geojson,
    "nifti": write_nifti,
}


def parse_formats(text: str) -> List[str]:
    """The formats of ``coco,csv``, each once. Raises :class:`InputError` for another."""
    names = [*dict.fromkeys(name.strip() for name in text.split(","))]
    check_formats(names)
    return names


def check_formats(names: Sequence[str]) -> None:
    """Raise :class:`InputError` for what is no format."""
    for name in names:
        if name not in FORMATS:
            raise InputError(f"--format {','.join(names)}: {name!r} is no format; there are {', '.join(FORMATS)}")


def write_results(folder: Path, found: Found, formats: Sequence[str]) -> List[str]:
    """Write what was found in each of ``formats`` into ``folder``; the names of the files are returned."""
    return [name for one in formats for name in FORMATS[one](folder, found)]
