"""The channel of webhooks: what is on the wire, where it goes and where never, and receivers that mean no good."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.clock import ManualClock
from rustforge.errors import ConfigurationError, InvalidArgumentError, WebhookAddressError, WebhookError
from rustforge.notify.webhook import WebhookChannel, new_secret, verify_webhook
from rustforge.notify.webhook import addresses as addresses_module
from tests.support.receiving import OK, Receiver, hang, make_certificate, says
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = new_secret()
BODY = {"type": "order.placed", "timestamp": "2026-11-01T12:00:00.000Z", "data": {"id": 7}}
NAME = "hooks.example.com"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give a receiver that says 200."""
    async with Receiver.open() as receiver:
        yield receiver


@pytest.fixture
async def channel() -> AsyncIterator[WebhookChannel]:
    """Give a channel that may send to this machine, and is not patient."""
    async with WebhookChannel(allow_private=True, timeout=5) as channel:
        yield channel


class Names:
    """A DNS of the test's own.

    Attributes:
        answers: What it answers, one after the other; the last one stays.
        asked: What was asked.
    """

    def __init__(self, *answers: list[str] | Exception) -> None:
        """Take the answers."""
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        """Answer."""
        await asyncio.sleep(0)
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


# -- what is on the wire ---------------------------------------------------------------------------------------------


async def test_a_webhook_is_signed_and_says_what_it_is(receiver: Receiver, channel: WebhookChannel) -> None:
    """The request has the headers of Standard Webhooks, the alias of the id, and the body that was signed."""
    status = await channel.send(receiver.url + "?a=b", BODY, secrets=SECRET, event_id="order-placed:7")
    [request] = receiver.requests
    assert status == 200
    assert request.line == "POST /hook?a=b HTTP/1.1"
    assert request.body == b'{"type":"order.placed","timestamp":"2026-11-01T12:00:00.000Z","data":{"id":7}}'
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "Rustforge-Webhooks/1"
    assert request.headers["webhook-id"] == request.headers["x-idempotency-key"] == "order-placed:7"
    assert verify_webhook(request.headers, request.body, SECRET) == "order-placed:7"


async def test_each_attempt_is_signed_anew(receiver: Receiver) -> None:
    """The id stays, while the time, and with it the signature, is that of the attempt; bytes go as they are."""
    clock = ManualClock()
    async with WebhookChannel(allow_private=True, clock=clock, user_agent="Shop/1") as channel:
        for _ in range(2):
            await channel.send(receiver.url, b"raw", secrets=SECRET, event_id="evt_1")
            clock.advance(3600)
    first, second = receiver.requests
    assert first.body == second.body == b"raw"
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.headers["user-agent"] == "Shop/1"


