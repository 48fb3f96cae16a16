"""Endpoints of webhooks, and deliveries to them: retries, what ends them, and what one endpoint costs the others."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event as events
from sqlalchemy import select, update

from rustforge.clock import ManualClock
from rustforge.db.tables import webhook_endpoints as table
from rustforge.errors import (
    ConfigurationError,
    InvalidArgumentError,
    WebhookAddressError,
    WebhookError,
    WebhookSignatureError,
)
from rustforge.jobs import FailedJobs, OutboxFlusher, Retry, Worker
from rustforge.notify import Deliveries, DeliverWebhook, Delivery, WebhookChannel, WebhookEndpoints, fan_out
from rustforge.notify.webhook import new_secret, verify_webhook
from rustforge.notify.webhook.health import EndpointHealth
from rustforge.testing import job_context
from tests.support.jobs import Services
from tests.support.receiving import OK, Receiver, hang, says
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rustforge.db import Database
    from rustforge.notify import WebhookEndpoint
    from tests.support.outbox import Context

DAY = 24 * 3600


class Hurried(DeliverWebhook):
    """Does not wait between attempts, and makes three."""

    NAME = "hurried"

    def max_retries(self) -> int:
        """Try three times."""
        return 2

    def backoff(self, attempt: int) -> float:
        """Try again at once."""
        del attempt
        return 0


class Sender:
    """An application that has endpoints, and the worker that delivers to them.

    Attributes:
        clock: Its clock.
        services: What its worker has.
    """

    def __init__(self, ctx: Context) -> None:
        """Take what it needs."""
        self.clock = ManualClock(1_800_000_000)
        self.db: Database = ctx.db
        self.channel = WebhookChannel(allow_private=True, timeout=5, clock=self.clock)
        self.services = Services(ctx.queue, db=ctx.db)
        self.services.webhooks = self.channel  # type: ignore[attr-defined] # as boot's context has it

    async def add(self, url: str, *patterns: str, **options: Any) -> WebhookEndpoint:
        """Add an endpoint."""
        async with self.db.transaction() as session:
            endpoints = WebhookEndpoints(session, allow_private=True, clock=self.clock)
            return await endpoints.add(url, patterns or ("*",), **options)

    async def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the endpoints in a transaction."""
        async with self.db.transaction() as session:
            endpoints = WebhookEndpoints(session, allow_private=True, clock=self.clock)
            return await getattr(endpoints, name)(*arguments, **options)

    async def place(self, number: int = 7, job: type[DeliverWebhook] = Hurried) -> tuple[str, ...]:
        """Tell of an order; return the ids of the deliveries."""
        async with self.db.transaction() as session:
            endpoints = WebhookEndpoints(session, clock=self.clock)
            targets = await endpoints.targets("order.placed", {"id": number}, job=job)
            return (await fan_out(session, "order.placed", targets, event_id=f"order-placed:{number}")).delivery_ids

    async def work(self, **options: Any) -> None:
        """Deliver all that is to be delivered now."""
        await OutboxFlusher(self.services).flush()
        await Worker(self.services, **options).register(Hurried, DeliverWebhook).run_until_empty()

    async def delivery(self, delivery_id: str) -> Delivery:
        """Look at a delivery."""
        found = await Deliveries(self.db).get(delivery_id)
        assert found is not None
        return found

    async def attempt(self, delivery_id: str, endpoint_id: str, attempt: int = 0) -> None:
        """Run one attempt, as a worker does."""
        ctx = job_context(db=self.db, webhooks=self.channel, attempt=attempt)
        await DeliverWebhook.of(delivery_id, endpoint_id).handle(ctx)


