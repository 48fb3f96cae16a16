"""The HTTP exchanges that pages show: each was sent to the application that the page shows, and answered so."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tools import exchanges
from tools.exchanges import (
    ExchangeError,
    exchange,
    fill,
    find_requests,
    problems,
    read_request,
    serve,
    steady,
    write_body,
)

if TYPE_CHECKING:
    from pathlib import Path

APP = """
from os import _exit, environ, getcwd, listdir
from uuid import uuid4

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["path"] == "/exit":
        print("the server gives up", flush=True)
        _exit(3)
    body = (await receive())["body"]
    headers = [(b"content-type", b"text/plain"), (b"date", b"today"), (b"x-id", uuid4().hex.encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    said = f"{scope['method']} {scope['path']} {body!r} {sorted(listdir())} {'SECRET' in environ}"
    await send({"type": "http.response.body", "body": said.encode()})
"""
REQUESTS = """\
### --8<-- [start:first]
POST /things?page=1 HTTP/1.1
Content-Type: text/plain

one
### --8<-- [end:first]

### --8<-- [start:second]
GET /things HTTP/1.1
### --8<-- [end:second]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a working copy with one application, two requests to it and a page that shows both."""
    folder = tmp_path / "examples" / "snippets" / "things"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(APP)
    (folder / "app.http").write_text(REQUESTS)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text('"things/app.http:first" "things/app.http:second"')
    return tmp_path


def test_every_exchange_that_is_shown_was_answered_so() -> None:
    """Every request of every page is answered as the page says, by the application that the page shows."""
    assert find_requests()
    assert problems() == []


def test_a_run_keeps_what_a_check_compares(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are kept without what differs from run to run, in an environment of their own, and then compared."""
    monkeypatch.setenv("SECRET", "x")
    assert problems(root, keep=True) == []
    kept = root / "examples" / "snippets" / "things" / "app.answers.http"
    text = kept.read_text()
    assert "### --8<-- [start:first]\nHTTP/1.1 201 Created\ncontent-type: text/plain\nx-id: " in text
    assert "POST /things b'one' [] False\n### --8<-- [end:first]\n" in text
    assert "GET /things b'' [] False\n### --8<-- [end:second]\n" in text
    assert "date" not in text
    assert problems(root) == []
    kept.write_text(text.replace("201", "200"))
    assert "is answered by something else" in problems(root)[0]


def test_what_is_left_over_is_named(root: Path) -> None:
    """A request that no page shows, and answers to nothing, are problems; so are requests without an application."""
    problems(root, keep=True)
    folder = root / "examples" / "snippets" / "things"
    (root / "docs" / "page.md").write_text('"things/app.http:first"')
    (folder / "gone.answers.http").write_text("")
    (folder / "lonely.http").write_text("")
    assert problems(root) == [
        "things/app.http:second: no page shows it",
        "lonely.http: there is no lonely.py whose app could answer",
        "gone.answers.http: there are no such requests",
    ]


def test_a_server_that_ends_is_named(root: Path) -> None:
    """What the server wrote is in the error, whether it ends at the start or in a request."""
    path = root / "examples" / "snippets" / "things" / "app.http"
    path.write_text(REQUESTS.replace("GET /things", "GET /exit"))
    with pytest.raises(ExchangeError, match="the server gives up"):
        exchange(path)
    path.with_suffix(".py").write_text("raise LookupError('no settings')")
    with pytest.raises(ExchangeError, match="no settings"):
        exchange(path)


def test_the_server_is_gone_afterwards(root: Path) -> None:
    """No server is left behind."""
    with serve(root / "examples" / "snippets" / "things" / "app.py") as port:
        socket.create_connection(("127.0.0.1", port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_bodies_of_requests(tmp_path: Path) -> None:
    """A file stands for its bytes, and parts of a form are apart as HTTP wants it."""
    (tmp_path / "a.bin").write_bytes(b"\x00\r\n\xff")
    head = "POST /x HTTP/1.1\nContent-Type: multipart/form-data; boundary=b\n\n"
    method, target, headers, body = read_request(f"{head}--b\nA: b\n\n< ./a.bin\n--b--", tmp_path)
    assert (method, target) == ("POST", "/x")
    assert headers["content-type"] == "multipart/form-data; boundary=b"
    assert body == b"--b\r\nA: b\r\n\r\n\x00\r\n\xff\r\n--b--"
    assert read_request("GET / HTTP/1.1", tmp_path)[3] == b""
    with pytest.raises(ExchangeError, match="begins with a line such as"):
        read_request("curl http://x", tmp_path)


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("application/json", b'{"b":1,"a":"\xc3\xbc"}', '{\n  "b": 1,\n  "a": "ü"\n}'),
        ("application/problem+json", b"[]", "[]"),
        ("application/json", b"", ""),
        ("text/html", b"<p>\n</p>\n", "<p>\n</p>"),
        ("image/png", b"\x89PNG" * 1000, "(4,000 bytes)"),
        ("application/octet-stream", b"\x00\x01", "(2 bytes)"),
    ],
)
def test_bodies_of_answers(kind: str, body: bytes, text: str) -> None:
    """JSON is indented in its own order, text stands as it is, and of other bytes the number is told."""
    assert write_body(kind, body) == text


def test_values_of_earlier_answers() -> None:
    """A request may use what was answered before it, and nothing else."""
    answers = {"cover": {"data": {"url": "/files/a.png", "size": 7}}}
    assert fill("GET {{cover.data.url}}?{{cover.data.size}} {x}", answers) == "GET /files/a.png?7 {x}"
    for wrong in ("{{cover.data.path}}", "{{other.data}}", "{{cover.data.url.more}}"):
        with pytest.raises(ExchangeError, match="nothing before has answered"):
            fill(wrong, answers)


def test_times_are_replaced() -> None:
    """Dates, and what holds one, are those of one day in all runs."""
    token = f"{'WzE3OTU2MDgwMDAs' * 2}.{'x-_' * 14}y"
    text = f'GET /files/2027/01/31/a.png?token={token}\netag: "18f-2a"\nSun, 31 Jan 2027 01:02:03 GMT'
    assert steady(text) == steady(text.replace("2027", "2028").replace("01/31", "05/06").replace("18f", "19f"))
    assert "2027" not in steady(text)
    assert token not in steady(text)
    assert steady('{"at": "2027-01-31T10:00:00Z"}') == steady('{"at": "2028-03-01T11:22:33.456+00:00"}')


def test_ids_are_replaced() -> None:
    """The same id becomes the same, another one another, each in its own form."""
    one, two = "0190a9f0-7c2e-7000-8000-123456789abc", "f" * 32
    text = steady(f"{one} {two} {one} {'e' * 33} {'e' * 31}")
    first, second, third, *rest = text.split()
    assert first == third != one
    assert len(second) == 32
    assert "-" not in second
    assert second != two
    assert rest == ["e" * 33, "e" * 31]
    assert steady(text) != one
    assert exchanges.steady("no ids") == "no ids"
