"""A track of CVAT -> its box on every frame, as CVAT itself interpolates between keyframes.

As in github.com/cvat-ai/cvat (cvat/apps/dataset_manager/annotation.py, TrackManager.get_interpolated_shapes and its
simple_interpolation): corners and rotation go linearly from one keyframe to the next, rotation the shorter way; from a
keyframe that says outside up to the next one nothing is shown; behind the last one a shape stays as it is until the end
of the task. Exports write every frame, so that what is left to interpolate is of files that other tools thinned out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Set, Tuple

from gluon_liver.errors import AnnotationError

Corners = Tuple[float, float, float, float]


@dataclass(frozen=True)
class Mark:
    """What a file says of a track on one frame. is_box: else a polygon or mask, whose corners these are."""

    frame: int
    corners: Corners
    outside: bool = False
    occluded: bool = False
    keyframe: bool = True
    rotation: float = 0.0
    is_box: bool = True


@dataclass
class Seen:
    """boxes: frame -> corners and rotation. absent: frames of which the track says that it is not there. unknown: those
    on which it is there with an outline that is not told. interpolated: boxes that the file does not have.
    """

    boxes: Dict[int, Tuple[Corners, float]] = field(default_factory=dict)
    absent: Set[int] = field(default_factory=set)
    unknown: Set[int] = field(default_factory=set)
    interpolated: int = 0


def frames_of(marks: Sequence[Mark], step: int, last: Optional[int], where: str) -> Seen:
    """The frames of one track. step: between frames of the task. last: frame of the task, None where it is not told.

    Raises AnnotationError for a frame that is there twice.
    """
    ordered = sorted(marks, key=lambda mark: mark.frame)
    seen = Seen()
    for mark, after in zip(ordered, [*ordered[1:], None]):
        if after is not None and after.frame == mark.frame:
            raise AnnotationError(f"{where}: frame {mark.frame} is there twice")
        if mark.outside:
            seen.absent.add(mark.frame)
        else:
            seen.boxes[mark.frame] = mark.corners, mark.rotation
        end = after.frame if after is not None else (last if last is not None else mark.frame) + 1
        between: List[int] = list(range(mark.frame + step, end, step))
        if mark.outside:
            # behind the last mark nothing is said
            seen.absent.update(between if after is not None else ())
        elif not mark.is_box or (after is not None and not after.is_box):
            seen.unknown.update(between)
        else:
            seen.interpolated += len(between)
            for frame in between:
                share = 0.0 if after is None else (frame - mark.frame) / (after.frame - mark.frame)
                seen.boxes[frame] = _between(mark, after or mark, share)
    return seen


def _between(one: Mark, other: Mark, share: float) -> Tuple[Corners, float]:
    x1, y1, x2, y2 = (a + (b - a) * share for a, b in zip(one.corners, other.corners))
    shorter = (other.rotation - one.rotation + 180) % 360 - 180
    return (x1, y1, x2, y2), (one.rotation + shorter * share) % 360