@pytest.fixture
async def sender(ctx: Context) -> AsyncIterator[Sender]:
    """Give an application on each database."""
    sender = Sender(ctx)
    yield sender
    await sender.channel.aclose()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give a receiver that says 200."""
    async with Receiver.open() as receiver:
        yield receiver


# -- endpoints -------------------------------------------------------------------------------------------------------


async def test_an_endpoint_is_added_and_shows_its_secret_once(sender: Sender) -> None:
    """What `add` returns has the secret; nothing else does, and no text shows it."""
    added = await sender.add(
        "https://example.com/hook", "order.*", "user.created", owner="customer:7", description="Shop"
    )
    found = await sender.call("get", added.id)
    assert added.secret is not None
    assert found == replace(added, secret=None)
    assert (found.events, found.owner, found.description) == (("order.*", "user.created"), "customer:7", "Shop")
    assert (found.enabled, found.disabled_reason, found.failing_since) == (True, None, None)
    assert found.created_at == datetime.fromtimestamp(sender.clock.time(), UTC)
    assert added.secret not in repr(added)
    assert await sender.call("get", "we_none") is None


UNUSABLE: list[tuple[tuple[Any, ...], type[Exception]]] = [
    (("http://example.com/",), WebhookAddressError),
    (("https://127.0.0.1/",), WebhookAddressError),
    (("https://user:pass@example.com/",), WebhookAddressError),
    (("https://example.com/", []), InvalidArgumentError),
    (("https://example.com/", "order.*"), InvalidArgumentError),
    (("https://example.com/", ["order*"]), InvalidArgumentError),
    (("https://example.com/", ["*.placed"]), InvalidArgumentError),
    (("https://example.com/", [""]), InvalidArgumentError),
]


async def test_an_endpoint_that_cannot_be_used_is_not_added(sender: Sender) -> None:
    """The URL is checked when it is added, and so are the events and the secret."""
    async with sender.db.transaction() as session:
        endpoints = WebhookEndpoints(session)
        for arguments, error in UNUSABLE:
            with pytest.raises(error):
                await endpoints.add(*arguments)
        with pytest.raises(ConfigurationError):
            await endpoints.add("https://example.com/", secret="whsec_short")
        assert await endpoints.list() == []


async def test_endpoints_are_listed_changed_and_removed(sender: Sender) -> None:
    """The oldest first; each change says whether there was such an endpoint."""
    first = await sender.add("https://example.com/1")
    sender.clock.advance(1)
    second = await sender.add("https://example.com/2", owner="customer:7")
    assert [one.id for one in await sender.call("list")] == [first.id, second.id]
    assert [one.id for one in await sender.call("list", owner="customer:7")] == [second.id]
    assert await sender.call("disable", first.id, "asked for")
    assert [one.disabled_reason for one in await sender.call("list", enabled=False)] == ["asked for"]
    assert [one.id for one in await sender.call("list", enabled=True)] == [second.id]
    assert await sender.call("enable", first.id)
    assert (await sender.call("get", first.id)).disabled_reason is None
    assert await sender.call("update", second.id, url="https://example.com/3", events=["a.b"], description="x")
    changed = await sender.call("get", second.id)
    assert (changed.url, changed.events, changed.description) == ("https://example.com/3", ("a.b",), "x")
    with pytest.raises(WebhookAddressError):
        await sender.call("update", second.id, url="https://0x7f.1/")
    assert await sender.call("remove", second.id)
    for name, *more in (("remove",), ("enable",), ("disable", "x"), ("update",)):
        assert await sender.call(name, second.id, *more) is False
    assert await sender.call("rotate_secret", second.id) is None


WANTED = {
    "*": {"order", "order.placed", "order.item.added", "orders.placed"},
    "order.*": {"order.placed", "order.item.added"},
    "order.placed": {"order.placed"},
    "order": {"order"},
    "order.item.*": {"order.item.added"},
}


async def test_an_endpoint_gets_the_events_that_it_wants(sender: Sender) -> None:
    """Exact names, all that begin with one, or all; disabled ones, and those of another owner, get none."""
    endpoints = {pattern: await sender.add("https://example.com/", pattern) for pattern in WANTED}
    await sender.add("https://example.com/", *WANTED, owner="customer:7")
    disabled = await sender.add("https://example.com/", "*")
    await sender.call("disable", disabled.id, "x")
    for name in WANTED["*"]:
        expected = {endpoints[pattern].id for pattern, wanted in WANTED.items() if name in wanted}
        assert {one.target for one in await sender.call("targets", name, {})} == expected
        assert {one.id for one in endpoints.values() if one.wants(name)} == expected
        assert len(await sender.call("targets", name, {}, owner="customer:7")) == 1


async def test_the_body_is_written_once(sender: Sender) -> None:
    """All targets share one message, with the name, the time and the data as plain JSON."""
    for _ in range(3):
        await sender.add("https://example.com/")
    targets = await sender.call("targets", "order.placed", {"at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert len({id(one.message) for one in targets}) == 1
    assert targets[0].message == {
        "type": "order.placed",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "data": {"at": "2026-01-01T00:00:00Z"},
    }
    with pytest.raises(InvalidArgumentError, match="cannot be sent"):
        await sender.call("targets", "order.placed", {"file": object()})


# -- secrets ---------------------------------------------------------------------------------------------------------


async def test_while_a_secret_is_rotated_both_sign(sender: Sender, receiver: Receiver) -> None:
    """For a day receivers with either secret verify, then only the new one signs; what waits gets the new one, too."""
    endpoint = await sender.add(receiver.url)
    assert endpoint.secret is not None
    await sender.place(1)  # before the rotation
    new = await sender.call("rotate_secret", endpoint.id)
    await sender.work()
    sender.clock.advance(DAY - 1)
    await sender.place(2)
    await sender.work()
    for request in receiver.requests:
        for secret in (endpoint.secret, new):
            verify_webhook(request.headers, request.body, secret, tolerance=DAY * 30, clock=sender.clock)
    sender.clock.advance(2)
    await sender.place(3)
    await sender.work()
    last = receiver.requests[-1]
    assert verify_webhook(last.headers, last.body, new, clock=sender.clock) == "order-placed:3"
    with pytest.raises(WebhookSignatureError):
        verify_webhook(last.headers, last.body, endpoint.secret, clock=sender.clock)


async def test_a_secret_that_others_know_ends_at_once(sender: Sender, receiver: Receiver) -> None:
    """Without an overlap the old secret signs nothing any more, and a given one is taken; few are kept."""
    endpoint = await sender.add(receiver.url, secret=new_secret())
    mine = new_secret()
    for _ in range(8):
        await sender.call("rotate_secret", endpoint.id)
    await sender.place(1)
    await sender.work()
    assert receiver.requests[-1].headers["webhook-signature"].count("v1,") == 5
    assert await sender.call("rotate_secret", endpoint.id, overlap=0, secret=mine) == mine
    await sender.place(2)
    await sender.work()
    last = receiver.requests[-1]
    assert last.headers["webhook-signature"].count("v1,") == 1
    verify_webhook(last.headers, last.body, mine, clock=sender.clock)
    with pytest.raises(ConfigurationError):
        await sender.call("rotate_secret", endpoint.id, secret="mine")


async def test_secrets_stay_out_of_logs(sender: Sender, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Neither deliveries nor failures, statements included, show a secret."""
    caplog.set_level(logging.DEBUG, "rustforge")
    caplog.set_level(logging.INFO, "sqlalchemy.engine")
    endpoint = await sender.add(receiver.url)
    assert endpoint.secret is not None
    receiver.answers = [says("500 No"), OK]
    [delivery_id] = await sender.place()
    await sender.work()
    delivery = await sender.delivery(delivery_id)
    assert delivery.status == "sent"
    assert endpoint.secret not in caplog.text + repr(delivery)
    assert endpoint.secret.removeprefix("whsec_") not in caplog.text


