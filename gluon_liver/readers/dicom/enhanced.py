"""Enhanced CT: geometry and rescale of a frame come from functional groups, its own or the shared ones."""

from __future__ import annotations

from typing import Any, List

from gluon_liver.errors import MissingTagError


def functional_groups(dataset: Any, frames: int, name: str) -> List[tuple]:
    """Enhanced CT: per frame (frame, plane position, orientation, pixel measures, rescale, frame type)."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(per_frame) != frames:
        raise MissingTagError(f"{name} has {frames} frames and functional groups for {len(per_frame)} of them")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]

    def group(frame: int, keyword: str) -> Any:
        for place in (per_frame[frame], shared):
            items = place.get(keyword) if place is not None else None
            if items:
                return items[0]
        raise MissingTagError(f"{name}, frame {frame + 1} has no {keyword}, neither its own nor shared")

    result = []
    for frame in range(frames):
        frame_type = [
            word
            for place in (per_frame[frame], shared)
            for item in ((place.get("CTImageFrameTypeSequence") or []) if place is not None else [])
            for word in item.get("FrameType") or ()
        ]
        result.append(
            (
                frame,
                group(frame, "PlanePositionSequence"),
                group(frame, "PlaneOrientationSequence"),
                group(frame, "PixelMeasuresSequence"),
                group(frame, "PixelValueTransformationSequence"),
                frame_type,
            )
        )
    return result
