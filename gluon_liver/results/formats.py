"""The formats that results are written in."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_json
from gluon_liver.readers.dicom.quiet import quiet_pydicom
from gluon_liver.system.packages import why_unusable

from .found import Found
from .geojson import write_geojson
from .nifti import write_nifti
from .source_pixels import coco_rows
from .tables import write_tables

COCO, COCO_FILE = "coco", "detections.json"
DICOM = frozenset({"dicom-sr", "dicom-seg"})  # objects that name the images of a series
REFUSALS = (
    AttributeError,
    KeyError,
    NotImplementedError,
    OverflowError,
    TypeError,
    ValueError,
)  # of pydicom, highdicom


def write_coco(folder: Path, found: Found) -> List[str]:
    """Write the detections of all slices and scores into ``folder``; the name of the file is returned."""
    write_json(folder / COCO_FILE, coco_rows(found.detections, found.image_ids, found.study))
    return [COCO_FILE]


def _write_report(folder: Path, found: Found) -> List[str]:
    from .structured_report import write_report  # with highdicom, which only these two need

    return _written("dicom-sr", write_report, folder, found)


def _write_segmentation(folder: Path, found: Found) -> List[str]:
    from .segmentation import write_segmentation

    return _written("dicom-seg", write_segmentation, folder, found)


def _written(name: str, write: Callable[[Path, Found], List[str]], folder: Path, found: Found) -> List[str]:
    """What ``write`` returns. Raises :class:`InputError` for headers that no object can be made of."""
    try:
        with quiet_pydicom():
            return write(folder, found)
    except REFUSALS as error:
        # only an attribute is named: other messages may hold values, and these patients
        what = f": {error}" if isinstance(error, AttributeError) else ""
        why = (
            f"{name} cannot be written: the images' headers have what highdicom refuses ({type(error).__name__}{what})"
        )
        raise InputError(f"{why}; leave {name} out of --format, or mend the headers") from error


# name -> writes into a folder and returns the names of the files
FORMATS: Dict[str, Callable[[Path, Found], List[str]]] = {
    COCO: write_coco,
    "csv": write_tables,
    "geojson": write_geojson,
    "nifti": write_nifti,
    "dicom-sr": _write_report,
    "dicom-seg": _write_segmentation,
}


def parse_formats(text: str) -> List[str]:
    """The formats of ``coco,csv``, each once. Raises as :func:`check_formats`."""
    names = [*dict.fromkeys(name.strip() for name in text.split(","))]
    check_formats(names)
    return names


def check_formats(names: Sequence[str]) -> None:
    """Raise :class:`InputError` for what is no format, and where a package that one needs cannot be imported."""
    for name in names:
        if name not in FORMATS:
            raise InputError(f"--format {','.join(names)}: {name!r} is no format; there are {', '.join(FORMATS)}")
    unusable = why_unusable(("highdicom",), "'gluon_liver[dicom]'") if DICOM & {*names} else ""
    if unusable:
        raise InputError(f"--format {','.join(names)} needs {unusable}")


def check_dicom(formats: Sequence[str], dicom: Optional[Path], *, prepared: bool) -> None:
    """Raise :class:`InputError` where the formats of DICOM lack the images that they name, or ``dicom`` is not theirs.

    Prepared data name no patient and keep no identifier of an image.
    """
    wanted = ", ".join(name for name in formats if name in DICOM)
    if dicom is not None and not (wanted and prepared):
        raise InputError("--dicom is for a study of prepared data with dicom-sr or dicom-seg among --format")
    if wanted and prepared and dicom is None:
        what = f"--format {wanted} names images, and prepared data keep no identifier of one"
        raise InputError(f"{what}: give the DICOM files of the study with --dicom FOLDER, or detect on their folder")


def write_results(folder: Path, found: Found, formats: Sequence[str]) -> List[str]:
    """Write what was found in each of ``formats`` into ``folder``; the names of the files are returned."""
    return [name for one in formats for name in FORMATS[one](folder, found)]
