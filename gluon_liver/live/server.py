"""The server of a live page: this machine alone can reach it, and only who knows the address that was printed.

- It listens on 127.0.0.1.
- Another name in the Host header is refused: the page of a stranger whose name leads here (DNS rebinding) sends that.
- What another page asks for (Sec-Fetch-Site, Origin) is refused; nothing may show the page in a frame.
- Every path begins with a random key, so that other users of this machine get nothing.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import socketserver
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Optional, Tuple
from urllib.parse import urlsplit

from gluon_liver.errors import InputError, why

if TYPE_CHECKING:
    from .board import Board

HERE = "127.0.0.1"
NAMES = (HERE, "localhost")
ALIVE_SECONDS = 1.0  # at most between two messages to a page
POLICY = (
    "default-src 'none'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
GUARDS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
File = Tuple[str, bytes]  # media type, content


class PageServer(ThreadingHTTPServer):
    """Listens from the beginning, so that a port that is taken is told at once; answers once it has a board.

    port: 0 for any that is free. Raises :class:`InputError`.
    """

    daemon_threads, block_on_close = True, False

    def __init__(self, port: int):
        self.key = secrets.token_urlsafe(9)
        self.board: Optional[Board] = None
        self.files: Dict[str, File] = {}
        self.stopping = threading.Event()
        if not 0 <= port <= 65535:
            raise InputError(f"--serve {port}: a port is 0 to 65535, and 0 takes any that is free")
        try:
            super().__init__((HERE, port), _Handler)
        except PermissionError as error:
            raise InputError(f"--serve {port}: {why(error)}; ports from 1024 on need no rights") from error
        except OSError as error:
            free = "give another one, or --serve 0 for any that is free"
            raise InputError(f"--serve {port}: the port cannot be had ({why(error)}); {free}") from error

    def server_bind(self) -> None:
        """Without asking for the name of 127.0.0.1, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HERE, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is nothing to tell."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, socket.timeout)):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """The address of the page, with its key."""
        return f"http://{HERE}:{self.server_port}/{self.key}/"

    @contextmanager
    def serving(self, board: Board, files: Dict[str, File]) -> Iterator[str]:
        """Answer until the with statement ends; gives the page's address.

        files: name -> what the page is made of; "" is the page itself.
        """
        self.board, self.files = board, files
        thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="page server", daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self.stopping.set()
            self.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gluon_liver", ""
    timeout = 30  # seconds, of a connection on which nothing is asked or taken

    def do_GET(self) -> None:
        refusal = self._refusal()
        if refusal is not None:
            self._send(*refusal)
            return
        name = self._name()
        if name is None:
            self._send(403, "the address is incomplete: open the one that `watch` printed, with its key")
        elif name == "events":
            self._events()
        elif name == "stream.mjpg":
            self._pictures()
        elif name == "frame" or name.startswith("frame/"):
            self._frame(name[len("frame/") :])
        elif name in self.server.files:
            kind, content = self.server.files[name]
            self._send(200, content, kind)
        else:
            self._send(404, "there is nothing of that name here")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests have the key in them."""

    def _refusal(self) -> Optional[Tuple[int, str]]:
        """Status and reason where another than the page itself asks."""
        host = self.headers.get("Host", "")
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            name = None
        if name not in NAMES or len(self.headers.get_all("Host") or ()) != 1:
            return 421, f"this server is {HERE}, and answers to no other name; a tunnel has to end at {HERE} too"
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            return 403, "another page asks; this server answers its own alone"
        opened = self.headers.get("Sec-Fetch-Mode") == "navigate" and self.headers.get("Sec-Fetch-Dest") == "document"
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not opened:
            return 403, "another page asks; this server answers its own alone"
        return None

    def _name(self) -> Optional[str]:
        """What is asked for behind the key; None without the right one."""
        try:
            path = urlsplit(self.path).path
        except ValueError:
            return None
        key, slash, name = path.lstrip("/").partition("/")
        right = hmac.compare_digest(key.encode("utf-8", "replace"), self.server.key.encode())
        return name if right and slash else None

    def _send(self, status: int, content: Any, kind: str = "text/plain; charset=utf-8", **more: str) -> None:
        body = content.encode("utf-8") if isinstance(content, str) else content
        self._head(status, kind, {"Content-Length": str(len(body)), **more})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, kind: str, more: Dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **GUARDS, **more}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _frame(self, serial: str) -> None:
        board = self.server.board
        assert board is not None
        kept = board.history.get(int(serial)) if serial.isdecimal() and len(serial) < 19 else None
        if kept is None:
            self._send(404, "this picture is not kept any more, or not there yet")
        else:
            self._send(200, kept.jpeg, "image/jpeg", X_Frame=json.dumps(kept.told()))

    def _events(self) -> None:
        """The state, whenever something is new and once a second at least (server-sent events)."""
        self._stream("text/event-stream", lambda state: f"data: {json.dumps(state)}\n\n".encode())

    def _pictures(self) -> None:
        """The newest picture each time (Motion JPEG), for what shows no page."""
        board, seen = self.server.board, [-1]
        assert board is not None

        def part(state: Dict[str, Any]) -> bytes:
            kept = board.history.newest()
            if kept is None or kept.serial == seen[0]:
                return b""
            # the boundary behind a picture, not before it: browsers show a picture when they see its end
            first = b"--frame\r\n" if seen[0] < 0 else b""
            seen[0] = kept.serial
            head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(kept.jpeg)
            return first + head + kept.jpeg + b"\r\n--frame\r\n"

        self._stream("multipart/x-mixed-replace; boundary=frame", part)

    def _stream(self, kind: str, piece: Callable[[Dict[str, Any]], bytes]) -> None:
        """Send pieces until the browser or the server goes."""
        board = self.server.board
        assert board is not None
        self.close_connection = True
        self._head(200, kind, {"Connection": "close"})
        changes = -1
        while self.command != "HEAD":
            stopping = self.server.stopping.is_set()
            self.wfile.write(piece(board.state()))
            if stopping:
                return
            changes = board.wait(changes, ALIVE_SECONDS)