async def test_several_secrets_sign(receiver: Receiver, channel: WebhookChannel) -> None:
    """While a secret takes the place of another, whoever has either verifies."""
    old, new = new_secret(), new_secret()
    await channel.send(receiver.url, BODY, secrets=[new, old])
    [request] = receiver.requests
    assert request.headers["webhook-signature"].count("v1,") == 2
    for one in (old, new):
        assert verify_webhook(request.headers, request.body, one).startswith("evt_")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"body": float("nan"), "secrets": SECRET}, InvalidArgumentError),
        ({"body": {"file": object()}, "secrets": SECRET}, InvalidArgumentError),
        ({"body": BODY, "secrets": SECRET, "event_id": "a.b"}, InvalidArgumentError),
        ({"body": BODY, "secrets": SECRET, "event_id": "a\r\nx: y"}, InvalidArgumentError),
        ({"body": BODY, "secrets": "whsec_?"}, ConfigurationError),
        ({"body": BODY, "secrets": []}, ConfigurationError),
    ],
)
async def test_what_cannot_be_sent_is_an_error_of_the_caller(
    receiver: Receiver, channel: WebhookChannel, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """It is told apart from a receiver's failure, and nothing leaves."""
    with pytest.raises(error):
        await channel.send(receiver.url, **arguments)
    assert receiver.connections == 0


# -- connections -----------------------------------------------------------------------------------------------------


async def test_connections_are_used_again(receiver: Receiver, channel: WebhookChannel) -> None:
    """Webhooks in a row take one connection, and those at the same time as many as there are."""
    for _ in range(5):
        await channel.send(receiver.url, BODY, secrets=SECRET)
    assert receiver.connections == 1
    await asyncio.gather(*[channel.send(receiver.url, BODY, secrets=SECRET) for _ in range(10)])
    assert receiver.connections <= 10
    assert len(receiver.requests) == 15


async def test_a_connection_that_the_receiver_closed_is_replaced(channel: WebhookChannel) -> None:
    """A receiver may close an idle connection just when a webhook comes: that is no failure of the webhook."""

    async def cut(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0)
        writer.transport.abort()

    async with Receiver.open(OK, cut, OK) as receiver:
        assert await channel.send(receiver.url, BODY, secrets=SECRET) == 200
        assert await channel.send(receiver.url, BODY, secrets=SECRET, event_id="evt_1") == 200
        assert [request.connection for request in receiver.requests] == [1, 1, 2]
        assert [request.headers["webhook-id"] for request in receiver.requests[1:]] == ["evt_1"] * 2


async def test_a_response_that_nobody_asked_for_is_not_taken_for_an_answer(channel: WebhookChannel) -> None:
    """A receiver that says more than it was asked for does not answer the webhook that comes next."""
    async with Receiver.open(says("200 OK") + says("500 No"), says("201 Created")) as receiver:
        assert await channel.send(receiver.url, BODY, secrets=SECRET) == 200
        assert await channel.send(receiver.url, BODY, secrets=SECRET) == 201
        assert receiver.connections == 2


async def test_few_connections_stay_open() -> None:
    """However many receivers there are, no more than a hundred connections wait for another webhook."""
    async with Receiver.open() as receiver:
        port = receiver.port
        names = [f"http://n{number}.localhost:{port}/" for number in range(130)]
        async with WebhookChannel(allow_private=True, resolve=Names(["127.0.0.1"])) as channel:
            for name in names:
                await channel.send(name, BODY, secrets=SECRET)
            await wait_until(lambda: len(channel._connections._open) == 100)
            assert len(channel._connections._order) == len(channel._connections._idle) == 100
        await wait_until(lambda: not channel._connections._open)
        assert channel._connections._order == {}


async def test_the_environment_has_no_say(
    receiver: Receiver, channel: WebhookChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies of the environment are not used: they would connect to what was not checked."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await channel.send(receiver.url, BODY, secrets=SECRET) == 200


# -- where webhooks go -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{}/", "https://127.0.0.1:{}/", "https://[::1]:{}/", "https://localhost:{}/"]
)
async def test_this_machine_is_refused_unless_it_is_allowed(receiver: Receiver, url: str) -> None:
    """Nobody connects to what a URL of this machine says."""
    async with WebhookChannel() as channel:
        with pytest.raises(WebhookAddressError):
            await channel.send(url.format(receiver.port), BODY, secrets=SECRET)
        with pytest.raises(WebhookAddressError):
            await channel.check(url.format(receiver.port))
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["fe80::1%lo"],
        ["0.0.0.0"],
    ],
)
async def test_every_address_of_a_name_must_be_public(receiver: Receiver, found: list[str]) -> None:
    """One private address among many is enough, as it would be up to the network which one is used."""
    async with WebhookChannel(resolve=Names(found)) as channel:
        with pytest.raises(WebhookAddressError, match=f"{NAME}: it has "):
            await channel.send(f"https://{NAME}:{receiver.port}/", BODY, secrets=SECRET)
        with pytest.raises(WebhookAddressError, match=f"{NAME}: it has "):
            await channel.check(f"https://{NAME}:{receiver.port}/")
    assert receiver.connections == 0


async def test_the_name_of_this_machine_is_found_out_by_the_system(receiver: Receiver) -> None:
    """The system's own look-up is used, and what it says is checked."""
    host = socket.gethostname()
    async with WebhookChannel() as channel:
        with pytest.raises((WebhookAddressError, WebhookError)):
            await channel.send(f"https://{host}.localdomain.test/", BODY, secrets=SECRET)
    async with WebhookChannel(allow_private=True) as channel:
        assert await channel.send(f"http://localhost:{receiver.port}/", BODY, secrets=SECRET) == 200


