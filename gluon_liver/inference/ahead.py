"""Work beside the network: what comes next is prepared, and what is done is drawn, each in a thread of its own.

OpenCV, zlib and MXNet let other threads run while they compute.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Callable, Deque, Generator, Iterable, Optional, Type, TypeVar

T = TypeVar("T")
MOST_WAITING = 4  # pieces of work, so that memory stays bounded
_END: Any = object()


def ahead(items: Iterable[T], *, count: int = 2) -> Generator[T, None, None]:
    """The same items, made in a thread up to ``count`` before they are asked for; what making them raises is raised."""
    source = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting: Deque[Future[T]] = deque(pool.submit(next, source, _END) for _ in range(count))
        try:
            while True:
                item = waiting.popleft().result()
                if item is _END:
                    return
                waiting.append(pool.submit(next, source, _END))
                yield item
        finally:
            for future in waiting:
                future.cancel()


class Behind:
    """Calls that are made in a thread, one after the other; at most ``most`` wait, and a with statement waits for all.

    What a call raises is raised by a later :meth:`submit` or at the end of the with statement.
    """

    def __init__(self, most: int = MOST_WAITING):
        self._most = most

    def __enter__(self) -> Behind:
        self._pool = ThreadPoolExecutor(1)
        self._waiting: Deque[Future[Any]] = deque()
        return self

    def submit(self, call: Callable[..., Any], *args: Any) -> None:
        """Have ``call(*args)`` made; waits while as many as may are."""
        while len(self._waiting) >= self._most or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(call, *args))

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            while self._waiting and error is None:
                self._waiting.popleft().result()
        finally:
            for future in self._waiting:
                future.cancel()
            self._pool.shutdown()
