"""Servers of streams on this machine: Motion JPEG, a recording, and RTSP in front of what ffmpeg sends."""

import contextlib
import http.server
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import cv2
import numpy as np

FFMPEG = shutil.which("ffmpeg")


def grey_jpeg(number, size=(48, 64)):
    """A JPEG file of an even frame that is 2 lighter than the one before."""
    return cv2.imencode(".jpg", np.full((*size, 3), 2 * number % 250, np.uint8))[1].tobytes()


@contextlib.contextmanager
def served(handler):
    """The address of a web server with this handler; it has ``closing``, set at the end."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.closing = True, threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def motion_jpeg(counts, *, rate=50.0, size=(48, 64)):
    """A handler that sends counts[0] frames to the first player that asks, then closes; counts[1] to the second, and so
    on; to who comes after these it says 404. Who is no player gets the headers alone. A count may also be a list of
    JPEG files."""

    class Handler(http.server.BaseHTTPRequestHandler):
        left = list(counts)

        def do_GET(self):
            plays = self.headers["User-Agent"].startswith("Lavf")
            if plays and not self.left:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            sent = self.left.pop(0) if plays else 0
            for jpeg in [grey_jpeg(number, size) for number in range(sent)] if isinstance(sent, int) else sent:
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                if self.server.closing.wait(1 / rate):
                    return

        def log_message(self, *args):
            pass

    return Handler


def files_of(folder):
    """A handler that gives the files of a folder."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **more):
            super().__init__(*args, directory=str(folder), **more)

        def log_message(self, *args):
            pass

    return Handler


@contextlib.contextmanager
def rtsp(folder, *, login=None):
    """The port of an RTSP server that gives, over its own connection, what ffmpeg sends it: 25 frames a second, 64x48.

    login: the Basic credentials that it wants. Path: ``/live``; others are not found.
    """
    with contextlib.ExitStack() as closing:
        packets = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        packets.bind(("127.0.0.1", 0))
        packets.settimeout(0.2)
        description = Path(folder) / "live.sdp"
        made = "testsrc=size=64x48:rate=25"
        coding = "-c:v mpeg4 -g 5 -flags +global_header -f rtp -sdp_file".split()
        target = f"rtp://127.0.0.1:{packets.getsockname()[1]}"
        sender = subprocess.Popen(
            [
                FFMPEG,
                "-nostdin",
                "-loglevel",
                "error",
                "-re",
                "-f",
                "lavfi",
                "-i",
                made,
                *coding,
                str(description),
                target,
            ]
        )
        closing.callback(sender.wait)
        closing.callback(sender.kill)
        end = time.monotonic() + 10
        while not description.exists() or not description.read_text().endswith("\n"):
            assert time.monotonic() < end
            time.sleep(0.01)
        server = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.settimeout(10)
        # what a player is told is what the sender said, without its own address
        told = "".join(line + "\r\n" for line in description.read_text().splitlines() if not line.startswith("c="))
        stopped = threading.Event()
        thread = threading.Thread(target=_answer, args=(server, packets, told, login, stopped), daemon=True)
        thread.start()
        closing.callback(thread.join)
        closing.callback(server.shutdown, socket.SHUT_RDWR)
        closing.callback(stopped.set)
        yield server.getsockname()[1]


def _answer(server, packets, told, login, stopped):
    while not stopped.is_set():
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            _session(connection, packets, told, login, stopped)


def _session(connection, packets, told, login, stopped):
    requests = connection.makefile("rb")
    while True:
        line = requests.readline().decode()
        if not line:
            return
        method, url = line.split()[:2]
        headers = {}
        for line in iter(lambda: requests.readline().decode().strip(), ""):
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        more, body = "", ""
        if login and headers.get("authorization") != f"Basic {login}":
            status = '401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"'
        elif "/live" not in url:
            status = "404 Not Found"
        elif method == "SETUP" and "interleaved" not in headers["transport"]:
            status = "461 Unsupported Transport"
        else:
            status = "200 OK"
            if method == "OPTIONS":
                more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
            elif method == "DESCRIBE":
                more, body = f"Content-Type: application/sdp\r\nContent-Length: {len(told)}\r\n", told
            else:
                more = "Session: 1\r\n"
                more += f"Transport: {headers['transport']}\r\n" if method == "SETUP" else ""
        connection.sendall(f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\n{more}\r\n{body}".encode())
        if method == "PLAY":
            break
    while not stopped.is_set():
        with contextlib.suppress(socket.timeout):
            packet = packets.recv(65536)
            connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
