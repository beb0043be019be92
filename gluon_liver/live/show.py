"""A stream shown on a page: the board that the detector writes on, and the server that reads it, together."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event
from typing import Iterator, Sequence

from gluon_liver.inference.stream import StreamDetector

from .board import Board
from .page import page_files
from .server import PageServer
from .source import Source


@contextmanager
def shown(
    server: PageServer, source: Source, stream: StreamDetector, *, facts: Sequence[str], score: float, video: str
) -> Iterator[Board]:
    """Show a stream until the with statement ends, and say where; :meth:`Board.publish` is to be given the frames.

    facts, video: see :func:`page_files`. score: lowest one that is told.
    """
    live = source.live
    board = Board(stream.classes, score_threshold=score, alone=lambda: stream.alone)
    if live is not None:
        board.counts, board.fares = live.counts, lambda: (live.status, live.said)
    files = page_files(source=source.name, facts=facts, classes=stream.classes, live=live is not None, video=video)
    with server.serving(board, files) as url:
        print(f"see {url} in a browser of this machine; Ctrl-C ends", flush=True)
        yield board


def stay(board: Board, source: Source) -> None:
    """Keep the page until Ctrl-C: what was short is over before anybody has looked."""
    said = "the recording has ended" if source.live is None else "the stream has ended"
    why = "" if source.live is None else "".join(f": {note}" for note in source.live.counts.notes[-1:])
    board.end(f"{said}{why}. Its last pictures stay until watch is stopped.")
    print(f"{said}; the page stays until Ctrl-C", flush=True)
    try:
        Event().wait()
    except KeyboardInterrupt:
        print()
