"""What reading label files changed, counted: nothing is mended in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List

from gluon_liver.structures.enumerations import first_of

TINY = "a box is below a pixel"
UNCLEAR = "a box is of a class that is left out, or says ignore"
NAMED = 20

_COUNTS = {
    "clipped": "box(es) were up to a pixel outside their image and were clipped",
    "joined": "box(es) were there twice and were joined",
    "disagreeing": "box(es) have the place of another one of another class; both were kept",
    "turned": "box(es) were turned, and the upright box around them was taken",
    "cut": "upright box(es) around turned ones reached beyond their image and were cut there",
    "from_segmentation": "box(es) were absent and were taken from their polygon or mask",
    "crowd": "mask(s) marked as a crowd were read as single lesions",
    "ignored": "box(es) are of ignored classes; an image without another box is background",
    "unnumbered": "box(es) have a lesion that is no whole number of 1 or more, and none was taken",
    "empty": "row(s) of annotations have neither class nor box, and are none",
    "numbered": "table(s) of the label files have no whole numbers as ids: messages count their entries from 1",
    "unmapped": "row(s) of the mapping file name no image of the label files",
}


@dataclass
class Changes:
    """counts: by what was done. left_out: reason -> images ("image 4")."""

    counts: Counter[str] = field(default_factory=Counter)
    left_out: Dict[str, List[str]] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)

    def lines(self) -> List[str]:
        """What a user should know, a line each."""
        lines = [f"{self.counts[key]} {text}" for key, text in _COUNTS.items() if self.counts[key]]
        for reason, images in self.left_out.items():
            named = first_of(images, NAMED)
            lines.append(f"{len(images)} image(s) can be neither trained on nor scored: {reason}: {named}")
        return [*self.notes, *lines]
