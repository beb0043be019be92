"""DeepLesion (NIH Clinical Center): CT of the whole body around key slices, on which radiologists measured lesions.

Read in 3DCE's loader (lesion_detector_3DCE/rcnn/dataset/DeepLesion.py, rcnn/utils/load_data.py and
rcnn/fio/load_ct_img.py of github.com/rsummers11/CADLab, by the set's authors), in DL_save_nifti.py, which comes with
the set (a copy by S. Pai, AIM Harvard), and in 20,895 rows of DL_info.csv that github.com/jpulidojr/3DCE_new holds:

* ``Images_png/<patient>_<study>_<series>/<nnn>.png``, 16 bits, HU = value - 32768. A folder holds one or several runs
  of consecutive slices around key slices, ``Slice_range`` of the table, with gaps between them. Each run is a case
  here, called as DL_save_nifti.py calls it.
* Slice numbers rise to the feet: DL_save_nifti.py has its third axis point down, and of two key slices of a folder the
  one of higher number lies lower in the body by ``Normalized_lesion_location`` (3,947 of 3,956 pairs that are apart).
  Columns run to the patient's left and rows to the back.
* ``Bounding_boxes`` are x1, y1, x2, y2 "from 1" and 3DCE subtracts 1, then takes width and height as x2 - x1 + 1: the
  pixels of both ends belong to the box. Some reach beyond the image; they are cut off at its border.
* ``Train_Val_Test`` is 1, 2, 3. Lesions marked ``Possibly_noisy`` are left out of every split, and with them slices
  that show no other, as 3DCE does (test: 4,831 -> 4,817 slices, 4,927 -> 4,912 boxes by its logs).
* ``Spacing_mm_px_`` is x, y, z; within a folder runs may differ in z. 3DCE provides for a z that is negative or not a
  number by reading the key slice alone; none is in the rows seen, and such runs are left out here.

Not verified: the pixels, the archives' own folder (``Images_png`` or ``Images_png_01/Images_png``; both are read), and
the third of the rows that was not seen.
"""

from __future__ import annotations

import csv
import io
import math
import re
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver.errors import InputError, VolumeError, why
from gluon_liver.files.json_records import read_text
from gluon_liver.readers.dicom.pixels import AIR_HU
from gluon_liver.readers.dicom.planes import stored_plane
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.slice_mapping import SliceHistory, SliceMapping
from gluon_liver.structures.volume_stack import PutPlane, VolumeStack

from .layout import BoxLabels, Found, Layout, LeftOut, PhaseVolume, SetCase, SourceBox

TABLE, IMAGES = "DL_info.csv", "Images_png"
SPLITS = {"1": "train", "2": "val", "3": "test"}
LESION, PHASE = "lesion", "CT"  # which contrast phase a scan is of, the set does not tell
OFFSET = 32768
INCOMPLETE = "cases lack some of the slices around their key slices: beyond what is there their end slices repeat"
PNG_START = struct.Struct(">8sI4sIIBB")  # signature, length and name of the first chunk, width, height, bits, colours
NAME = re.compile(r"(\d+)_(\d+)_(\d+)_(\d+)\.png")
COLUMNS = (
    *("File_name", "Bounding_boxes", "Possibly_noisy", "Slice_range", "Spacing_mm_px_", "Image_size"),
    "Train_Val_Test",
)


class Run(NamedTuple):
    """Which slices of a folder belong together: its name, and the first and last of them."""

    folder: str
    first: int
    last: int


@dataclass(frozen=True)
class Row:
    """A lesion of the table. key: its slice. box: of pixels from 0, x2 and y2 exclusive, cut off at the image's border.

    spacing: (x, y, z) mm as they stand. size: (width, height).
    """

    file: str
    run: Run
    key: int
    box: Tuple[float, float, float, float]
    clipped: bool
    noisy: bool
    spacing: Tuple[float, float, float]
    size: Tuple[int, int]
    split: str


class DeepLesion(Layout):
    """See the module."""

    name: ClassVar[str] = "deeplesion"
    title: ClassVar[str] = "DeepLesion"
    classes: ClassVar[Tuple[str, ...]] = (LESION,)
    phases: ClassVar[Tuple[str, ...]] = (PHASE,)
    reference: ClassVar[str] = PHASE
    # a run around the tips of the lungs has lung below and none above
    accepts: ClassVar[Tuple[str, ...]] = ("upside-down",)

    def find(self, source: Path) -> Found:
        table = source / TABLE
        if not table.is_file():
            raise InputError(f"{source} has no {TABLE}, the table that DeepLesion is downloaded with")
        rows: Dict[Run, List[Row]] = defaultdict(list)
        for row in read_table(table):
            rows[row.run].append(row)
        folders = _folders(source)
        found = Found()
        for run, lesions in sorted(rows.items()):
            _find_run(run, lesions, source, folders.get(run.folder), found)
        if not found.cases:
            what = f"no key slice of {TABLE} is there as {IMAGES}/<patient>_<study>_<series>/<nnn>.png"
            raise InputError(f"{source}: {what}, {len(folders)} folders of images were looked through")
        found.notes += _notes([row for lesions in rows.values() for row in lesions], found)
        return found