@pytest.mark.parametrize(
    "failure", [socket.gaierror(-3, "temporary failure"), OSError("no network"), UnicodeError("x")]
)
async def test_a_name_that_cannot_be_looked_up_may_be_tried_again(failure: Exception) -> None:
    """The DNS may be down: that is no verdict on the address, and nobody connects meanwhile."""
    async with WebhookChannel(resolve=Names(failure)) as channel:
        with pytest.raises(WebhookError, match="cannot be looked up"):
            await channel.send(f"https://{NAME}/", BODY, secrets=SECRET)
    async with WebhookChannel(resolve=Names([])) as channel:
        with pytest.raises(WebhookError, match="no address"):
            await channel.send(f"https://{NAME}/", BODY, secrets=SECRET)


async def test_a_name_that_changes_its_mind_is_asked_once(receiver: Receiver) -> None:
    """DNS rebinding: the address that was checked is the one that is connected to, as nobody asks again."""
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    async with WebhookChannel(allow_private=True, resolve=names) as channel:
        for _ in range(3):
            assert await channel.send(f"http://{NAME}:{receiver.port}/", BODY, secrets=SECRET) == 200
    assert names.asked == [(NAME, receiver.port)]
    assert {request.headers["host"] for request in receiver.requests} == {f"{NAME}:{receiver.port}"}


async def test_the_next_address_is_tried(receiver: Receiver) -> None:
    """Where one address of a name does not answer, another may."""
    async with WebhookChannel(allow_private=True, resolve=Names(["127.0.0.2", "127.0.0.1"])) as channel:
        assert await channel.send(f"http://{NAME}:{receiver.port}/", BODY, secrets=SECRET) == 200


# -- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for the receiver's name, and one for another name."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder, "receiver", f"DNS:{NAME}")
    make_certificate(folder, "other", "DNS:other.example.com")
    return folder


def serving(folder: Path, name: str) -> ssl.SSLContext:
    """Serve with a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return context


@pytest.fixture
def public_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 127.0.0.1, and no other address of this machine, pass for a public one."""
    private = dict(addresses_module._PRIVATE_V4)
    del private[IPv4Network("127.0.0.0/8")]
    private[IPv4Network("127.0.0.2/32")] = "this machine"
    monkeypatch.setattr(addresses_module, "_PRIVATE_V4", private)


@pytest.mark.usefixtures("public_loopback")
async def test_tls_speaks_to_the_name_at_the_address_that_was_checked(certificates: Path) -> None:
    """The whole way as in production: a look-up, its check, the address, the certificate of the name, `Host`."""
    trusted = ssl.create_default_context(cafile=str(certificates / "receiver.crt"))
    async with Receiver.open(tls=serving(certificates, "receiver")) as receiver:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        async with WebhookChannel(tls=trusted, resolve=names) as channel:
            url = f"https://{NAME}:{receiver.port}/hook"
            await asyncio.gather(channel.send(url, BODY, secrets=SECRET))
            assert await channel.send(url, BODY, secrets=SECRET) == 200
            assert names.asked == [(NAME, receiver.port)]
            assert receiver.connections == 1
            receiver.answers = [hang]
            with pytest.raises(
                WebhookAddressError, match=r"it has 127\.0\.0\.2"
            ):  # another connection, another look-up
                await asyncio.gather(*[asyncio.wait_for(channel.send(url, BODY, secrets=SECRET), 5) for _ in range(2)])
        assert receiver.requests[0].headers["host"] == f"{NAME}:{receiver.port}"


@pytest.mark.usefixtures("public_loopback")
@pytest.mark.parametrize(("served", "trusted"), [("other", "other"), ("receiver", "other"), ("receiver", None)])
async def test_a_certificate_must_be_trusted_and_of_the_name(
    certificates: Path, served: str, trusted: str | None
) -> None:
    """A certificate of another name, or of an unknown authority, ends the connection before anything is sent."""
    tls = None if trusted is None else ssl.create_default_context(cafile=str(certificates / f"{trusted}.crt"))
    async with Receiver.open(tls=serving(certificates, served)) as receiver:
        async with WebhookChannel(tls=tls, resolve=Names(["127.0.0.1"])) as channel:
            with pytest.raises(WebhookError, match="certificate verify failed"):
                await channel.send(f"https://{NAME}:{receiver.port}/", BODY, secrets=SECRET)
        assert receiver.requests == []
    gc.collect()  # what was left open would warn


