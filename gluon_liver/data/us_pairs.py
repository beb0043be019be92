"""Which frame of a recording is the previous one of a labelled frame: the one ``step`` before it in its scene."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

STEP = 1  # frames: of data that say nothing else
AGAIN = (
    "not stored; import the recordings again with --step {step}, which stores what they hold of these, or with the "
    "distance of the frames that they hold as --step"
)


def frames_before(scene_of: Mapping[int, Any], step: int) -> Dict[int, int]:
    """Labelled frame -> the frame ``step`` before it, for those of which that one lies in their scene.

    scene_of: the scene of each labelled frame of one recording. A scene reaches from its first labelled frame to its
    last one, and what lies between two labelled frames of a scene, without a frame of another scene there, is of it
    too. So the first frame of a scene, and whatever follows it by less than ``step`` frames, has no previous frame.
    """
    frames = sorted(scene_of)
    result: Dict[int, int] = {}
    for place, frame in enumerate(frames):
        first = bisect_right(frames, frame - step) - 1  # the last labelled frame that is not behind the wanted one
        if first >= 0 and all(scene_of[other] == scene_of[frame] for other in frames[first:place]):
            result[frame] = frame - step
    return result


class Pairs(NamedTuple):
    """How many labelled frames have a previous one, how many have none in their scene, and of how many it lies in the
    scene but is not stored. The last two kinds are their own previous frame."""

    paired: int
    first: int
    missing: int

    @classmethod
    def of(cls, frames: Iterable[int], before: Mapping[int, int], stored: Iterable[int]) -> Pairs:
        """Of labelled ``frames`` of one recording; before: of :func:`frames_before`; stored: all that is kept of it."""
        there, wanted = set(stored), [before.get(frame) for frame in frames]
        first = sum(one is None for one in wanted)
        paired = sum(one in there for one in wanted if one is not None)
        return cls(paired, first, len(wanted) - first - paired)

    @classmethod
    def of_all(cls, several: Iterable[Pairs]) -> Pairs:
        """Of several recordings."""
        columns = list(zip(*several))
        return cls(*map(sum, columns)) if columns else cls(0, 0, 0)

    @property
    def images(self) -> int:
        """All of them."""
        return sum(self)

    def faults(self, step: int, what: str, *, remedy: str = AGAIN) -> List[str]:
        """What a reader of results of us-flow must know. what: which images these are, "training images" say. remedy:
        where the frame a step before is not there.
        """
        notes = []
        if self.missing:
            notes.append(
                f"us-flow sees one frame alone of {self.missing} of {self.images} {what}: the frame {step} before is "
                f"in their scene and {remedy.format(step=step)}"
            )
        if self.first > self.images / 2:
            smaller = ", or import with a smaller --step" if step > 1 else ""
            notes.append(
                f"us-flow sees one frame alone of {self.first} of {self.images} {what}: fewer than {step} frame(s) of "
                f"their scene lie before them; label longer scenes{smaller}"
            )
        return notes


def label_distances(scene_of: Mapping[int, Any]) -> List[int]:
    """The distances of labelled frames of one recording that follow each other in one scene."""
    frames = sorted(scene_of)
    return [after - frame for frame, after in zip(frames, frames[1:]) if scene_of[frame] == scene_of[after]]


def digest_pairs(pairs: Iterable[Tuple[str, int, Optional[int]]]) -> str:
    """SHA-256 (hex) over (fingerprint of the recording, frame, previous frame) of labelled frames in any order."""
    return hashlib.sha256("\n".join(sorted(map(json.dumps, pairs))).encode()).hexdigest()


def seconds(step: int, rates: Sequence[Optional[float]]) -> str:
    """The time that ``step`` frames take, " (0.24 s at 25 frames a second)" say; "" where no rate is known."""
    known = sorted({rate for rate in rates if rate})
    if not known:
        return ""
    times = [f"{step / rate:.3g} s at {rate:g}" for rate in known[:3]]
    more = f" and {len(known) - 3} more rates" if len(known) > 3 else ""
    unknown = "; of some recordings the rate is not known" if None in rates else ""
    return f" ({', '.join(times)} frames a second{more}{unknown})"
