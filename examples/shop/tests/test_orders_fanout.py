"""Orders, and who is told of them: chapter 12 of the cookbook."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import func, select

from rustforge.jobs import FailedJobs
from rustforge.notify import (
    Deliveries,
    Delivery,
    MailChannel,
    WebhookChannel,
    WebhookEndpoints,
    verify_webhook,
)
from rustforge.testing import TimeTraveler, time_travel
from shop.jobs.orders import CallOrderWebhook, OrderPlacedFanout, SendOrderMail
from shop.main import create_app
from shop.models import Base, Order
from shop.settings import ShopSettings
from shop.state import AppState
from shop.tests.world import Mailbox, Receiver, serve_mail, serve_receiver
from shop.worker import registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rustforge.boot import BootContext

ORDER = {
    "customer_email": "ada@example.com",
    "items": [{"sku": "mug", "quantity": 2}],
}
DAYS = 24 * 3600
TOKEN = "a token of the tests"


@dataclass
class Shop:
    """The shop, whose time stands still, with real servers around it."""

    settings: ShopSettings
    client: AsyncClient
    time: TimeTraveler
    mailbox: Mailbox
    secrets: dict[str, str] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def ctx(self) -> BootContext:
        """The services."""
        return self.time.ctx

    async def order(self, **headers: str) -> dict[str, Any]:
        """Place an order."""
        response = await self.client.post("/orders", json=ORDER, headers=headers)
        assert response.is_success, response.text
        made: dict[str, Any] = response.json()["data"]
        return made

    async def receiver(self, *answers: int) -> Receiver:
        """Start somebody who gets webhooks, and register them."""
        receiver = await self.stack.enter_async_context(
            serve_receiver(Receiver(list(answers)))
        )
        async with self.ctx.db.transaction() as session:
            added = await WebhookEndpoints(session, allow_private=True).add(
                receiver.url, ["order.*"]
            )
        self.secrets[receiver.url] = added.secret or ""
        return receiver

    def verified(self, receiver: Receiver) -> list[str]:
        """Verify what a receiver got; return the ids."""
        secret = self.secrets[receiver.url]
        clock = self.time.clock
        return [
            verify_webhook(headers, body, secret, clock=clock)
            for headers, body in receiver.received
        ]

    async def deliveries(self, channel: str) -> list[Delivery]:
        """Read what became of the deliveries of a channel."""
        return (await Deliveries(self.ctx.db).list(channel=channel)).items

    async def count_sent(self, channel: str) -> int:
        """Count the deliveries of a channel that were sent."""
        counts = await Deliveries(self.ctx.db).count(channel=channel)
        return counts.get("sent", 0)


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Open the shop."""
    settings = ShopSettings(
        _env_file=None,
        redis_prefix="shop",
        database_url="not opened",
        webhook_allow_private=True,
        admin_token=TOKEN,
    )
    mailbox, alerts = Mailbox(), list[str]()
    async with AsyncExitStack() as stack:
        time = await stack.enter_async_context(
            time_travel(settings=settings, registry=registry)
        )
        async with time.ctx.db.transaction() as session:
            await session.run_sync(
                lambda sync: Base.metadata.create_all(sync.connection())
            )
        # A real mail server in place of the list that tests have
        url = await stack.enter_async_context(serve_mail(mailbox))
        mailer = MailChannel(url, sender="shop@example.com", clock=time.clock)
        await stack.enter_async_context(mailer)
        monkeypatch.setattr(type(time.ctx), "mailer", mailer)

        async def alert(title: str, body: str = "") -> None:
            alerts.append(f"{title}: {body}")

        monkeypatch.setattr(time.ctx.alerts, "send", alert)
        client = await stack.enter_async_context(make_client(settings, time.ctx))
        yield Shop(settings, client, time, mailbox, alerts=alerts, stack=stack)


def make_client(settings: ShopSettings, ctx: BootContext) -> AsyncClient:
    """Make a client of the application, as staff."""
    app = create_app(settings, ctx=ctx)
    app.state.shop = AppState.of(settings, ctx)
    client = AsyncClient(transport=ASGITransport(app=app), base_url="http://shop")
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    return client


