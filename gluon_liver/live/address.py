"""Addresses of streams: what they are, how they are shown without their secrets, and why one gives no video."""

from __future__ import annotations

import base64
import http.client
import os
import re
import socket
import ssl
import urllib.error
import urllib.request
from typing import NamedTuple, Optional, Tuple
from urllib.parse import quote, unquote, urlsplit

from gluon_liver.errors import InputError

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
OPEN_SECONDS = 10.0  # that a server may take to answer
FAILURES = (OSError, ValueError, http.client.HTTPException)  # of a server that answers badly or not at all
SENT = "/%:=&?~#+!$,;'@()*[]"  # signs that stay as they are
SLIP = re.compile(r":[^@]*@")  # as of a login, in what is no address
SECRET = re.compile(r"((?:user(?:name)?|pass(?:word|wd)?|pwd|token|auth|key)=)[^/&;]*", re.IGNORECASE)  # in a path
HIDDEN = r"\1..."
LISTS = ("mpegurl", "dash+xml")  # media types of lists of pieces, whose length is not that of the video
MEANINGS = {
    401: "it wants a user and a password: scheme://USER:PASSWORD@HOST/...; where they were given, they are wrong",
    403: "it does not give this to who asks",
    404: "there is no such stream; check the path behind the host",
}


class Address(NamedTuple):
    """The address of a stream. url: as it was given, with its secrets: for FFmpeg and the server alone."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    login: Optional[str]  # user:password

    def __str__(self) -> str:
        """Without user, password and query, which may hold a token."""
        return self._whole(SECRET.sub(HIDDEN, self.path))

    def __repr__(self) -> str:
        return str(self)

    @property
    def place(self) -> str:
        """The machine that is asked."""
        return f"{self._host}:{self.port}"

    @property
    def request(self) -> str:
        """The address without a login, as it is sent: in ASCII."""
        parts = urlsplit(self.url)
        query = f"?{quote(parts.query, safe=SENT)}" if parts.query else ""
        return self._whole(quote(parts.path, safe=SENT) + query)

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def _whole(self, rest: str) -> str:
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self._host}{port}{rest}"


def read_address(text: str) -> Optional[Address]:
    """The address that a text is, None where it is none.

    Raises :class:`InputError` for one that is not read here, and for what looks like one with a slip of the pen;
    repeats none of its secrets.
    """
    text = text.strip()
    start = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if start is None:
        if re.search(SLIP, text) and not os.path.lexists(text):
            raise InputError(
                "SOURCE is no file, and no whole address: those look like rtsp://USER:PASSWORD@HOST:PORT/PATH"
            )
        return None
    scheme = start.group(1).lower()
    text = scheme + text[start.end(1) :]  # FFmpeg knows schemes in small letters alone
    if scheme not in PORTS:
        where = "give the path of a file as it is" if scheme == "file" else "have it sent as one of these"
        raise InputError(f"{scheme}://...: streams are read from rtsp, rtsps, http and https alone; {where}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port == 0 or re.search(r"[\s\x00-\x1f]", text):
        raise InputError(f"{scheme}://...: it is no whole address; it looks like {scheme}://HOST:PORT/PATH")
    login = None
    # an @ behind a colon: USER:PASSWORD@HOST, the password cut short by a sign that ends a host's name
    rest = re.sub(r"^\[.*?\]", "", parts.netloc) + parts.path if parts.path else text[start.end() :]
    if parts.username is None and re.match(r"[^@]*:[^@]*@", rest):
        signs = "in a user and a password / is written %2F, ? %3F and # %23; behind the host @ is written %40"
        raise InputError(f"{scheme}://...: where the host begins cannot be told: {signs}")
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Address(text, scheme, host, port or PORTS[scheme], parts.path, login)


class Answer(NamedTuple):
    """What a web server says of what it sends. length: in bytes, None where it has no end that is known."""

    kind: str
    length: Optional[int]


def ask(address: Address, *, seconds: float = OPEN_SECONDS) -> Answer:
    """What a web server says of an address. Raises :class:`OSError` (``urllib.error.URLError`` among them)."""
    request = urllib.request.Request(address.request, headers={"User-Agent": "gluon_liver"})
    if address.login is not None:
        login = base64.b64encode(address.login.encode("utf-8")).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=seconds) as response:
        length = response.headers.get("Content-Length", "")
        return Answer(response.headers.get_content_type(), int(length) if length.isdigit() else None)


def is_recording(address: Address) -> bool:
    """Whether a web server says of an address that it has an end; where it does not answer again, it has none."""
    try:
        answer = ask(address)
    except FAILURES:
        return False
    return answer.length is not None and not any(name in answer.kind for name in LISTS)


def why_no_video(address: Address, *, seconds: float = OPEN_SECONDS) -> str:
    """Why FFmpeg, which does not say, cannot open an address: the server is asked once more."""
    try:
        if address.scheme.startswith("http"):
            return f"the server answers, but sends no video that can be read ({ask(address, seconds=seconds).kind})"
        code, words = _describe(address, seconds)
    except urllib.error.HTTPError as error:
        code, words = error.code, str(error.reason)
    except FAILURES as error:
        return _reason(address, error, seconds)
    if code == 200:
        return "the server answers, but what it sends is no video that can be read"
    if code == 401 and address.login is not None and address.scheme.startswith("rtsp"):
        return "the server wants a user and a password, and does not take those that were given, or has no video there"
    meaning = f": {MEANINGS[code]}" if code in MEANINGS else ""
    line = "".join(sign for sign in words.splitlines()[0] if sign.isprintable()) if words else ""
    return f"the server answers {code} {line}{meaning}"


def _reason(address: Address, error: Exception, seconds: float) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, (socket.gaierror, UnicodeError)):  # the latter of a name that none can have
        return f"no machine of the name {address.host} is known; check it, and the network"
    if isinstance(cause, ConnectionRefusedError):
        return f"nothing listens at {address.place}; is the server running, and is that its port?"
    if isinstance(cause, (socket.timeout, TimeoutError)):
        return f"{address.place} does not answer within {seconds:g} s; check the machine's name, and the firewalls"
    if isinstance(cause, ssl.SSLError):
        plain = address.scheme[:-1] if address.scheme.endswith("s") else address.scheme
        return f"{address.place} has no certificate that holds, or speaks {plain} alone ({cause.reason or 'TLS'})"
    if isinstance(cause, OSError):
        return f"{address.place}: {cause.strerror or type(cause).__name__}"
    return f"what {address.place} answers is not {address.scheme}"


def _describe(address: Address, seconds: float) -> Tuple[int, str]:
    """Status of RTSP's DESCRIBE (RFC 2326 10.2), without a login."""
    with socket.create_connection((address.host, address.port), timeout=seconds) as plain:
        if address.scheme == "rtsps":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # FFmpeg does not verify either
            with context.wrap_socket(plain, server_hostname=address.host) as secure:
                return _status(secure, address)
        return _status(plain, address)


def _status(connection: socket.socket, address: Address) -> Tuple[int, str]:
    connection.sendall(f"DESCRIBE {address.request} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode())
    line = connection.makefile("rb").readline(1000).decode("latin-1")
    found = re.match(r"RTSP/\d\.\d (\d{3}) ?([^\r\n]*)", line)
    if found is None:
        raise ValueError("no RTSP")
    return int(found.group(1)), found.group(2)