# -- deliveries ------------------------------------------------------------------------------------------------------


async def test_an_event_reaches_each_endpoint_once(sender: Sender, receiver: Receiver) -> None:
    """Each endpoint gets the same body, signed with its own secret, and its delivery says so."""
    added = [await sender.add(f"{receiver.url}/{number}") for number in range(3)]
    ids = await sender.place()
    assert await sender.place() == ids  # fanned out again, which adds nothing
    await sender.work()
    assert sorted(one.line for one in receiver.requests) == [f"POST /hook/{n} HTTP/1.1" for n in range(3)]
    assert len({one.body for one in receiver.requests}) == 1
    for request in receiver.requests:
        endpoint = added[int(request.line[len("POST /hook/")])]
        assert (
            verify_webhook(request.headers, request.body, endpoint.secret or "", clock=sender.clock) == "order-placed:7"
        )
    for delivery_id in ids:
        delivery = await sender.delivery(delivery_id)
        assert (delivery.status, delivery.attempts, delivery.response_status) == ("sent", 1, 200)


async def test_each_attempt_has_the_same_id(sender: Sender, receiver: Receiver) -> None:
    """An endpoint that fails first is tried again, and finds the same id and body."""
    await sender.add(receiver.url)
    receiver.answers = [says("500 No"), says("302 Found"), OK]
    [delivery_id] = await sender.place()
    await sender.work()
    assert {(one.headers["webhook-id"], one.body) for one in receiver.requests} == {
        ("order-placed:7", receiver.requests[0].body)
    }
    delivery = await sender.delivery(delivery_id)
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("sent", 3, 200)