def read_table(path: Path) -> Iterator[Row]:
    """The lesions of DL_info.csv. Raises :class:`InputError` that names the line and the column at fault."""
    reader = csv.DictReader(io.StringIO(read_text(path).replace("\r\n", "\n").replace("\r", "\n")))
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: there is no column {', '.join(missing)}")
    for values in reader:
        try:
            yield _row(values)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}") from error


def _row(values: Dict[str, str]) -> Row:
    """A line of the table. Raises ValueError with what is wrong in it."""

    def numbers(column: str, count: int) -> List[float]:
        try:
            given = [float(text) for text in (values[column] or "").split(",")]
        except ValueError:
            given = []
        if len(given) != count:
            raise ValueError(f"{column} is {values[column]!r:.60}; a list of {count} numbers is needed")
        return given

    name = NAME.fullmatch(values["File_name"] or "")
    if name is None:
        raise ValueError(f"File_name is {values['File_name']!r:.60}; <patient>_<study>_<series>_<slice>.png is needed")
    width, height = (int(side) if math.isfinite(side) else 0 for side in numbers("Image_size", 2))
    corners = numbers("Bounding_boxes", 4)
    low_x, low_y, high_x, high_y = corners[0] - 1, corners[1] - 1, corners[2], corners[3]
    box = max(low_x, 0.0), max(low_y, 0.0), min(high_x, float(width)), min(high_y, float(height))
    if not (box[0] < box[2] and box[1] < box[3]):  # of no number too
        raise ValueError(f"Bounding_boxes is {values['Bounding_boxes']!r:.60}, no box of an image of {width}x{height}")
    first, last = map(int, numbers("Slice_range", 2))
    key = int(name[4])
    if not first <= key <= last:
        raise ValueError(f"Slice_range is {values['Slice_range']!r:.60}, without the slice {key} of File_name")
    part, noisy = values["Train_Val_Test"], values["Possibly_noisy"]
    if noisy not in ("0", "1"):
        raise ValueError(f"Possibly_noisy is {noisy!r:.60}; it is 0 or 1")
    if part not in SPLITS:
        raise ValueError(f"Train_Val_Test is {part!r:.60}; it is 1, 2 or 3")
    x, y, z = numbers("Spacing_mm_px_", 3)
    folder = f"{name[1]}_{name[2]}_{name[3]}"
    clipped = box != (low_x, low_y, high_x, high_y)
    run, size = Run(folder, first, last), (width, height)
    return Row(name[0], run, key, box, clipped, noisy == "1", (x, y, z), size, SPLITS[part])


def _folders(source: Path) -> Dict[str, Path]:
    """Folders of slices by their names, wherever the archives were unpacked to."""
    tops = [path for path in sorted(source.glob(f"{IMAGES}*")) if path.is_dir()]
    tops += [path / IMAGES for path in tops if (path / IMAGES).is_dir()]
    return {path.name: path for top in tops for path in top.iterdir() if path.is_dir() and path.name != IMAGES}


def _find_run(run: Run, rows: Sequence[Row], source: Path, folder: Optional[Path], found: Found) -> None:
    """Add the cases of one run of slices, usually one, to ``found``, and what is left out of it."""
    noisy, good = [row for row in rows if row.noisy], [row for row in rows if not row.noisy]
    found.left_out += [LeftOut(row.file, "a lesion marked as possibly noisy") for row in noisy]
    fault = _why_not(rows, folder)
    if fault:
        found.left_out += [LeftOut(row.file, fault) for row in good]
        return
    assert folder is not None
    numbers = range(run.first, run.last + 1)
    names = {path.name for path in folder.iterdir()}
    there = [number for number in numbers if f"{number:03d}.png" in names]
    for part in _consecutive(there):
        shown = [row for row in good if part[0] <= row.key <= part[-1]]
        if not shown:
            continue
        paths = [folder / f"{number:03d}.png" for number in part]
        slices: Dict[int, List[SourceBox]] = defaultdict(list)
        for row in shown:
            slices[part[-1] - row.key].append(SourceBox(row.box, LESION))
        name = f"{run.folder}_{part[0]:03d}-{part[-1]:03d}"
        volume = PhaseVolume(
            folder.relative_to(source).as_posix(), partial(_open, paths, shown[0].spacing, shown[0].size)
        )
        labels = BoxLabels(PHASE, dict(slices), exhaustive=False)
        notes = (INCOMPLETE,) if len(part) < len(numbers) else ()
        patient = run.folder.partition("_")[0]
        found.cases.append(SetCase(patient, name, {PHASE: volume}, labels, shown[0].split, notes))
    absent = [row for row in good if row.key not in set(there)]
    found.left_out += [LeftOut(row.file, "its key slice is not there") for row in absent]


