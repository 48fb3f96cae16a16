"""Requests of a test: declared ones are answered, all others refused, whatever sends them and wherever they go."""

from __future__ import annotations

import asyncio
import re
import socket
import urllib.request
from typing import TYPE_CHECKING, Any

import httpcore
import httpcore2
import httpx2
import pytest

from rustforge.errors import MailError, WebhookError
from rustforge.notify import Mail, MailChannel, WebhookChannel
from rustforge.notify.webhook.signing import new_secret
from rustforge.testing import HttpResponse, OutboundHttp, SentRequest, StrayRequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CHARGES = "https://pay.example.com/v1/charges"


@pytest.fixture
def http() -> Iterator[OutboundHttp]:
    """Refuse everything that is not declared."""
    http = OutboundHttp()
    with http.block():
        yield http


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """Run a real server on this machine that answers every request with 204."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_declared_request(http: OutboundHttp) -> None:
    """The client gets the response as from a server; the request is kept, and can be asked for."""
    http.respond("POST", CHARGES, status=201, json={"id": "ch_1"}, headers={"X-Cost": "1"})
    async with httpx2.AsyncClient() as client:
        response = await client.post(f"{CHARGES}?dry=1", json={"cents": 700}, headers={"Idempotency-Key": "k"})
    assert (response.status_code, response.json(), response.headers["x-cost"]) == (201, {"id": "ch_1"}, "1")
    [sent] = http.requests
    assert (sent.method, sent.url, sent.json()) == ("POST", f"{CHARGES}?dry=1", {"cents": 700})
    assert sent.headers["idempotency-key"] == "k"
    http.assert_sent("POST", CHARGES, times=1, where=lambda request: request.json()["cents"] == 700)
    http.assert_sent(url="https://pay.example.com/*")


async def test_a_stray_request(http: OutboundHttp) -> None:
    """The error names the request and both ways out; no except clause for errors of the network catches it."""
    async with httpx2.AsyncClient() as client:
        with pytest.raises(StrayRequestError) as caught:
            await client.post(f"{CHARGES}?page=2", content=b"{}")
    assert str(caught.value) == (
        f"POST {CHARGES}?page=2 was not declared, so it does not leave the test"
        f'\n  to answer it: rustforge_http.respond("POST", "{CHARGES}", json=...)'
        '\n  to let it go out: rustforge_http.allow("pay.example.com")'
    )
    assert isinstance(caught.value, AssertionError)
    assert not isinstance(caught.value, (httpx2.HTTPError, OSError))
    assert http.strays == [f"POST {CHARGES}?page=2"]


def test_a_client_without_asyncio(http: OutboundHttp) -> None:
    """It is the same in a thread or a script."""
    http.respond("GET", CHARGES, body="hello")
    with httpx2.Client() as client:
        assert client.get(CHARGES).text == "hello"
        with pytest.raises(StrayRequestError):
            client.get("https://other.example.com/")


@pytest.mark.parametrize("core", [httpcore2, httpcore], ids=["httpx2", "httpx"])
async def test_the_core_itself(http: OutboundHttp, core: Any) -> None:
    """The pools that stand under httpx2 and httpx, and under others, with asyncio and without."""
    http.respond("*", "http://a.example.com:8080/*", status=418)
    async with core.AsyncConnectionPool() as pool:
        assert (await pool.request("GET", "http://a.example.com:8080/x")).status == 418
        with pytest.raises(StrayRequestError):
            await pool.request("GET", "http://b.example.com/")
    with core.ConnectionPool() as pool:
        assert pool.request("PUT", "http://a.example.com:8080/x", content=b"x").status == 418
    assert http.requests[-1].body == b"x"


@pytest.mark.parametrize(
    ("declared", "fits", "other"),
    [
        ("https://a.example.com/x", "https://a.example.com/x?y=1", "https://a.example.com/xy"),
        ("https://a.example.com/x?y=1", "https://a.example.com/x?y=1", "https://a.example.com/x?y=2"),
        ("https://a.example.com/*/x", "https://a.example.com/1/x", "https://a.example.com/x"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x", "https://[2001:db8::1]/x"),
        (re.compile(r"https://\w+\.example\.com/\d+"), "https://b.example.com/12", "https://b.example.com/12/3"),
    ],
)
async def test_which_requests_fit(http: OutboundHttp, declared: str | re.Pattern[str], fits: str, other: str) -> None:
    """A URL fits as it stands, with any query unless it has one, a star is anything, and an expression is one."""
    http.respond("GET", declared)
    async with httpx2.AsyncClient() as client:
        assert (await client.get(fits)).status_code == 200
        with pytest.raises(StrayRequestError):
            await client.get(other)
        with pytest.raises(StrayRequestError):
            await client.put(fits)


async def test_one_response_after_the_other(http: OutboundHttp) -> None:
    """Responses that are given a number of times are used up in their order; a function sees the request."""

    def echo(request: SentRequest) -> HttpResponse:
        return HttpResponse(200, body=request.body)

    http.respond("POST", CHARGES, status=503, times=2)
    http.respond("POST", CHARGES, error=httpx2.ConnectError("no route"), times=1)
    http.respond("POST", CHARGES, using=echo)
    async with httpx2.AsyncClient() as client:
        assert [(await client.post(CHARGES)).status_code for _ in range(2)] == [503, 503]
        with pytest.raises(httpx2.ConnectError, match="no route"):
            await client.post(CHARGES)
        assert (await client.post(CHARGES, content=b"x")).content == b"x"


async def test_assertions_say_what_was_sent(http: OutboundHttp) -> None:
    """A failed assertion lists the requests."""
    http.assert_nothing_sent()
    with pytest.raises(AssertionError, match="expected at least one GET x, found none; nothing was sent"):
        http.assert_sent("GET", "x")
    http.respond("GET", "*")
    async with httpx2.AsyncClient() as client:
        await client.get("https://a.example.com/1")
    with pytest.raises(AssertionError, match=r"expected no \* \*, found 1; sent were\n  GET https://a\.example\.com/1"):
        http.assert_nothing_sent()
    with pytest.raises(AssertionError, match="expected 2 GET"):
        http.assert_sent("GET", times=2, where=lambda request: True)


async def test_servers_of_the_test(http: OutboundHttp, server: str) -> None:
    """A server on this machine is refused, too, until the test lets requests go there."""
    async with httpx2.AsyncClient() as client:
        with pytest.raises(StrayRequestError):
            await client.get(server)
        http.allow(server.removeprefix("http://"))
        assert (await client.get(server)).status_code == 204
        with pytest.raises(StrayRequestError):
            await client.get("http://127.0.0.1:1/")
    http.allow("localhost")
    assert http.sent("GET", server) == [http.requests[0]]


async def test_webhooks(http: OutboundHttp) -> None:
    """Webhooks are answered and kept without a look-up of their host, and refused where they are not declared."""
    url, secret = "https://hooks.example.com/orders?key=1", new_secret()
    http.respond("POST", "https://hooks.example.com/orders", status=204, times=1)
    http.respond("POST", "https://hooks.example.com/orders", status=503, headers={"Retry-After": "7"}, times=1)
    async with WebhookChannel() as channel:
        assert await channel.send(url, {"id": 1}, secrets=secret, event_id="evt1") == 204
        with pytest.raises(WebhookError) as caught:
            await channel.send(url, {"id": 1}, secrets=secret, event_id="evt1")
        assert (caught.value.status, caught.value.retry_after) == (503, 7)
        with pytest.raises(StrayRequestError, match=r"POST https://hooks\.example\.com/orders"):
            await channel.send(url, {"id": 1}, secrets=secret, event_id="evt1")
    http.assert_sent("POST", "https://hooks.example.com/orders", where=lambda one: one.headers["webhook-id"] == "evt1")


async def test_mail_servers(http: OutboundHttp) -> None:
    """A mail server beyond this machine is not reached, nor looked up."""
    mail = Mail(to="ann@example.com", subject="Hello", text="Hello")
    async with MailChannel("smtp://mail.example.com:587", sender="shop@example.com") as channel:
        with pytest.raises((StrayRequestError, MailError), match=r"a look-up of mail\.example\.com was not declared"):
            await channel.send(mail)
    async with MailChannel("smtp://192.0.2.1:25", sender="shop@example.com") as channel:
        with pytest.raises((StrayRequestError, MailError), match=r"a connection to 192\.0\.2\.1 port 25 was not"):
            await channel.send(mail)
    assert len(http.strays) == 2


def test_whatever_else_connects(http: OutboundHttp) -> None:
    """Libraries that know nothing of this are stopped at the socket, and sockets on this machine work."""
    with pytest.raises(StrayRequestError, match=r"a look-up of example\.com"):
        urllib.request.urlopen("https://example.com/")
    with socket.socket() as one, pytest.raises(StrayRequestError):
        one.connect(("192.0.2.1", 80))
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()):
        pass
    assert http.strays == ["a look-up of example.com", "a connection to 192.0.2.1 port 80"]


def test_nothing_stays_in_place(http: OutboundHttp) -> None:
    """After the block everything is as it was, and a block within another one gives the outer one back."""
    connect, pool = socket.socket.connect, httpcore2.AsyncConnectionPool.handle_async_request
    inner = OutboundHttp()
    with inner.block():
        assert socket.socket.connect is not connect
    assert socket.socket.connect is connect
    assert httpcore2.AsyncConnectionPool.handle_async_request is pool