async def test_used_up_attempts_fail_and_a_retry_by_hand_delivers(sender: Sender, receiver: Receiver) -> None:
    """The delivery fails with the last error, stands among the failed jobs, and is delivered when it is retried."""
    await sender.add(receiver.url)
    receiver.answers = [says("503 No", "Retry-After: 0")]
    [delivery_id] = await sender.place()
    await sender.work()
    delivery = await sender.delivery(delivery_id)
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("failed", 3, 503)
    place = f"http://127.0.0.1:{receiver.port}"
    assert delivery.last_error == f"WebhookError: {place} answered 503 Service Unavailable"
    receiver.answers = [OK]
    assert await FailedJobs(sender.db).retry(delivery_id, sender.services.queue)
    await sender.work()
    assert (await sender.delivery(delivery_id)).status == "sent"
    assert {one.headers["webhook-id"] for one in receiver.requests} == {"order-placed:7"}


def test_the_schedule_is_that_of_the_specification() -> None:
    """Ten attempts in three days, each wait with up to a tenth more."""
    job = DeliverWebhook.of("d", "we")
    assert job.concurrency() != Hurried.of("d", "we").concurrency() is not None  # each class counts its own
    expected = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert job.max_retries() == len(expected)
    for attempt, wait in enumerate(expected):
        found = {job.backoff(attempt) for _ in range(50)}
        assert len(found) > 1
        assert all(wait <= one <= wait * 1.1 for one in found)
    assert 86400 <= job.backoff(1000) <= 86400 * 1.1


async def test_the_receiver_may_ask_for_more_time(sender: Sender, receiver: Receiver) -> None:
    """`Retry-After` moves the next attempt back, never forward."""
    endpoint = await sender.add(receiver.url)
    [delivery_id] = await sender.place(job=DeliverWebhook)
    receiver.answers = [says("429 Slow down", "Retry-After: 3600"), says("503 No", "Retry-After: 1"), says("500 No")]
    with pytest.raises(Retry, match="429 Too Many Requests") as caught:
        await sender.attempt(delivery_id, endpoint.id)
    assert caught.value.delay_ms == 3_600_000
    with pytest.raises(Retry) as caught:
        await sender.attempt(delivery_id, endpoint.id, attempt=1)
    assert 300_000 <= (caught.value.delay_ms or 0) <= 330_000
    with pytest.raises(WebhookError):  # nothing was asked for
        await sender.attempt(delivery_id, endpoint.id, attempt=2)
    assert (await sender.delivery(delivery_id)).response_status == 500


