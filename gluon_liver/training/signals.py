"""SIGTERM and Ctrl-C while training: the first asks for a checkpoint, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any, Dict, Optional

SAME_REQUEST = 1.0  # seconds in which a terminal and a launcher may both pass one request on


class StopRequest:
    """While it is entered, the signals set ``name`` instead of ending the process.

    Only the main thread of Python may take signals; in another one it stays as it is.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.name: Optional[str] = None
        self._at = 0.0
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._asked) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, _: object) -> None:
        if self.name is None:
            self.name, self._at = signal.Signals(number).name, time.monotonic()
        elif time.monotonic() - self._at > SAME_REQUEST:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