def _why_not(rows: Sequence[Row], folder: Optional[Path]) -> str:
    """Why nothing of a run can be used, "" where it can."""
    if folder is None:
        return "its folder of slices is not there: not downloaded"
    if len({(row.spacing, row.size, row.split) for row in rows}) > 1:
        return "rows of the table contradict each other about its spacing, size or split"
    spacing = rows[0].spacing
    if not all(math.isfinite(side) and side > 0 for side in spacing):
        return "the table gives no spacing above 0 for it"
    return ""


def _consecutive(numbers: Sequence[int]) -> Iterator[List[int]]:
    """Rising numbers in runs without a gap."""
    run: List[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _open(paths: Sequence[Path], spacing: Tuple[float, float, float], size: Tuple[int, int]) -> VolumeStack:
    """Slices, whose numbers rise to the feet, as a stack from the feet up. Its place in the scanner is not known."""
    (x, y, z), (width, height) = spacing, size
    axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    mapping = SliceMapping.to_patient_axes([*axes[0], *axes[1]], (height, width), (y, x)).with_slices(range(len(paths)))
    geometry = Geometry((0.0, 0.0, 0.0), (z, *mapping.stored_spacing), axes, (len(paths), *mapping.stored_size))

    def decode(put: PutPlane) -> None:
        for place, path in enumerate(reversed(paths)):
            put(place, stored_plane(read_slice(path, size), mapping, place))

    return VolumeStack(geometry, mapping, SliceHistory(), decode)


def read_slice(path: Path, size: Tuple[int, int]) -> Array:
    """int16 HU (rows, columns) of a slice of ``size`` (width, height), never below -1024.

    Raises :class:`VolumeError` for a file that is no such slice, before it is unpacked where its header says so.
    """
    try:
        code = path.read_bytes()
    except OSError as error:
        raise VolumeError(f"it cannot be read: {why(error)}", path) from error
    if len(code) < PNG_START.size or not code.startswith(b"\x89PNG\r\n\x1a\n"):
        raise VolumeError("it is no PNG file", path)
    *_, width, height, bits, colours = PNG_START.unpack_from(code)
    if (bits, colours) != (16, 0):
        raise VolumeError(
            f"it has {bits} bits a value (colour type {colours}); DeepLesion's slices are 16 bits grey", path
        )
    if (width, height) != size:
        raise VolumeError(f"it is {width}x{height}, {TABLE} says {size[0]}x{size[1]}", path)
    image = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.shape != (height, width) or image.dtype != np.uint16:
        raise VolumeError("it is damaged or cut short", path)
    return np.clip(image.astype(np.int32) - OFFSET, AIR_HU, np.iinfo(np.int16).max).astype(np.int16)


def _notes(rows: Sequence[Row], found: Found) -> List[str]:
    taken = sum(len(boxes) for case in found.cases for boxes in _labels(case).slices.values())
    images: Counter[str] = Counter()
    for case in found.cases:
        images[case.split] += len(_labels(case).slices)
    listed = Counter(row.split for row in {row.file: row for row in rows}.values())
    shares = ", ".join(f"{split} {images[split]:,} of {listed[split]:,}" for split in SPLITS.values())
    notes = [
        f"key slices that are taken, of those in {TABLE}: {shares}; {taken:,} of {len(rows):,} lesions",
        "only key slices are labelled, and not all lesions of these: all other slices are unlabelled, no background",
        "the set does not tell where slices lie in the scanner: the lowest slice of a case is at 0",
    ]
    clipped = sum(row.clipped for row in rows)
    if clipped:
        notes.append(f"boxes that reached beyond their image and were cut off at its border: {clipped}")
    return notes


def _labels(case: SetCase) -> BoxLabels:
    assert isinstance(case.labels, BoxLabels)
    return case.labels
