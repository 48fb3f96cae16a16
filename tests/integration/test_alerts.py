"""Alerts: they reach every service, those that fail are named, and no URL is shown."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.db import Database
from rustforge.errors import ConfigurationError, InvalidArgumentError, NotifyError
from rustforge.jobs import Job, OutboxFlusher, Queue, Worker
from rustforge.notify import Deliveries, fan_out
from rustforge.notify.alert import AlertChannel, AlertResult, DeliverAlert
from tests.support.jobs import Services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rustforge.jobs import JobContext

SECRET = "t0ken"


class Receiver:
    """A service that takes alerts as JSON.

    Attributes:
        port: Where it is.
        alerts: What it took.
        status: What it answers.
    """

    def __init__(self) -> None:
        """Take everything."""
        self.port = 0
        self.alerts: list[dict[str, Any]] = []
        self.status = "200 OK"

    @property
    def url(self) -> str:
        """Its address, as Apprise writes it."""
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/hook"

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request and answer it."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        found = json.loads(await reader.readexactly(length))
        if self.status.startswith("200"):
            self.alerts.append(found)
        writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Run one."""
    found = Receiver()
    async with await asyncio.start_server(found.take, "127.0.0.1", 0) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


async def test_an_alert_reaches_every_service() -> None:
    """Each gets the title, the text as it is, and the level."""
    async with receiver() as first, receiver() as second, AlertChannel([first.url, second.url]) as alerts:
        result = await alerts.send("Order 7\nwas not mailed", "550 <b>no</b> such *mailbox*", level="warning")
        await alerts.send("Only a title")
    assert result == AlertResult(("JSON #1", "JSON #2"), ())
    for one in (first, second):
        assert [found["title"] for found in one.alerts] == ["Order 7 was not mailed", ""]
        assert [found["message"] for found in one.alerts] == ["550 <b>no</b> such *mailbox*", "Only a title"]
        assert [found["type"] for found in one.alerts] == ["warning", "failure"]


async def test_one_service_that_fails_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """The others get the alert; the result and the log name the one that did not, and neither shows its URL."""
    async with receiver() as first, receiver() as second, AlertChannel([first.url, second.url]) as alerts:
        first.status = "500 Oops"
        result = await alerts.send("Order 7 was not mailed")
    assert result == AlertResult(("JSON #2",), ("JSON #1",))
    assert "did not reach JSON #1" in caplog.text
    assert SECRET not in f"{caplog.text}{alerts!r}"


async def test_none_takes_it(caplog: pytest.LogCaptureFixture) -> None:
    """Where no service took the alert it is an error that names them, and shows no URL."""
    async with receiver() as first:
        first.status = "403 Forbidden"
        nobody = f"json://user:{SECRET}@127.0.0.1:9/hook"
        async with AlertChannel([first.url, nobody]) as alerts:
            with pytest.raises(NotifyError, match="no service took the alert 'Order 7': JSON #1, JSON #2") as caught:
                await alerts.send("Order 7", "more")
    assert SECRET not in f"{caplog.text}{caught.value!r}{caught.value.__cause__!r}"


async def test_a_service_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that takes too long counts as one that failed, whatever Apprise makes of it."""
    async with receiver() as first:
        alerts = AlertChannel([first.url, first.url], timeout=0.05)
        monkeypatch.setattr(alerts._services[0][1], "async_notify", lambda **_: asyncio.Event().wait())

        async def fail(**_: Any) -> None:
            raise RuntimeError(SECRET)

        monkeypatch.setattr(alerts._services[1][1], "async_notify", fail)
        with pytest.raises(NotifyError, match="JSON #1, JSON #2") as caught:
            await alerts.send("Order 7")
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize("url", [f"nothing://{SECRET}", SECRET, "", f"slack://{SECRET}", f"json://{SECRET}:x@"])
def test_urls_that_are_refused(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A URL that Apprise does not know is refused at once; the message says which one, and does not show it."""
    with pytest.raises(ConfigurationError, match="URL 2 of alerts") as caught:
        AlertChannel(["json://127.0.0.1", url])
    assert SECRET not in f"{caught.value!r}{caplog.text}"


async def test_without_urls_alerts_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An application without alerts writes them into its log, as bad as they are."""
    caplog.set_level(logging.INFO, "rustforge.notify.alert")
    alerts = AlertChannel()
    await alerts.send("Order 7 was not mailed", "550", level="failure")
    await alerts.send("Shop is open", level="success")
    assert [(one.levelname, one.message) for one in caplog.records] == [
        ("ERROR", "Alert: Order 7 was not mailed\n550"),
        ("INFO", "Alert: Shop is open"),
    ]
    assert repr(alerts) == "<AlertChannel log>"


@pytest.mark.parametrize(("title", "level"), [("", "info"), (" \n", "info"), ("x", "critical")])
async def test_what_no_alert_can_be(title: str, level: Any) -> None:
    """An alert has a title, and a level that services know."""
    with pytest.raises(InvalidArgumentError, match="an alert needs a title"):
        await AlertChannel().send(title, level=level)
    with pytest.raises(InvalidArgumentError, match="an alert needs a title"):
        AlertChannel.target(title, level=level)


class Doomed(Job):
    """Fails, and alerts about it."""

    NAME = "doomed"

    def max_retries(self) -> int:
        """Try once."""
        return 0

    async def handle(self, ctx: JobContext) -> None:
        """Fail."""
        raise LookupError(ctx.job_id)

    async def failed(self, ctx: JobContext, error: str) -> None:
        """Alert."""
        await ctx.alerts.send("Doomed has failed", error)


@pytest.fixture
async def services(prefix: str, tmp_path: Path) -> AsyncIterator[Services]:
    """Give queues in this process and a database."""
    async with (
        Queue.connect(f"memory://{prefix}", prefix=prefix) as queue,
        Database(f"sqlite:///{tmp_path}/shop.db", migrate=True) as db,
    ):
        yield Services(queue, db=db)


async def test_an_alert_of_a_failed_job(services: Services) -> None:
    """`failed` alerts, and where nobody can be alerted the failed job is stored all the same."""
    async with receiver() as first:
        services.alerts = AlertChannel([first.url])  # type: ignore[attr-defined]
        await Doomed().dispatch(services.queue)
        await Worker(services).register(Doomed).run_until_empty()
        assert [one["title"] for one in first.alerts] == ["Doomed has failed"]
        first.status = "500 Oops"
        await Doomed().dispatch(services.queue)
        worker = Worker(services).register(Doomed)
        await worker.run_until_empty()
        assert worker.statistics().dead == 1


async def test_an_alert_of_an_event(services: Services) -> None:
    """An alert is a delivery as any other, sent when one service took it."""
    async with receiver() as first, receiver() as second:
        second.status = "500 Oops"
        services.alerts = AlertChannel([first.url, second.url])  # type: ignore[attr-defined]
        async with services.db.transaction() as session:
            done = await fan_out(session, "order.placed", [AlertChannel.target("Order 7", "20.00", level="info")])
        await OutboxFlusher(services).flush()
        await Worker(services).register(DeliverAlert).run_until_empty()
        found = await Deliveries(services.db).get(done.delivery_ids[0])
        assert found is not None
        assert (found.channel, found.target, found.status) == ("alert", "alerts", "sent")
        assert [one["type"] for one in first.alerts] == ["info"]
