"""Enhanced CT: geometry and rescale of a frame come from functional groups, its own or the shared ones."""

from __future__ import annotations

from typing import Any, List, Tuple

from gluon_liver.errors import MissingTagError

GROUPS = (
    *("PlanePositionSequence", "PlaneOrientationSequence"),
    *("PixelMeasuresSequence", "PixelValueTransformationSequence"),
)


def functional_groups(dataset: Any, frames: int, name: str) -> List[Tuple[Any, ...]]:
    """Of each frame: number, plane position, orientation, pixel measures, rescale, frame content or None, and type."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(per_frame) != frames:
        raise MissingTagError(f"{name} has {frames} frames and functional groups for {len(per_frame)} of them")
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    result = []
    for frame, own in enumerate(per_frame):
        items = {
            keyword: [item for place in (own, *shared) for item in place.get(keyword) or ()]
            for keyword in (*GROUPS, "FrameContentSequence", "CTImageFrameTypeSequence")
        }
        for keyword in GROUPS:
            if not items[keyword]:
                raise MissingTagError(f"{name}, frame {frame + 1} has no {keyword}, neither its own nor shared")
        frame_type = [word for item in items["CTImageFrameTypeSequence"] for word in item.get("FrameType") or ()]
        content = (items["FrameContentSequence"] or [None])[0]
        result.append((frame, *(items[keyword][0] for keyword in GROUPS), content, frame_type))
    return result