@pytest.mark.usefixtures("public_loopback")
async def test_a_receiver_that_does_not_speak_tls_is_given_up() -> None:
    """A handshake without an end ends with the time-out, and leaves nothing open."""
    async with Receiver.open(hang) as receiver, WebhookChannel(timeout=0.2, resolve=Names(["127.0.0.1"])) as channel:
        with pytest.raises(WebhookError, match=r"no answer within 0\.2 s"):
            await channel.send(f"https://{NAME}:{receiver.port}/", BODY, secrets=SECRET)
    gc.collect()


# -- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Odd"])
async def test_a_status_of_success_is_returned(channel: WebhookChannel, status: str) -> None:
    """Each status from 200 to 299 means that the receiver has it."""
    async with Receiver.open(says(status)) as receiver:
        assert await channel.send(receiver.url, BODY, secrets=SECRET) == int(status[:3])


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("400 Bad Request", "answered 400 Bad Request"),
        ("404 Not Found", "answered 404 Not Found"),
        ("410 Gone", "answered 410 Gone"),
        ("500 Oops", "answered 500 Internal Server Error"),
        ("599 Odd", "answered 599"),
        ("304 Not Modified", "answered 304 Not Modified, and redirects are not followed"),
    ],
)
async def test_any_other_status_is_a_failure(channel: WebhookChannel, status: str, text: str) -> None:
    """The error has the status, and says whose it is without showing the path."""
    async with Receiver.open(says(status)) as receiver:
        with pytest.raises(WebhookError) as caught:
            await channel.send(receiver.url + "?key=secret", BODY, secrets=SECRET)
    assert str(caught.value) == f"http://127.0.0.1:{receiver.port} {text}"
    assert caught.value.status == int(status[:3])
    assert caught.value.retry_after is None


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(receiver: Receiver, channel: WebhookChannel, status: str) -> None:
    """It would lead to an address that nobody registered, with a body that is meant for another."""
    async with Receiver.open(says(status, f"Location: {receiver.url}")) as redirecting:
        with pytest.raises(WebhookError, match="redirects are not followed") as caught:
            await channel.send(redirecting.url, BODY, secrets=SECRET)
    assert caught.value.status == int(status[:3])
    assert receiver.connections == 0


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("999999999", 86400),
        ("9" * 400, 86400),
        ("Tue, 14 Nov 2023 22:15:20 GMT", 120),
        ("Tue, 14 Nov 2023 22:15:20 -0000", 120),
        ("Tue, 14 Nov 2000 22:15:20 GMT", 0),
        ("Tue, 14 Nov 2099 22:15:20 GMT", 86400),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("Tue, 99 Nov 2023 99:99:99 GMT", None),
    ],
)
async def test_retry_after_is_kept(said: str, seconds: float | None) -> None:
    """As seconds and as a date, at most a day; what is neither is as good as not said."""
    async with (
        Receiver.open(says("503 Unavailable", f"Retry-After: {said}")) as receiver,
        WebhookChannel(allow_private=True, clock=ManualClock(1_700_000_000)) as channel,
    ):
        with pytest.raises(WebhookError) as caught:
            await channel.send(receiver.url, BODY, secrets=SECRET)
    assert caught.value.retry_after == seconds


# -- receivers that mean no good -------------------------------------------------------------------------------------


async def test_a_receiver_that_does_not_answer_is_given_up() -> None:
    """The time-out is that of the whole: bytes that drip do not prolong it."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"X-Slow: 1\r\n")
            await asyncio.sleep(0.01)

    for answer in (hang, drip):
        async with Receiver.open(answer) as receiver, WebhookChannel(allow_private=True, timeout=0.2) as channel:
            with pytest.raises(WebhookError, match=r"no answer within 0\.2 s"):
                await channel.send(receiver.url, BODY, secrets=SECRET)
            connections = channel._connections
            await wait_until(lambda: not connections._open)  # noqa: B023 - it is waited for at once


async def test_an_address_that_does_not_answer_is_given_up() -> None:
    """Connecting has a time-out of its own; a receiver that takes no connection is not waited for as long."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        async with WebhookChannel(allow_private=True, connect_timeout=0.1) as channel:
            with pytest.raises(WebhookError, match=r"no connection within 0\.1 s"):
                await channel.send(f"http://127.0.0.1:{port}/", BODY, secrets=SECRET)
        for one in waiting:
            one.close()


