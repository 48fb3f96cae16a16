"""Webhooks that an application receives: verified before they are read, bounded, and typed."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from httpx2 import Response
from pydantic import BaseModel

from rustforge.clock import ManualClock
from rustforge.http import IncomingWebhook, install, verified_webhook
from rustforge.notify.webhook import WebhookChannel, new_secret, sign, verify_webhook
from tests.support.http import ask, body_of
from tests.support.serving import Raw, serve

SECRET = new_secret()


class Payment(BaseModel):
    """What a bank says."""

    type: str
    amount: int


received: list[IncomingWebhook[Any]] = []


def make_app(secrets: Any = SECRET, **options: Any) -> FastAPI:
    """Make an application that notes what it receives."""
    app = FastAPI()
    install(app)
    received.clear()

    @app.post("/hook")
    async def receive(
        webhook: Annotated[IncomingWebhook[Payment], Depends(verified_webhook(secrets, Payment, **options))],
    ) -> str:
        received.append(webhook)
        return webhook.id

    @app.post("/plain")
    async def receive_any(
        webhook: Annotated[IncomingWebhook[Any], Depends(verified_webhook(secrets, **options))],
    ) -> str:
        received.append(webhook)
        return webhook.id

    @app.post("/by-hand")
    async def by_hand(request: Request) -> str:
        return verify_webhook(request.headers, await request.body(), SECRET)

    return app


async def post(app: FastAPI, body: bytes, path: str = "/hook", **headers: str) -> Response:
    """Send a webhook, signed unless its headers are given."""
    return await ask(app, "POST", path, content=body, headers=headers or sign(body, SECRET, webhook_id="evt_1"))


async def test_a_signed_webhook_is_typed() -> None:
    """The handler gets the id and the payload, as the type says or as plain JSON."""
    response = await post(make_app(), b'{"type": "paid", "amount": 5}')
    assert (response.status_code, response.json()) == (200, "evt_1")
    assert received == [IncomingWebhook("evt_1", Payment(type="paid", amount=5))]
    response = await post(make_app(), b"[1]", "/plain")
    assert received == [IncomingWebhook("evt_1", [1])]


async def test_what_is_sent_here_is_received_here() -> None:
    """The channel's webhooks are verified by the dependency, over a real connection."""
    async with serve(make_app()) as port, WebhookChannel(allow_private=True) as channel:
        body = {"type": "paid", "amount": 5}
        url = f"http://127.0.0.1:{port}/hook"
        assert await channel.send(url, body, secrets=[new_secret(), SECRET], event_id="evt_7") == 200
        assert received == [IncomingWebhook("evt_7", Payment(type="paid", amount=5))]


@pytest.mark.parametrize("path", ["/hook", "/plain", "/by-hand"])
@pytest.mark.parametrize(
    "headers",
    [
        {"x": "y"},
        {"webhook-id": "evt_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"},
        {"webhook-id": "evt_1", "webhook-timestamp": "9" * 5000, "webhook-signature": "v1,x"},
        {"webhook-id": "evt_1", "webhook-timestamp": "x", "webhook-signature": "v1,\xff\xfe"},
        sign(b"{}", new_secret(), webhook_id="evt_1"),
        sign(b"{} ", SECRET, webhook_id="evt_1"),
        sign(b"{}", SECRET, webhook_id="evt_1", timestamp=1_700_000_000),
    ],
)
async def test_a_webhook_without_a_good_signature_is_answered_with_401(headers: dict[str, str], path: str) -> None:
    """Whatever is wrong with it, nothing of the body is looked at, and the answer says no more than that."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    response = await ask(make_app(), "POST", path, content=b"{}", headers=raw)
    body_of(response, 401, "UNAUTHORIZED")
    assert received == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"not json", 400, "BAD_REQUEST"),
        (b"", 400, "BAD_REQUEST"),
        (b"\xff\xfe", 400, "BAD_REQUEST"),
        (b'{"type": "paid", "amount": "much 4111-1111"}', 422, "VALIDATION_ERROR"),
        (b"[]", 422, "VALIDATION_ERROR"),
    ],
)
async def test_a_signed_body_that_does_not_fit_is_the_senders_fault(body: bytes, status: int, code: str) -> None:
    """What is no JSON, or not of the type, is told to the sender without its values."""
    body_of(await post(make_app(), body), status, code)
    assert received == []


async def test_the_body_is_bounded() -> None:
    """A body that is too large is not kept until its end, whatever it says of its length; a slow one is given up."""
    app = make_app(max_size=100, timeout=0.2)
    body_of(await post(app, b"x" * 101), 413, "CONTENT_TOO_LARGE")

    async def endless() -> Any:
        while True:
            yield b"x" * 60

    body_of(await ask(app, "POST", "/hook", content=endless()), 413, "CONTENT_TOO_LARGE")
    async with serve(app) as port, Raw.connect(port) as client:
        await client.head("/hook", content_length="50")
        await client.send(b"slow")
        assert (await client.answer())[0] == 408


async def test_secrets_may_come_from_the_request() -> None:
    """A function, also an async one, finds the secrets of whom the request is for; a rotation has two."""

    def by_header(request: Request) -> list[str]:
        return [new_secret(), SECRET] if request.url.path == "/hook" else [new_secret()]

    async def later(request: Request) -> list[str]:
        await asyncio.sleep(0)
        return by_header(request)

    for secrets in (by_header, later, (new_secret(), SECRET)):
        app = make_app(secrets)
        assert (await post(app, b'{"type": "paid", "amount": 5}')).status_code == 200
        if callable(secrets):
            body_of(await post(app, b"{}", "/plain"), 401, "UNAUTHORIZED")


async def test_the_tolerance_can_be_set() -> None:
    """By the clock that is given."""
    body = b"{}"
    headers = sign(body, SECRET, webhook_id="evt_1", timestamp=1_700_000_000)
    clock = ManualClock(1_700_000_900)
    body_of(await post(make_app(clock=clock), body, "/plain", **headers), 401, "UNAUTHORIZED")
    assert (await post(make_app(clock=clock, tolerance=1000), body, "/plain", **headers)).status_code == 200
