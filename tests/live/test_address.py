"""Addresses of streams: what they are, what is shown of them, and why one gives no video."""

import contextlib
import socket
import threading

import pytest

from gluon_liver.errors import InputError
from gluon_liver.live.address import is_recording, read_address, why_no_video


@contextlib.contextmanager
def answering(answer):
    """The port of a server of this machine that answers every connection with these bytes; what it was asked."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        asked.append(connection.recv(65536))
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], asked
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize(
    "text, shown, port, login",
    [
        ("rtsp://scanner/live", "rtsp://scanner/live", 554, None),
        ("RTSP://User:S%40cret@Scanner:8554/a/b?token=SECRET", "rtsp://scanner:8554/a/b", 8554, "User:S@cret"),
        ("http://10.0.0.7:80/v.mp4", "http://10.0.0.7/v.mp4", 80, None),
        ("https://[::1]:9/x", "https://[::1]:9/x", 9, None),
        ("http://[::1]/@live", "http://[::1]/@live", 80, None),
        ("http://host:8080/x?mail=me@SECRET", "http://host:8080/x", 8080, None),
        ("  http://host/x\n", "http://host/x", 80, None),
        ("rtsp://cam/user=me&Password=SECRET/1", "rtsp://cam/user=...&Password=.../1", 554, None),
    ],
)
def test_an_address_is_shown_without_its_secrets(text, shown, port, login):
    address = read_address(text)
    assert (str(address), repr(address), f"{address}") == (shown,) * 3
    scheme, _, rest = text.strip().partition("://")
    assert (address.port, address.login, address.url) == (port, login, f"{scheme.lower()}://{rest}")


def test_paths_and_numbers_are_no_addresses():
    assert [read_address(text) for text in ("0", "a.mp4", "/data/rtsp:/x", "C:/a.mp4", "a@b.mp4")] == [None] * 5


def test_a_file_may_be_named_like_an_address_with_a_slip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "12:30@liver.mp4").touch()
    assert read_address("12:30@liver.mp4") is None


@pytest.mark.parametrize(
    "url, sent",
    [
        ("http://me:x@h/\u00fcb/a b.mpg?k=\u00e9&l=%20", None),
        ("http://me:x@h:8/\u00fcb.mpg?k=\u00e9&l=%20", "http://h:8/%C3%BCb.mpg?k=%C3%A9&l=%20"),
        ("rtsp://[::1]/a(1),*;x=[2]", "rtsp://[::1]/a(1),*;x=[2]"),
    ],
)
def test_what_is_sent_is_ascii_and_without_a_login(url, sent):
    if sent is None:
        with pytest.raises(InputError, match="no whole address"):
            read_address(url)
    else:
        assert read_address(url).request == sent


@pytest.mark.parametrize(
    "text, message",
    [
        ("udp://u:SECRET@10.0.0.1:1", "udp://...: streams are read from rtsp, rtsps, http and https alone"),
        ("file:///SECRET", "give the path of a file as it is"),
        ("rtsp://u:SECRET@", "it is no whole address"),
        ("http://host:SECRET/x", "it is no whole address"),
        ("http://host:0/SECRET", "it is no whole address"),
        ("http://[SECRET/x", "it is no whole address"),
        ("rtsp://host/SECRET x", "it is no whole address"),
        ("rtsp://me:12/SECRET@host/x", "in a user and a password / is written %2F"),
        ("rtsp://me/you:SECRET@host/x", "where the host begins cannot be told"),
        ("rtsp://me:12?SECRET@host/x", "where the host begins cannot be told"),
        ("rtsp:/u:SECRET@host/x", "no file, and no whole address"),
        ("rtsp:\\\\u:SECRET@host/x", "no file, and no whole address"),
        ("\u201crtsp://u:SECRET@host/x\u201d", "no file, and no whole address"),
        ("'http:u:SECRET@host/x", "no file, and no whole address"),
        ("u:SECRET@host/live", "no file, and no whole address"),
        ("rtsp//u:SECRET@host/live", "no file, and no whole address"),
        ("//u:SECRET@host/live", "no file, and no whole address"),
    ],
)
def test_what_is_no_address_of_a_stream_is_refused_without_its_secrets(text, message):
    with pytest.raises(InputError) as raised:
        read_address(text)
    assert message in str(raised.value) and "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "scheme, answer, reason",
    [
        (
            "http",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "answers 404 Not Found: there is no such stream",
        ),
        (
            "http",
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "answers 401 Unauthorized: it wants a user",
        ),
        ("http", b"HTTP/1.1 500 Bro\x1bken\r\nContent-Length: 0\r\n\r\n", "the server answers 500 Broken"),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>",
            "sends no video that can be read (text/html)",
        ),
        ("http", b"RTSP/1.0 400 Bad\r\n\r\n", "answers is not http"),
        ("rtsp", b"RTSP/1.0 404 Not Found\r\n\r\n", "answers 404 Not Found: there is no such stream"),
        ("rtsp", b"RTSP/1.0 401 Unauthorized\r\n\r\n", "does not take those that were given"),
        ("rtsp", b"RTSP/1.0 200 OK\r\n\r\n", "what it sends is no video"),
        ("rtsp", b"HTTP/1.1 200 OK\r\n\r\n", "answers is not rtsp"),
        ("rtsp", b"", "answers is not rtsp"),
    ],
)
def test_the_server_is_asked_why_there_is_no_video(scheme, answer, reason):
    with answering(answer) as (port, asked):
        said = why_no_video(read_address(f"{scheme}://me:SECRET@127.0.0.1:{port}/live?key=SECRET"), seconds=2)
    assert reason in said and "SECRET" not in said
    line = asked[0].decode().splitlines()[0]
    assert (
        line.startswith("GET /live?key=SECRET " if scheme == "http" else "DESCRIBE rtsp://127.0.0.1")
        and "me:" not in line
    )
    assert (b"Authorization: Basic bWU6U0VDUkVU" in asked[0]) == (scheme == "http")


def test_machines_that_do_not_answer_are_told_apart():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        for scheme in ("http", "rtsp"):
            said = why_no_video(read_address(f"{scheme}://127.0.0.1:{port}/x"))
            assert f"nothing listens at 127.0.0.1:{port}" in said
        silent.listen()
        for scheme in ("http", "rtsp"):
            said = why_no_video(read_address(f"{scheme}://127.0.0.1:{port}/x"), seconds=0.05)
            assert f"127.0.0.1:{port} does not answer within 0.05 s" in said
    assert "no machine of the name" in why_no_video(read_address("rtsp://no-such-machine.invalid/x"))
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as (port, _):
        assert "has no certificate that holds, or speaks http alone" in why_no_video(
            read_address(f"https://127.0.0.1:{port}/x"), seconds=2
        )


@pytest.mark.parametrize(
    "headers, recording",
    [
        (b"Content-Type: video/mp2t\r\nContent-Length: 1000", True),
        (b"Content-Type: multipart/x-mixed-replace; boundary=x", False),
        (b"Content-Type: application/vnd.apple.mpegurl\r\nContent-Length: 1000", False),
    ],
)
def test_what_has_a_length_is_a_recording(headers, recording):
    with answering(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n") as (port, _):
        assert is_recording(read_address(f"http://127.0.0.1:{port}/x")) is recording
