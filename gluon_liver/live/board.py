"""What a live page shows: the pictures, what is measured of them, and how the source fares."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.inference.annotate_video import SPEED_OVER, Annotated

from .counts import Counts
from .history import History

JPEG_QUALITY = 90
TIMES_KEPT = 100_000  # frames whose latency the summary is of: an hour at 25 a second


class Board:
    """Takes each annotated frame from the detector, and tells the server's threads.

    score_threshold: lowest score that is told. alone: how many frames were their own previous frame.

    Attributes: counts, of a live source; fares, status and words of the source while it goes on; history.
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        score_threshold: float,
        alone: Callable[[], int] = lambda: 0,
        history: Optional[History] = None,
    ):
        self.history = history or History()
        self.counts = Counts()
        self.fares: Callable[[], Tuple[str, str]] = lambda: ("live", "")
        self._classes, self._score_threshold, self._alone = classes, score_threshold, alone
        self._started = time.monotonic()
        self._latencies: Deque[float] = deque(maxlen=TIMES_KEPT)
        self._shown: Deque[float] = deque(maxlen=SPEED_OVER + 1)  # when the last pictures were there
        self._detection: Deque[float] = deque(maxlen=SPEED_OVER)
        self._condition, self._changes = threading.Condition(), 0
        self._ended = ""

    def publish(self, one: Annotated) -> None:
        """Keep a picture as JPEG, with what is known of it."""
        good, jpeg = cv2.imencode(".jpg", one.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not good:
            raise InputError("a picture cannot be made a JPEG for the page; leave --serve out")
        now, found = time.monotonic(), one.result.detections.at_score(self._score_threshold)
        order = np.argsort(-found.scores, kind="stable")
        latency = now - one.frame.arrived
        about = {
            "number": int(one.frame.number),
            "found": [[int(found.labels[place]), round(float(found.scores[place]), 3)] for place in order],
            "words": self._words([self._classes[int(label)] for label in found.labels]),
            "detection_ms": round(1000 * one.seconds, 1),
            "ready_ms": round(1000 * latency, 1),
            "second": round(one.frame.arrived - self._started, 2),
        }
        with self._condition:
            self.history.add(jpeg.tobytes(), one.frame.arrived, about)
            self._latencies.append(latency)
            self._shown.append(now)
            self._detection.append(one.seconds)
            self._tell()

    def end(self, said: str) -> None:
        """The stream has ended; the pictures stay."""
        with self._condition:
            self._ended = said
            self._tell()

    def wait(self, changes: int, seconds: float) -> int:
        """Wait until something is new since the ``changes`` that were seen, or for so many seconds; the changes now."""
        with self._condition:
            self._condition.wait_for(lambda: self._changes != changes, seconds)
            return self._changes

    def state(self) -> Dict[str, Any]:
        """What the page is told, plain values: see the script of the page."""
        with self._condition:
            shown, detection, latencies = list(self._shown), list(self._detection), list(self._latencies)
            status, said = ("ended", self._ended) if self._ended else self.fares()
        span = shown[-1] - shown[0] if len(shown) > 1 else 0.0
        over = latencies[-SPEED_OVER:]
        return {
            **self.history.state(),
            "status": status,
            "said": said,
            "rate": round((len(shown) - 1) / span, 1) if span else None,
            "detection_ms": round(1000 * sum(detection) / len(detection), 1) if detection else None,
            "ready_ms": round(1000 * sum(over) / len(over), 1) if over else None,
            "dropped": self.counts.dropped,
            "reconnected": self.counts.reconnected(),
            "damaged": self.counts.damaged,
            "changes": self.counts.changed(),
            "alone": self._alone(),
        }

    def summary(self) -> Optional[str]:
        """The time from a frame's arrival to its picture, over the whole stream; None before the first frame."""
        with self._condition:
            latencies = np.array(list(self._latencies)[1:] or list(self._latencies))  # the first plans the graphs
        if not latencies.size:
            return None
        median, most = (1000 * float(np.percentile(latencies, share)) for share in (50, 95))
        return f"from a frame's arrival to its picture: median {median:.0f} ms, 95 % within {most:.0f} ms"

    def _tell(self) -> None:
        self._changes += 1
        self._condition.notify_all()

    def _words(self, names: List[str]) -> str:
        """What was found, for those who do not see the picture."""
        counted = [f"{count} {name}" for name, count in sorted(Counter(names).items())]
        return ", ".join(counted) if counted else "nothing found"
