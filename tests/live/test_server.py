"""Who gets what from the server of a live page."""

import contextlib
import http.client
import json
import socket

import pytest

from gluon_liver.errors import InputError
from gluon_liver.live.board import Board
from gluon_liver.live.page import page_files
from gluon_liver.live.server import PageServer
from tests.live.test_history import CLASSES, annotated


@pytest.fixture(scope="module")
def served():
    """(server, board) with two pictures."""
    board = Board(CLASSES, score_threshold=0.5)
    for number in (5, 6):
        board.publish(annotated(number))
    about = dict(facts=["run <b>"], classes=CLASSES, live=True, video="")
    with PageServer(0) as server, server.serving(board, page_files(source="camera 0", **about)):
        yield server, board


@pytest.fixture
def ask(served):
    """ask(path, method, **headers): status, headers and content; ``{key}`` in the path is the right one."""
    server, _ = served

    def get(path="/{key}/", method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(connection):
            connection.request(method, path.format(key=server.key), headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    return get


def test_it_listens_on_this_machine_alone(served):
    server, _ = served
    assert server.server_address[0] == "127.0.0.1" and server.url.startswith(f"http://127.0.0.1:{server.server_port}/")
    assert len(server.key) >= 12 and PageServer(0).key != server.key


def test_the_page_and_its_files(ask):
    status, headers, page = ask()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<h1>camera 0</h1>" in page and b"run &lt;b&gt;" in page and b"not for diagnosis" in page
    assert b"1,000 pictures" in page and b"128 MB" in page and b"No video is written" in page
    for name, kind in (("live.css", "text/css"), ("live.js", "text/javascript")):
        status, headers, content = ask("/{key}/" + name)
        assert status == 200 and headers.get_content_type() == kind and content
    assert ask(method="HEAD")[0::2] == (200, b"")


def test_no_page_may_frame_it_nor_load_from_elsewhere(ask):
    _, headers, _ = ask()
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy
    assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "host, status",
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:9000", 200),  # behind a tunnel
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil.example@127.0.0.1", 421),
        ("[127.0.0.1", 421),
        ("", 421),
    ],
)
def test_another_name_is_refused(served, ask, host, status):
    if "@" in host:
        status = 200  # who asks for it is 127.0.0.1 all the same
    found, _, said = ask(Host=host.format(port=served[0].server_port))
    assert found == status and (status == 200 or b"answers to no other name" in said)


@pytest.mark.parametrize(
    "headers, status",
    [
        (dict(Origin="http://127.0.0.1:{port}"), 200),
        (dict(Origin="http://evil.example"), 403),
        (dict(Origin="http://127.0.0.1:1"), 403),
        (dict(Origin="null"), 403),
        (dict(Sec_Fetch_Site="same-origin"), 200),
        (dict(Sec_Fetch_Site="none"), 200),
        (dict(Sec_Fetch_Site="cross-site"), 403),
        (dict(Sec_Fetch_Site="same-site"), 403),  # another port of this machine
        (dict(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image"), 403),
        (dict(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe"), 403),
        (dict(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document"), 200),  # a link
    ],
)
def test_another_page_is_refused(served, ask, headers, status):
    port = served[0].server_port
    found, _, said = ask(**{name: value.format(port=port) for name, value in headers.items()})
    assert found == status and (status == 200 or b"another page asks" in said)


def test_without_the_key_there_is_nothing(ask):
    for path in (
        "/",
        "/live.js",
        "/frame/0",
        "/{key}",
        "/{key}x/",
        "/x{key}/",
        "//{key}",
        "/%00/",
    ):
        status, _, said = ask(path)
        assert status == 403 and b"open the one that `watch` printed" in said, path
    assert ask("/{key}/../etc/passwd")[0] == 404 and ask("/{key}/none")[0] == 404


def test_a_path_that_is_no_address_is_told_to_who_asks_alone(served, capsys):
    server, _ = served
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(b"GET http://[x/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")
    assert capsys.readouterr().err == ""


def test_methods_that_change_something_are_not_there(ask):
    assert [ask(method=method)[0] for method in ("POST", "PUT", "DELETE", "OPTIONS")] == [501] * 4


def test_a_picture_comes_with_what_is_known_of_it(served, ask):
    status, headers, jpeg = ask("/{key}/frame/1")
    assert status == 200 and headers["Content-Type"] == "image/jpeg" and jpeg == served[1].history.get(1).jpeg
    about = json.loads(headers["X-Frame"])
    assert about["number"] == 6 and about["serial"] == 1 and about["age_ms"] >= about["ready_ms"]
    for path in (
        "frame",
        "frame/",
        "frame/2",
        "frame/-1",
        "frame/x",
        "frame/" + "9" * 99,
    ):
        assert ask("/{key}/" + path)[0] == 404, path


def test_the_state_comes_whenever_something_is_new(served):
    server, board = served
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"/{server.key}/events")
        answer = connection.getresponse()
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert (
            json.loads(answer.readline()[6:])["newest"] == board.history.state()["newest"]
            and answer.readline() == b"\n"
        )
        wanted = board.history.state()["newest"] + 1
        board.publish(annotated(7))
        newest = -1
        while newest < wanted:
            line = answer.readline()
            newest = json.loads(line[6:])["newest"] if line.startswith(b"data: ") else newest
        assert newest == wanted


def test_the_pictures_are_a_motion_jpeg_too(served):
    server, board = served
    board.publish(annotated(8))
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"/{server.key}/stream.mjpg")
        answer = connection.getresponse()
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        assert answer.readline() == b"--frame\r\n"
        for number in range(2):
            head = [answer.readline() for _ in range(3)]
            jpeg = answer.read(int(head[1].split()[1]))
            assert head[0] == b"Content-Type: image/jpeg\r\n" and jpeg == board.history.newest().jpeg
            assert [answer.readline(), answer.readline()] == [b"\r\n", b"--frame\r\n"]  # its end, with it
            board.publish(annotated(9, grey=60 + number))


def test_a_port_that_cannot_be_had_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            InputError, match=f"--serve {port}: the port cannot be had .*--serve 0 for any that is free"
        ):
            PageServer(port)
    for port in (65536, 99999999999):
        with pytest.raises(InputError, match="a port is 0 to 65535"):
            PageServer(port)


def test_a_browser_that_goes_away_is_no_error(served, capfd):
    server, board = served
    for path in ("events", "frame/0"):
        with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
            connection.sendall(f"GET /{server.key}/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
    for _ in range(3):
        board.publish(annotated(9))
    assert capfd.readouterr().err == ""