async def test_410_disables_the_endpoint_and_is_final(
    sender: Sender, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """The receiver wants nothing any more: no other attempt is made, and later events do not go there."""
    endpoint = await sender.add(receiver.url)
    receiver.answers = [says("410 Gone")]
    [delivery_id] = await sender.place()
    await sender.work()
    delivery = await sender.delivery(delivery_id)
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("failed", 1, 410)
    found = await sender.call("get", endpoint.id)
    assert (found.enabled, found.disabled_reason) == (False, "the receiver answered 410 Gone")
    assert f"the webhook endpoint {endpoint.id} is disabled" in caplog.text
    assert await sender.place(8) == ()
    assert len(receiver.requests) == 1
    assert await sender.call("enable", endpoint.id)
    assert len(await sender.place(8)) == 1


async def test_what_waits_for_an_endpoint_that_is_gone_is_skipped(sender: Sender, receiver: Receiver) -> None:
    """A delivery whose endpoint was disabled or removed meanwhile is not sent, and that is no failure."""
    disabled, removed = await sender.add(receiver.url), await sender.add(receiver.url)
    ids = await sender.place()
    await sender.call("disable", disabled.id, "too slow")
    await sender.call("remove", removed.id)
    await sender.work()
    found = {one.target: (one.status, one.last_error) for one in [await sender.delivery(one) for one in ids]}
    assert found[disabled.id] == ("skipped", "the endpoint is disabled: too slow")
    assert found[removed.id] == ("skipped", "the endpoint was removed")
    assert receiver.connections == 0


async def test_an_address_that_became_private_is_refused_when_it_is_sent(sender: Sender, receiver: Receiver) -> None:
    """The URL is checked again at each attempt; refused is final for the delivery, and counts as a failure."""
    endpoint = await sender.add(receiver.url)
    [delivery_id] = await sender.place()
    careful = WebhookChannel(clock=sender.clock)
    sender.services.webhooks = careful  # type: ignore[attr-defined]
    await sender.work()
    await careful.aclose()
    delivery = await sender.delivery(delivery_id)
    assert (delivery.status, delivery.attempts) == ("failed", 1)
    assert (await sender.call("get", endpoint.id)).failing_since is not None
    assert receiver.connections == 0


# -- endpoints that fail ---------------------------------------------------------------------------------------------


async def test_an_endpoint_that_nothing_reaches_for_days_is_disabled(
    sender: Sender, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Five days in which every delivery fails disable it, with the reason; not an hour earlier."""
    endpoint = await sender.add(receiver.url)
    receiver.answers = [says("500 No")]
    await sender.place(1)
    await sender.work()
    began = (await sender.call("get", endpoint.id)).failing_since
    assert began == datetime.fromtimestamp(sender.clock.time(), UTC)
    sender.clock.advance(5 * DAY - 3600)
    await sender.place(2)
    await sender.work()
    assert (await sender.call("get", endpoint.id)).enabled
    sender.clock.advance(3600)
    await sender.place(3)
    await sender.work()
    found = await sender.call("get", endpoint.id)
    assert (found.enabled, found.disabled_reason) == (False, "every delivery has failed for 5 days")
    assert found.failing_since == began
    assert caplog.text.count("is disabled") == 1


async def test_a_success_ends_the_count(sender: Sender, receiver: Receiver) -> None:
    """An endpoint that was reached once begins anew."""
    endpoint = await sender.add(receiver.url)
    receiver.answers = [says("500 No"), OK]
    await sender.place(1)
    await sender.work()
    assert (await sender.call("get", endpoint.id)).failing_since is None
    receiver.answers = [says("500 No")]
    sender.clock.advance(5 * DAY)
    await sender.place(2)
    await sender.work()
    found = await sender.call("get", endpoint.id)
    assert found.enabled
    assert found.failing_since == datetime.fromtimestamp(sender.clock.time(), UTC)


async def test_a_success_that_was_not_seen_keeps_the_endpoint(sender: Sender, receiver: Receiver) -> None:
    """A success of the moment in which the first failure was noted may miss it: the deliveries tell of it."""
    endpoint = await sender.add(receiver.url)
    await sender.place(1)
    await sender.work()
    sent = (await Deliveries(sender.db).list()).items[0].sent_at
    assert sent is not None
    later = ManualClock(sent.timestamp() + 6 * DAY)
    sender.clock, sender.channel.clock = later, later
    async with sender.db.transaction() as session:
        await session.execute(update(table).values(failing_since=sent - timedelta(seconds=1)))
    receiver.answers = [says("500 No")]
    await sender.place(2)
    await sender.work()
    found = await sender.call("get", endpoint.id)
    assert found.enabled
    assert found.failing_since == datetime.fromtimestamp(later.time(), UTC)


async def test_a_webhook_that_arrived_is_not_sent_again_for_a_note(
    sender: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the database cannot note how the endpoint does, what became of the attempt is what counts."""

    async def fail(*_: Any) -> None:
        await asyncio.sleep(0)
        msg = "the database is away"
        raise OSError(msg)

    await sender.add(receiver.url)
    receiver.answers = [says("500 No"), OK]
    monkeypatch.setattr(EndpointHealth, "_set", fail)
    monkeypatch.setattr(EndpointHealth, "note_success", fail)
    [delivery_id] = await sender.place()
    await sender.work()
    delivery = await sender.delivery(delivery_id)
    assert (delivery.status, delivery.attempts, len(receiver.requests)) == ("sent", 2, 2)
    assert caplog.text.count("was not noted: OSError: the database is away") == 2


# -- many endpoints --------------------------------------------------------------------------------------------------


async def test_a_dead_endpoint_does_not_delay_the_others(sender: Sender, receiver: Receiver) -> None:
    """While one endpoint hangs with many deliveries, the nine others have theirs, and few workers are bound."""
    async with Receiver.open(hang) as dead:
        stuck = await sender.add(dead.url)
        for number in range(9):
            await sender.add(f"{receiver.url}/{number}")
        for number in range(6):
            await sender.place(number)
        await OutboxFlusher(sender.services).flush()
        worker = Worker(sender.services, concurrency=8).register(Hurried)
        running = asyncio.create_task(worker.run_until_empty())
        await wait_until(lambda: len(receiver.requests) == 9 * 6)
        assert len(dead.requests) == DeliverWebhook.MAX_PARALLEL
        await sender.call("remove", stuck.id)
        dead.answers = [OK]
        await sender.channel.aclose()  # what hangs fails, and finds no endpoint
        await running
    counts = await Deliveries(sender.db).count()
    assert (counts["sent"], counts["skipped"]) == (54, 6)


async def test_endpoints_are_read_together(sender: Sender, receiver: Receiver) -> None:
    """A hundred deliveries at the same time do not cost a hundred reads, nor do their failures as many writes."""
    for number in range(100):
        await sender.add(f"{receiver.url}/{number}")
    receiver.answers = [says("500 No")]
    await sender.place(job=Hurried)
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    events.listen(sender.db.engine.sync_engine, "before_cursor_execute", note)
    await sender.work(concurrency=100)
    events.remove(sender.db.engine.sync_engine, "before_cursor_execute", note)
    assert len(receiver.requests) == 300
    of_endpoints = [one for one in statements if "webhook_endpoints" in one]
    assert len(of_endpoints) < 100
    async with sender.db.reading() as session:
        assert len((await session.execute(select(table.c.id).where(table.c.failing_since.is_not(None)))).all()) == 100
