"""CLUST 2D: sequences of livers with landmarks (clust.ethz.ch; De Luca et al., Phys Med Biol 2015, Med Phys 2018).

`TrainingSet/2D/<sequence>/Data/00001.png ...` and `<sequence>/Annotation/<sequence>_<landmark>.txt`, a line a frame:
its number as in the name of its file (from 1), x and y in pixels counted from 1. `TestSet/2D` is alike, with the first
frame annotated alone. Read in github.com/melanibe/USMotionTracking (dataLoader.py: white space between numbers, four or
five digits in names of files, resolution.csv with scan, res_x, res_y in mm beside the sequences; utils.py draws points
at x - 1), in a converter of CLUST to GOT-10k (`TrainingSet/2D`, `<sequence>_<landmark>.txt`, "blood vessel or lesion")
and in a loader for Siamese trackers (commas between numbers, the test set's single line). Not verified: that
resolution.csv is of the authors and not of that reader, that ETH-01-1 and ETH-01-2 are of one volunteer, which counts
here, and that points are counted from 1.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

import numpy as np

from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.files.json_records import read_text
from gluon_liver.prepare.us import USSource
from gluon_liver.readers.image_folder import file_numbers, numeric_order

from .layout import Given, LabelTree, Pictures, USLayout

LANDMARK = "landmark"
TEXT = re.compile(r"((?:.*/)?([^/]+))/Annotation/\2_(\d+)\.txt", re.IGNORECASE)
SPLITS = {"trainingset": "train", "training": "train", "testset": "test", "test": "test"}
RESOLUTION = "resolution.csv"
Points = Dict[int, Tuple[float, float]]


class CLUST(USLayout):
    name = "clust"
    title = "CLUST 2D (Challenge on Liver Ultrasound Tracking)"
    public = True
    takes = ("box_mm", "box_pixels")
    classes = (LANDMARK,)

    def find(self, source: Path, given: Given) -> USSource:
        if (given.box_mm is None) == (given.box_pixels is None):
            raise InputError(
                "the landmarks of CLUST are points: say how large boxes around them are, with --box-mm or --box-pixels"
            )
        files, tree = Pictures(source), LabelTree()
        sequences: Dict[str, List[Points]] = {}
        for name in sorted(files.files):
            place = TEXT.fullmatch(name)
            if place:
                sequences.setdefault(place.group(1), []).append(read_points(files.files[name]))
        if not sequences:
            raise files.refuse("<sequence>/Annotation/<sequence>_<landmark>.txt")
        spacing = read_spacing(files.files)
        recordings: Dict[str, Path] = {}
        splits: Dict[str, str] = {}
        for sequence, landmarks in sequences.items():
            folder = f"{sequence}/Data"
            names = sorted(files.folders.get(folder, ()), key=numeric_order)
            numbers = file_numbers(names)
            size = files.size(names[0], tree) if names else None
            if size is None or numbers is None:
                tree.left_out.append((sequence, "its Data holds no numbered frames"))
                continue
            recordings[folder] = files.paths[folder]
            side = _side(given, spacing, sequence)
            _add_sequence(tree, folder, dict(zip(numbers, names)), size, landmarks, side)
            part = next((SPLITS[part.casefold()] for part in sequence.split("/") if part.casefold() in SPLITS), "")
            if part:
                splits[folder] = part
        stated = f"{given.box_pixels:g} pixels" if given.box_mm is None else f"{given.box_mm:g} mm"
        notes = [f"landmarks are points: boxes of {stated} a side were put about them, which the set does not have"]
        if len(splits) < len(recordings):
            splits = {}
        if "test" in splits.values() and "train" in splits.values():
            notes.append("the test set has the first frames annotated alone: us-flow sees no frame before these")
        return self.made(files, tree, recordings, given, notes=notes, splits=splits)


def _add_sequence(
    tree: LabelTree,
    folder: str,
    pictures: Mapping[int, str],
    size: Tuple[int, int],
    landmarks: List[Points],
    side: Tuple[float, float],
) -> None:
    """The annotated frames of one sequence. A frame that some landmarks lack is neither labelled nor background."""
    patient = re.sub(r"^(.+-\d+)-\d+$", r"\1", folder.split("/")[-2])
    for frame in sorted({frame for points in landmarks for frame in points}):
        where = f"{folder}, frame {frame}"
        if frame not in pictures:
            tree.left_out.append((where, "its frame is not there"))
        elif any(frame not in points for points in landmarks):
            tree.left_out.append((where, "some landmarks of the sequence are not annotated in it"))
        else:
            picture = pictures[frame].rpartition("/")[2]
            image = tree.image(folder, size, file_name=picture, scene=1, patient=patient)
            for points in landmarks:
                corners = box_about(points[frame], side)
                inside = np.clip(corners, 0, [*size, *size])
                tree.counts["box(es) about landmarks reach beyond the picture and were cut there"] += bool(
                    (corners != inside).any()
                )
                tree.box(image, LANDMARK, inside.tolist())


def box_about(point: Tuple[float, float], side: Tuple[float, float]) -> np.ndarray:
    """(x1, y1, x2, y2) of sides (x, y) about a point counted from 1, of which pixel 1 has its centre at 0.5."""
    x, y = (value - 0.5 for value in point)
    return np.array([x - side[0] / 2, y - side[1] / 2, x + side[0] / 2, y + side[1] / 2])


def _side(given: Given, spacing: Mapping[str, Tuple[float, float]], sequence: str) -> Tuple[float, float]:
    if given.box_pixels is not None:
        return given.box_pixels, given.box_pixels
    millimetres = spacing.get(sequence.rpartition("/")[2])
    if millimetres is None:
        raise InputError(
            f"{sequence}: no {RESOLUTION} (columns scan, res_x, res_y) tells its millimetres a pixel, which --box-mm "
            "needs: write one beside the sequences, or give --box-pixels"
        )
    side: Optional[float] = given.box_mm
    assert side is not None
    return side / millimetres[0], side / millimetres[1]


def read_points(path: Path) -> Points:
    """Frame -> (x, y) as the file counts them. Raises AnnotationError."""
    points: Points = {}
    for number, line in enumerate(read_text(path, error=AnnotationError).splitlines(), 1):
        words = line.replace(",", " ").split()
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if not words:
            continue
        if len(values) != 3 or not np.isfinite(values).all() or values[0] != int(values[0]):
            raise AnnotationError(f"{path}, line {number}: expected a frame, x and y")
        if points.setdefault(int(values[0]), (values[1], values[2])) != (values[1], values[2]):
            raise AnnotationError(f"{path}, line {number}: frame {int(values[0])} is there again with another point")
    return points


def read_spacing(files: Mapping[str, Path]) -> Dict[str, Tuple[float, float]]:
    """Sequence -> (x, y) millimetres a pixel, of every resolution.csv. Raises AnnotationError."""
    result: Dict[str, Tuple[float, float]] = {}
    for path in (path for name, path in files.items() if name.rpartition("/")[2].casefold() == RESOLUTION):
        lines = read_text(path, error=AnnotationError).splitlines()
        for row in csv.DictReader([",".join(part.strip() for part in line.split(",")) for line in lines]):
            try:
                sides = float(row["res_x"]), float(row["res_y"])
                name = row["scan"].strip()
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise AnnotationError(f"{path}: expected the columns scan, res_x and res_y, with numbers") from error
            if not all(0.001 < side < 100 for side in sides):
                raise AnnotationError(f"{path}: {name} has {sides[0]:g} x {sides[1]:g} mm a pixel, which cannot be")
            if result.setdefault(name, sides) != sides:
                raise AnnotationError(f"{path}: {name} is there again with another resolution")
    return result
