"""DeepLesion in small: DL_info.csv and Images_png with its names, types and quirks, and what must become of them."""

import csv
from typing import Dict, List, NamedTuple, Tuple

import cv2
import numpy as np

from .written import small_volume

COLUMNS = (
    "File_name Patient_index Study_index Series_ID Key_slice_index Measurement_coordinates Bounding_boxes "
    "Lesion_diameters_Pixel_ Normalized_lesion_location Coarse_lesion_type Possibly_noisy Slice_range Spacing_mm_px_ "
    "Image_size DICOM_windows Patient_gender Patient_age Train_Val_Test"
).split()
PARTS = {"train": 1, "val": 2, "test": 3}


class Case(NamedTuple):
    """What a case holds: HU (z, y, x) from the feet up, spacing (dz, dy, dx) mm, boxes of slices, exclusive."""

    hu: np.ndarray
    spacing: Tuple[float, float, float]
    split: str
    boxes: Dict[int, List[Tuple[float, float, float, float]]]


class SmallSet:
    """Write below ``folder``; ``cases`` are by their names, ``rows`` those of the table."""

    def __init__(self, folder, *, side=64):
        self.folder, self.side = folder, side
        self.rows: List[Dict[str, str]] = []
        self.cases: Dict[str, Case] = {}

    def add(self, patient, split, *, study=1, series=1, first=40, z=5.0, slices=9, lesions=1, noisy=()):
        """A run of slices with ``lesions`` on its middle slice, of which those numbered in ``noisy`` are marked."""
        folder, last = f"{patient:06d}_{study:02d}_{series:02d}", first + slices - 1
        middle, size = slices // 2, self.side
        centres = [(middle, size * 0.45, size * (0.35 + 0.25 * number)) for number in range(lesions)]
        drawn = [("lesion", centre, (max(1.2, 6 / z), 4.3, 5.2)) for centre in centres]
        hu, mask, _ = small_volume(len(self.rows), (slices, size, size), drawn)
        boxes: Dict[int, List[Tuple[float, float, float, float]]] = {}
        for number in range(1, lesions + 1):
            y, x = np.nonzero(mask[middle] == number)
            # ends of diameters lie between pixels; numbers of the table are of pixels from 1, with a margin of 5
            ends = np.array([x.min(), y.min(), x.max(), y.max()]) + 1 + 0.123
            corners = ends + [-5, -5, 5, 5]
            self.rows.append(self._row(folder, last - middle, corners, number in noisy, (first, last), z, split))
            if number not in noisy:
                x1, y1, x2, y2 = np.float32([corners[0] - 1, corners[1] - 1, corners[2], corners[3]])
                limit = np.float32(size)
                cut = max(x1, np.float32(0)), max(y1, np.float32(0)), min(x2, limit), min(y2, limit)
                boxes.setdefault(middle, []).append(tuple(map(float, cut)))
        path = self.folder / "Images_png" / folder
        path.mkdir(parents=True, exist_ok=True)
        for place, plane in enumerate(hu):
            values = (plane.astype(np.int32) + 32768).astype(np.uint16)
            cv2.imwrite(str(path / f"{last - place:03d}.png"), values)
        name = f"{folder}_{first:03d}-{last:03d}"
        self.cases[name] = Case(hu, (z, 0.75, 0.75), split, boxes)
        return name

    def _row(self, folder, key, corners, noisy, around, z, split):
        patient, study, series = folder.split("_")
        x1, y1, x2, y2 = corners
        values = {
            "File_name": f"{folder}_{key:03d}.png",
            "Patient_index": str(int(patient)),
            "Study_index": str(int(study)),
            "Series_ID": str(int(series)),
            "Key_slice_index": str(key),
            "Measurement_coordinates": ", ".join(f"{edge:.6g}" for edge in (x1 + 5, y1 + 5, x2 - 5, y2 - 5) * 2),
            "Bounding_boxes": ", ".join(f"{edge:.6g}" for edge in corners),
            "Lesion_diameters_Pixel_": "17.0193, 15.9644",
            "Normalized_lesion_location": "0.486468, 0.624876, 0.598186",
            "Coarse_lesion_type": "-1" if split == "train" else "4",
            "Possibly_noisy": str(int(noisy)),
            "Slice_range": f"{around[0]}, {around[1]}",
            "Spacing_mm_px_": f"0.75, 0.75, {z:g}",
            "Image_size": f"{self.side}, {self.side}",
            "DICOM_windows": "-175, 275",
            "Patient_gender": "F",
            "Patient_age": "NaN",
            "Train_Val_Test": str(PARTS[split]),
        }
        return values

    def write_table(self):
        with open(self.folder / "DL_info.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)
        return self.folder


def small_set(folder, *, side=64):
    """One of everything: 6 patients, of whom one has noisy lesions alone and one is not downloaded."""
    made = SmallSet(folder, side=side)
    made.add(1, "train")
    made.add(1, "train", study=2, z=1.0, slices=25, lesions=2)
    # two runs of one series, 1 and 5 mm apart
    made.add(2, "train", first=30, z=1.0, slices=15)
    made.add(2, "train", first=101, z=5.0)
    made.add(3, "val", z=2.0, slices=11)
    made.add(4, "test", lesions=2, noisy=(2,))
    made.add(5, "test", first=1, slices=7)
    noisy = made.add(6, "test", noisy=(1,))
    absent = made.add(7, "test")
    for path in sorted((folder / "Images_png" / "000007_01_01").iterdir()):
        path.unlink()
    (folder / "Images_png" / "000007_01_01").rmdir()
    for name in (noisy, absent):
        del made.cases[name]
    made.write_table()
    return made
