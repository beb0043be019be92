"""Published numbers of public sets, and a run's beside them.

DeepLesion: Yan, Bagheri and Summers, "3D Context Enhanced Region-based Convolutional Neural Network for End-to-End
Lesion Detection" (3DCE), MICCAI 2018, arXiv:1806.09648. The numbers are those of ``experiment_logs`` beside its code
(lesion_detector_3DCE of github.com/rsummers11/CADLab): "Faster RCNN" and "3DCE 9 image", best epoch on the val split.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

from gluon_liver.errors import InputError

from .ct_tables import percent
from .table import Cell, Printed, Table, printed


class PublishedSet(NamedTuple):
    """What was published of a set.

    rates: false positives an image. rows: sensitivity in % at each. images, boxes: what the rows were scored on, and
    before noisy lesions were left out.
    """

    name: str
    peer: str
    rates: Tuple[float, ...]
    rows: Dict[str, Tuple[Printed, ...]]
    images: int
    boxes: int
    images_with_noisy: int
    boxes_with_noisy: int


PUBLISHED: Dict[str, PublishedSet] = {  # by the layout that data were imported with
    "deeplesion": PublishedSet(
        "DeepLesion",
        "3DCE (Yan et al. 2018)",
        (0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
        {
            row: tuple(map(printed, texts.split()))
            for row, texts in (
                ("3DCE, 27 slices", "62.48 73.37 80.70 85.65 89.09 91.06"),
                ("its Faster R-CNN, 3 slices", "56.90 67.26 75.57 81.62 85.83 88.74"),
            )
        },
        images=4817,
        boxes=4912,
        images_with_noisy=4831,
        boxes_with_noisy=4927,
    )
}


def check_published(summary: Dict[str, Any]) -> None:
    """Raise :class:`InputError` unless ``published`` in a summary, where it is there, is as evaluation writes it."""
    try:
        published_tables(summary)
        published_notes(summary)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError("the summary has no valid published; evaluate again with this version") from error


def published_tables(summary: Dict[str, Any]) -> List[Table]:
    """One table of printed rows and ours, of a summary of a set that has any; else none."""
    ours = summary.get("published")
    if ours is None:
        return []
    known = PUBLISHED[ours["set"]]
    scored = f"{known.images:,}", f"{known.boxes:,}"
    rows: List[Tuple[Cell, ...]] = [
        tuple(map(Cell, (row, *scored, *(cell.text for cell in cells)))) for row, cells in known.rows.items()
    ]
    entries = [percent(ours["froc"][f"{rate:g}"]) for rate in known.rates]
    counted = Cell(f"{ours['images']:,}"), Cell(f"{ours['boxes']:,}")
    rows.append(
        (Cell("this run" if ours["split"] == "test" else f"this run, {ours['split']} split"), *counted, *entries)
    )
    title = f"{known.name}, beside {known.peer} as in its logs: sensitivity in % at false positives an image"
    return [Table.of(title, ("", "images", "lesions", *(f"{rate:g}" for rate in known.rates)), rows)]


def published_notes(summary: Dict[str, Any]) -> List[str]:
    """How the rows were counted, and whether ours is of the same images."""
    ours = summary.get("published")
    if ours is None:
        return []
    known = PUBLISHED[ours["set"]]
    notes = [
        f"The test split of {known.name} has {known.images_with_noisy:,} images with {known.boxes_with_noisy:,} "
        f"lesions. 3DCE leaves out those marked as possibly noisy and scores {known.images:,} with {known.boxes:,}; so "
        "does the import.",
        "Counted as 3DCE's code does, IoU 0.5: a detection finds every lesion that it overlaps, and a detection of "
        "lesions that were found before does not count. In the FROC of all runs it is a false positive. Between two "
        "thresholds, and beyond the last detection, 3DCE draws a straight line; here what was reached counts.",
    ]
    if (ours["split"], ours["images"], ours["boxes"]) == ("test", known.images, known.boxes):
        notes.append("As many images and lesions as in the printed rows: the same set, by their number.")
    else:
        here = f"{ours['images']:,} images with {ours['boxes']:,} lesions of the {ours['split']} split"
        notes.append(
            f"NOT the same set: this run is scored on {here}, the printed rows on {known.images:,} with "
            f"{known.boxes:,} of the test split. A part of the download, other lesions, or generated data: "
            "the rows do not compare."
        )
    return notes
