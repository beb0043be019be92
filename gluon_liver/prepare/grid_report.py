"""What an import says of the way of slices to the stored grid: interpolated, shifted, resampled, turned, squared."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from gluon_liver.readers.dicom.volume import SeriesStack
from gluon_liver.structures.enumerations import first_of
from gluon_liver.structures.slice_mapping import SliceHistory
from gluon_liver.structures.volume_stack import VolumeStack

MAX_IDS = 20


def grid_record(stack: VolumeStack, history: SliceHistory, present: int) -> Dict[str, Any]:
    """For import-report.json, of one phase of one study. present: how many stored slices it has."""
    mapping = stack.mapping
    lone, off_line = (len(stack.left_out), stack.off_line) if isinstance(stack, SeriesStack) else (0, 0)
    return {
        "resampled": history.resampled,
        "resampled_slices": present if history.resampled else 0,
        "interpolated_slices": len(history.interpolated),
        "blended_slices": len(history.blended),
        "tilt_undone": bool(mapping.shifts),
        "tilt_corrected_slices": len(history.shifted),
        "left_out_slices": lone,
        "slices_between": mapping.slices.count(-1) - lone,
        "positions_off_line": off_line,
        "turned": mapping.turned or any(mapping.flipped),
        "made_square": mapping.scale != (1.0, 1.0),
        "source_pixel_mm": list(mapping.source_spacing),
    }


def grid_words(records: Sequence[Mapping[str, Any]]) -> List[str]:
    """What was done to a phase of several studies, for the screen."""
    words = []
    for key, text in (
        ("interpolated_slices", "slice(s) interpolated (--regrid)"),
        ("blended_slices", "slice(s) blended with a neighbour (--regrid)"),
        ("tilt_corrected_slices", "slice(s) shifted to undo a tilt (--regrid)"),
        ("left_out_slices", "lone slice(s) left out (--regrid)"),
        ("slices_between", "slice(s) shown nowhere, between places of the usual spacing (--regrid)"),
        ("positions_off_line", "slice(s) put on the line through all positions"),
        ("resampled_slices", "slice(s) resampled onto the reference grid"),
        ("turned", "series turned or flipped in the plane"),
        ("made_square", "series with pixels made square"),
    ):
        count = sum(record[key] for record in records)
        if count:
            words.append(f"{count} {text}")
    return words


def label_notes(
    label_slices: Counter[Tuple[str, str]], not_carried: Mapping[str, Sequence[Any]], phase: str, reference: str
) -> List[str]:
    """Notes on labels that were carried over from ``phase`` ("" where none were) and on slices that were changed."""
    notes = []
    counts = {what: (label_slices["images", what], label_slices["boxes", what]) for _, what in label_slices}
    if phase:
        images, boxes = counts.get("carried", (0, 0))
        notes.append(
            f"{boxes} box(es) on {images} slice(s) were drawn on {phase} and carried over to {reference} by world "
            "coordinates: nothing is registered, and breathing moves a liver by a centimetre and more between phases, "
            "so they may lie beside their lesions; look at them before they count"
        )
        for reason, ids in sorted(not_carried.items()):
            notes.append(f"labels not taken of image {first_of(ids, MAX_IDS)}: {reason}")
    for what, text in (
        ("interpolated", "interpolated between others: no scanner saw them"),
        ("blended", "blended with a neighbour"),
        ("shifted", "shifted to undo a gantry tilt, and their boxes with them"),
    ):
        images, boxes = counts.get(what, (0, 0))
        if images:
            notes.append(f"{images} labelled slice(s) with {boxes} box(es) were {text}")
    return notes
