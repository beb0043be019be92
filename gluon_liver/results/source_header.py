"""The header of an image as the objects copy it: complete, in UTF-8, with values that DICOM has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pydicom
from pydicom.valuerep import DA, TM

from gluon_liver.readers.dicom.charset import decoded_text
from gluon_liver.readers.dicom.quiet import quiet_pydicom

UTF_8 = "ISO_IR 192"
# Of the patient and the study; every image has them, if without a value (type 2). Some tools leave them out.
TEXTS = "PatientID", "PatientName", "AccessionNumber", "StudyID", "ReferringPhysicianName"
LOSSY = "LossyImageCompressionRatio", "LossyImageCompressionMethod"  # of images that say they were compressed so


def _date(value: str) -> str:
    return str(DA(value).strftime("%Y%m%d"))  # also of 1999.04.30, as old files have it


def _time(value: str) -> str:
    return str(TM(value.replace(":", "")))


def _sex(value: str) -> str:
    if value not in ("M", "F", "O"):
        raise ValueError("PatientSex is M, F or O")
    return value


# keyword -> the value as DICOM spells it; raises ValueError for what is none
CHECKED: Dict[str, Callable[[str], str]] = {
    "PatientBirthDate": _date,
    "PatientSex": _sex,
    "StudyDate": _date,
    "StudyTime": _time,
}


def read_header(path: Path) -> Tuple[Any, List[str]]:
    """(the header of a file without its pixels, tags of :data:`CHECKED` that were emptied: DICOM has no such value).

    Its texts are decoded, from the set that the file declares or means, and it says UTF-8: a set of the file's may lack
    the characters of a class name, and there are spellings of sets that highdicom does not take.
    """
    with quiet_pydicom():
        dataset, emptied = pydicom.dcmread(path, stop_before_pixels=True, force=True), []
        dataset.SOPClassUID = dataset.get("SOPClassUID") or dataset.file_meta.MediaStorageSOPClassUID
        texts = {keyword: decoded_text(dataset, keyword) for keyword in TEXTS}
        values = {keyword: _text(dataset, keyword) for keyword in CHECKED}
        for keyword, spelled in CHECKED.items():
            try:
                values[keyword] = spelled(values[keyword]) if values[keyword] else ""
            except ValueError:
                values[keyword] = ""
                emptied.append(keyword)
        dataset.SpecificCharacterSet = UTF_8
        for keyword, value in {**texts, **values}.items():
            setattr(dataset, keyword, value)
        for keyword in LOSSY * (dataset.get("LossyImageCompression") == "01"):
            setattr(dataset, keyword, dataset.get(keyword))
    return dataset, emptied


def _text(dataset: Any, keyword: str) -> str:
    """The value as the file has it, whatever it is."""
    element = dataset.get_item(keyword)
    value = None if element is None else element.value
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value or "")).strip(" \0")