async def test_a_large_or_slow_body_is_not_waited_for(channel: WebhookChannel) -> None:
    """The status counts: a body without an end holds up nobody, is not kept, and its connection is closed."""
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")
            await writer.drain()
            sent += 0xFFFF

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with Receiver.open(flood, drip, OK) as receiver:
        assert await channel.send(receiver.url, BODY, secrets=SECRET) == 200
        assert await channel.send(receiver.url, BODY, secrets=SECRET) == 202
        assert await channel.send(receiver.url, BODY, secrets=SECRET) == 200
        assert receiver.connections == 3
        await wait_until(lambda: len(channel._connections._open) == 1)
        assert sent < 20_000_000


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "closed before there was an answer"),
        (b"HTTP/1.1 200", "without sending complete message|closed|incomplete"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "illegal status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", "too long"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "without a pending proposal"),
        (b"\x16\x03\x01\x00\x00", "illegal|closed|answer|status line"),
    ],
)
async def test_what_is_no_answer_is_a_failure(channel: WebhookChannel, answer: bytes, reason: str) -> None:
    """Connections that are cut, headers without an end and other protocols."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with Receiver.open(say) as receiver:
        with pytest.raises(WebhookError, match=reason):
            await channel.send(receiver.url, BODY, secrets=SECRET)
        await wait_until(lambda: not channel._connections._open)


async def test_an_answer_that_ends_with_its_connection_counts(channel: WebhookChannel) -> None:
    """Old servers say neither how long a body is nor that the connection stays; interim answers are no answers."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 OK\r\n\r\nwith")
        await writer.drain()
        writer.write(b" a body")
        writer.close()

    async with Receiver.open(say) as receiver:
        assert await channel.send(receiver.url, BODY, secrets=SECRET) == 200
        await wait_until(lambda: not channel._connections._open)


async def test_nobody_there_is_a_failure(channel: WebhookChannel) -> None:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(WebhookError, match=rf"^http://127\.0\.0\.1:{port}: "):
        await channel.send(f"http://127.0.0.1:{port}/", BODY, secrets=SECRET)


async def test_a_task_that_is_cancelled_leaves_no_connection(channel: WebhookChannel) -> None:
    """A worker that stops in the middle of a delivery closes what it was about."""
    async with Receiver.open(hang) as receiver:
        sending = asyncio.create_task(channel.send(receiver.url, BODY, secrets=SECRET))
        await wait_until(lambda: receiver.requests)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await wait_until(lambda: not channel._connections._open)


async def test_a_name_that_takes_long_is_given_up() -> None:
    """The look-up is a part of the time that an attempt has, and a check has the same."""

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return [host, str(port)]

    async with WebhookChannel(timeout=0.1, resolve=never) as channel:
        with pytest.raises(WebhookError, match=r"no answer within 0\.1 s"):
            await channel.send(f"https://{NAME}/", BODY, secrets=SECRET)
        with pytest.raises(WebhookError, match=r"no answer within 0\.1 s"):
            await channel.check(f"https://{NAME}/")


async def test_a_closed_channel_connects_to_nobody(receiver: Receiver) -> None:
    """Neither what comes after the end nor what was about to connect before it leaves a connection."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slowly(host: str, port: int) -> list[str]:
        asked.set()
        await answer.wait()
        return ["127.0.0.1"]

    channel = WebhookChannel(allow_private=True, resolve=slowly)
    sending = asyncio.create_task(channel.send(f"http://{NAME}:{receiver.port}/", BODY, secrets=SECRET))
    await asked.wait()
    await channel.aclose()
    answer.set()
    for one in (sending, channel.send(receiver.url, BODY, secrets=SECRET), channel.check(receiver.url)):
        with pytest.raises(WebhookError, match="the channel was closed"):
            await one
    assert receiver.requests == []
    assert channel._connections._open == set()


async def test_closing_ends_what_is_under_way() -> None:
    """After `aclose` no connection is open, and who waits is told."""
    channel = WebhookChannel(allow_private=True)
    async with Receiver.open(hang) as receiver:
        sending = asyncio.create_task(channel.send(receiver.url, BODY, secrets=SECRET))
        await wait_until(lambda: receiver.requests)
        await channel.aclose()
        with pytest.raises(WebhookError):
            await sending
