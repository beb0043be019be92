"""What labels and pixels are, in a few digits: whether two runs saw the same ones, whatever the files look like."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

from gluon_liver.files.typed import at_least, matching, required

from .coco import Label

SHA256 = matching("[0-9a-f]{64}", "a SHA-256, 64 hexadecimal digits")
_DIGITS = 2  # of a pixel: less than two imports of one label file differ by


@dataclass(frozen=True)
class StoredFile:
    """Size and SHA-256 of a file of pixels, as the import wrote it."""

    bytes: int = required(at_least(0))
    sha256: str = required(SHA256)


def digest_labels(labels: Iterable[Label], classes: Sequence[str], fingerprints: Mapping[str, str]) -> str:
    """SHA-256 (hex) of what ``labels`` say: classes, images, boxes and lesions.

    Order, image ids, case ids and the form of the file do not count: a case is known by its pixels, ``fingerprints`` by
    case, so that two imports of the same studies and labels agree whatever their salt.
    """
    images: List[str] = []
    for label in labels:
        boxes = sorted(
            [classes[kind], *(round(float(edge), _DIGITS) + 0.0 for edge in box), *filter(None, [label.lesion_of(row)])]
            for row, (box, kind) in enumerate(zip(label.boxes, label.labels))
        )
        own = [getattr(label, key) for key in label.keys]
        images.append(json.dumps([fingerprints[label.case], own, label.place, label.width, label.height, boxes]))
    return _sha256([json.dumps(list(classes)), *sorted(images)])


def digest_files(files: Iterable[Optional[StoredFile]]) -> Optional[str]:
    """SHA-256 (hex) over files in any order, None where one is not known or there is none."""
    known = list(files)
    prints = [one.sha256 for one in known if one is not None]
    return _sha256(sorted(prints)) if prints and len(prints) == len(known) else None


def differences(before: Any, after: Mapping[str, Optional[str]]) -> Dict[str, List[str]]:
    """Which of the digests differ, with both values; what either side does not know (an older version's) is left out.

    before: what a file holds, which may be anything.
    """
    old = before if isinstance(before, Mapping) else {}
    known = {name: value for name, value in after.items() if value is not None and old.get(name) is not None}
    return {name: [str(old[name]), value] for name, value in known.items() if old[name] != value}


def _sha256(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8")).hexdigest()
