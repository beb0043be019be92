"""Where a scored image is from."""

from __future__ import annotations

from typing import NamedTuple, Optional

from gluon_liver.structures.geometry import Triple


class Where(NamedTuple):
    """case: study, or scene of a recording. place: slice or frame. spacing: (dz, dy, dx) mm, None where boxes have a
    size in pixels alone and places are no neighbouring slices.
    """

    case: str
    place: int
    spacing: Optional[Triple] = None