# --8<-- [start:placed]
async def test_an_order_reaches_every_channel(shop: Shop) -> None:
    """One order is a mail, an event in each of two rooms, and a signed webhook."""
    receiver = await shop.receiver()
    order = await shop.order()
    await shop.time.work()

    (mail,) = shop.mailbox.mails
    assert mail["To"] == "ada@example.com"
    text = mail.get_body(("plain",))
    assert text is not None
    assert "2 x mug: 24.00 EUR" in text.get_content()
    assert shop.verified(receiver) == [f"order-placed:{order['public_id']}"]
    assert {one.status for one in (await Deliveries(shop.ctx.db).list()).items} == {
        "sent"
    }
    assert len(await shop.deliveries("realtime")) == 2
    assert await FailedJobs(shop.ctx.db).count() == 0


# --8<-- [end:placed]


# --8<-- [start:smtp]
async def test_a_mail_server_that_is_down_repeats_nothing_else(shop: Shop) -> None:
    """The first attempt fails: the mail comes once, later, and the webhook once."""
    receiver = await shop.receiver()
    shop.mailbox.refuse = 1
    await shop.order()

    await shop.time.work()
    assert (len(shop.mailbox.mails), len(receiver.received)) == (0, 1)

    await shop.time.travel(60)
    assert (len(shop.mailbox.mails), len(receiver.received)) == (1, 1)
    (mail,) = await shop.deliveries("mail")
    assert (mail.status, mail.attempts) == ("sent", 2)


# --8<-- [end:smtp]


# --8<-- [start:crash]
async def test_a_crash_between_sending_and_its_record_repeats_the_same_ids(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent and not noted comes twice, with the same id."""
    receiver = await shop.receiver()
    await shop.order()
    for job in (SendOrderMail, CallOrderWebhook):
        send = job.send

        async def send_and_die(
            self: Any, delivery: Delivery, ctx: Any, send: Any = send
        ) -> None:
            await send(self, delivery, ctx)
            monkeypatch.setattr(type(self), "send", send)
            msg = "the process died"
            raise ConnectionError(msg)

        monkeypatch.setattr(job, "send", send_and_die)

    await shop.time.travel(60)

    assert len(shop.mailbox.attempts) == len(receiver.received) == 2
    assert len(set(shop.mailbox.attempts)) == 1
    assert len(set(shop.verified(receiver))) == 1
    assert (
        receiver.received[0][0]["x-idempotency-key"]
        == receiver.received[0][0]["webhook-id"]
    )


# --8<-- [end:crash]


# --8<-- [start:rollback]
async def test_an_order_that_is_rolled_back_is_told_to_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is a row of the order's own transaction: no order, no news of it."""
    receiver = await shop.receiver()

    def decline(_: Order) -> None:
        raise RuntimeError("the card was declined")

    with monkeypatch.context() as patch:
        # The last step before the commit, when all has been written
        patch.setattr("shop.orders.service.OrderView.model_validate", decline)
        response = await shop.client.post("/orders", json=ORDER)
    assert response.status_code == 500
    assert await shop.ctx.queue.size("default") == 0

    await shop.time.travel(60)
    assert (shop.mailbox.attempts, receiver.received) == ([], [])
    assert (await Deliveries(shop.ctx.db).list()).items == []


# --8<-- [end:rollback]


async def test_fanning_out_twice_adds_nothing(shop: Shop) -> None:
    """The fan-out may run twice, as any job may: each target hears of it once."""
    receiver = await shop.receiver()
    order = await shop.order()
    await shop.time.work()
    async with shop.ctx.db.reading() as session:
        order_id = (await session.scalars(select(Order.id))).one()

    again = OrderPlacedFanout(
        order_id=order_id, event_id=f"order-placed:{order['public_id']}"
    )
    await again.dispatch(shop.ctx.queue)
    await shop.time.travel(60)

    assert (len(shop.mailbox.mails), len(receiver.received)) == (1, 1)


async def test_a_repeated_request_is_one_order(shop: Shop) -> None:
    """The same key is the same order, also at the same moment; or it is refused."""
    headers = {"Idempotency-Key": "checkout-7"}
    first, second = await asyncio.gather(
        shop.order(**headers), shop.order(**headers)
    )
    assert first == second
    other = await shop.client.post(
        "/orders",
        json={**ORDER, "customer_email": "bob@example.com"},
        headers=headers,
    )
    assert other.status_code == 422

    await shop.time.work()
    async with shop.ctx.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Order)) == 1
    assert len(shop.mailbox.mails) == 1


