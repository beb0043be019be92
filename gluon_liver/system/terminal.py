"""What the program says while it works, on stderr: bars on a terminal, a few lines elsewhere, nothing with --quiet.

Warnings and errors are no matter of this module: they are printed in any case.
"""

from __future__ import annotations

import sys
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Optional, Sized, Type

if TYPE_CHECKING:
    from tqdm import tqdm

EVERY = 30.0  # seconds between two lines at least, where there is no terminal

_quiet = False


def set_quiet(quiet: bool) -> None:
    """Whether this process is silent but for results, warnings and errors."""
    global _quiet
    _quiet = quiet


def say(text: str) -> None:
    """A line on stderr, above a bar where there is one; nothing with --quiet."""
    if _quiet:
        return
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float, *, exact: bool = False) -> str:
    """A length of time for people: ``40 s``, ``7 min``, ``3 h 20 min``, ``2 d 4 h``; exact: ``4 min 25 s`` too."""
    if exact and round(seconds) < 7200:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s" if minutes > 1 else f"{round(seconds)} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


@contextmanager
def plain_warnings() -> Iterator[None]:
    """While it is entered, warnings that are meant for users are a line each, without the code that gave them."""
    usual = warnings.formatwarning

    def plain(message: Warning, category: Type[Warning], *where: Any, **more: Any) -> str:
        return f"note: {message}\n" if category is UserWarning else usual(message, category, *where, **more)

    warnings.formatwarning = plain  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.formatwarning = usual


class Progress:
    """How far work has come: a bar of tqdm on a terminal; elsewhere a line at most ``every`` so many seconds, and one
    at the end of work that had others. Silent with --quiet and without ``show``.

    Iterating over it counts ``items``, :meth:`update` counts by hand; as a context manager it ends what it shows.

    total: how many there are, by default the length of ``items``. done: how many of them were done before. text: what
    is being done. unit: what is counted.
    """

    def __init__(
        self,
        items: Optional[Iterable[Any]] = None,
        *,
        total: Optional[int] = None,
        done: int = 0,
        text: str,
        unit: str = "it",
        show: bool = True,
        every: float = EVERY,
    ):
        self._items, self._text, self._every = items, text, every
        self._total = len(items) if total is None and isinstance(items, Sized) else total
        self._done = self._before = done
        self._began = self._said = time.monotonic()
        self._lines = 0
        self._bar: Optional[tqdm] = None
        self._shown = show and not _quiet
        if self._shown and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, initial=done, desc=text, unit=unit, file=sys.stderr)

    def __iter__(self) -> Iterator[Any]:
        with self:
            for item in () if self._items is None else self._items:
                yield item
                self.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._shown and time.monotonic() - self._said >= self._every:
            self._say()

    def note(self, **values: Any) -> None:
        """Show values beside a bar; lines leave them out."""
        if self._bar is not None:
            self._bar.set_postfix(**values)

    def restart(self) -> None:
        """Something else was said of the work just now: the next line may wait its full time."""
        self._said = time.monotonic()

    def close(self) -> None:
        """No more comes. The last line tells how long it took, where there were others before it."""
        if self._bar is not None:
            self._bar.close()
        elif self._lines:
            self._say(last=True)
        self._shown, self._bar = False, None

    def _say(self, *, last: bool = False) -> None:
        self._said, self._lines = time.monotonic(), 0 if last else self._lines + 1
        took, new = self._said - self._began, self._done - self._before
        text = f"{self._text}: {self._done:,}" + (f" of {self._total:,}" if self._total else "")
        if last:
            text += f" in {duration(took)}"
        elif self._total and new:
            text += f", about {duration(took / new * (self._total - self._done))} left"
        say(text)


progress_bar = Progress