async def test_what_is_not_for_sale_is_refused_by_its_place(shop: Shop) -> None:
    """The answer names the line; and the price is the shop's, whatever is sent."""
    items = [
        {"sku": "mug", "quantity": 1, "price_cents": 1},
        {"sku": "moon", "quantity": 1},
    ]
    refused = await shop.client.post("/orders", json={**ORDER, "items": items})
    assert refused.status_code == 422
    assert list(refused.json()["errors"]) == ["items.1.sku"]

    cheap = await shop.client.post("/orders", json={**ORDER, "items": items[:1]})
    assert cheap.json()["data"]["total_cents"] == 1200
    found = await shop.client.get(f"/orders/{cheap.json()['data']['public_id']}")
    assert found.json()["data"] == cheap.json()["data"]


# --8<-- [start:gone]
async def test_an_endpoint_that_is_gone_is_disabled(shop: Shop) -> None:
    """Who answers 410 wants no more, and the next order does not call it."""
    receiver = await shop.receiver(410)
    await shop.order()
    await shop.time.travel(4 * DAYS)
    await shop.order()
    await shop.time.travel(4 * DAYS)

    assert len(receiver.received) == 1
    (endpoint,) = (await shop.client.get("/webhooks")).json()["data"]
    assert not endpoint["enabled"]
    assert "410" in endpoint["disabled_reason"]


# --8<-- [end:gone]


# --8<-- [start:dead]
async def test_a_dead_endpoint_holds_up_nobody(shop: Shop) -> None:
    """One of ten does not answer: the others have theirs while it is waited for."""
    receivers = [await shop.receiver() for _ in range(10)]
    dead, alive = receivers[0], receivers[1:]
    dead.hold = asyncio.Event()
    await shop.order()

    working = asyncio.create_task(shop.time.work())
    async with asyncio.timeout(10):
        for receiver in receivers:
            await receiver.called.wait()
        while await shop.count_sent("webhook") < len(alive):  # noqa: ASYNC110 - rows
            await asyncio.sleep(0.005)
    assert not working.done()

    dead.hold.set()
    await working
    assert {one.status for one in await shop.deliveries("webhook")} == {"sent"}


# --8<-- [end:dead]


# --8<-- [start:failed]
async def test_who_has_failed_for_good_alerts_once_and_can_be_retried(
    shop: Shop,
) -> None:
    """failed() is called once, after the last attempt, and a retry sends it."""
    receiver = await shop.receiver(*[503] * 10)
    await shop.order()
    await shop.time.travel(5 * DAYS)

    (delivery,) = await shop.deliveries("webhook")
    assert (delivery.status, delivery.attempts, delivery.response_status) == (
        "failed",
        10,
        503,
    )
    (alert,) = shop.alerts
    assert delivery.id in alert
    (failed,) = (await shop.client.get("/jobs/failed")).json()["data"]["items"]
    assert failed["id"] == delivery.id

    retried = await shop.client.post(f"/jobs/failed/{delivery.id}/retry")
    assert retried.is_success
    await shop.time.work()

    (delivery,) = await shop.deliveries("webhook")
    assert (delivery.status, len(receiver.received), len(shop.alerts)) == (
        "sent",
        11,
        1,
    )


# --8<-- [end:failed]


async def test_this_machine_is_no_place_for_webhooks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127.0.0.1 is refused when it is registered, and again when it is sent to."""
    receiver = await shop.receiver()
    strict = shop.settings.model_copy(update={"webhook_allow_private": False})
    async with make_client(strict, shop.ctx) as client:
        for url in (
            "http://127.0.0.1:9/hook",
            "https://127.0.0.1/hook",
            "https://[::ffff:127.0.0.1]/hook",
        ):
            refused = await client.post("/webhooks", json={"url": url})
            assert refused.status_code == 422, url
            assert list(refused.json()["errors"]) == ["url"]

    channel = WebhookChannel()
    monkeypatch.setattr(type(shop.ctx), "webhooks", channel)
    await shop.order()
    await shop.time.travel(60)

    assert receiver.received == []
    (delivery,) = await shop.deliveries("webhook")
    assert delivery.status == "failed"
    await channel.aclose()
