"""The fixtures of the plugin: a context of the test's own, its fakes, and time that stands still."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Column, Integer, MetaData, Table, insert, inspect

from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import InvalidArgumentError
from rustforge.http import ApiResponse
from rustforge.jobs import Job, JobBuffer, JobContext, Scheduler
from rustforge.notify import Mail
from rustforge.notify.webhook.signing import new_secret
from rustforge.settings import Settings
from rustforge.testing import FakeMailer, FakeQueue, FakeStorage, OutboundHttp, StrayRequestError, TimeTraveler
from rustforge.testing import run_until_empty as work_off

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from httpx2 import AsyncClient

    from rustforge.boot import BootContext
    from rustforge.testing.context import ClockOfTest
    from rustforge.testing.databases import DatabaseOfRun


_TABLES = MetaData()
Table("things", _TABLES, Column("id", Integer, primary_key=True))
_SEEN: set[str] = set()


class SendReceipt(Job):
    """Sends a receipt by mail."""

    NAME: ClassVar[str] = "fixtures.receipt"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        """Send it."""
        await ctx.mailer.send(Mail(to="ann@example.com", subject=f"Receipt {self.order_id}", text=ctx.extensions["hi"]))


@pytest.fixture
def rustforge_settings() -> Settings:
    """Name a sender; the addresses would be real ones."""
    return Settings.model_construct(
        mail_from="Shop <shop@example.com>",
        mail_url="smtp://mail.example.com",
        redis_url="redis://redis.example.com",
        storage_url="s3://bucket",
        alert_urls=SecretStr("json://alerts.example.com"),
    )


@pytest.fixture
def rustforge_extensions() -> dict[str, object]:
    """Give a service."""
    return {"hi": "Hello"}


@pytest.fixture
def rustforge_app(rustforge_ctx: BootContext) -> FastAPI:
    """Make an application."""
    app = FastAPI()

    @app.post("/orders/{order_id}")
    async def order(order_id: int) -> ApiResponse[int]:
        async with rustforge_ctx.db.transaction() as session:
            await SendReceipt(order_id=order_id).dispatch(JobBuffer(session))
        return ApiResponse.success(order_id)

    return app


async def test_settings_have_the_addresses_of_the_test(rustforge_ctx: BootContext) -> None:
    """What the project says stands, except for where things are, so that nothing real is used by mistake."""
    settings = rustforge_ctx.settings
    assert settings.mail_from == "Shop <shop@example.com>"
    assert (settings.redis_url, settings.storage_url, settings.mail_url) == ("memory://", "memory://", "memory:")
    assert settings.database_url.startswith("sqlite")
    assert settings.redis_prefix == rustforge_ctx.cache.prefix
    assert settings.alert_urls.get_secret_value() == ""


async def test_from_the_request_to_the_mail(
    rustforge_client: AsyncClient, rustforge_ctx: BootContext, rustforge_mails: FakeMailer
) -> None:
    """A request commits a job, the job runs on the real queue, and its mail is kept."""
    await rustforge_client.post("/orders/7")
    rustforge_mails.assert_nothing_sent()
    assert (await work_off(rustforge_ctx, [SendReceipt])).succeeded == 1
    rustforge_mails.assert_sent(to="ann@example.com", subject="Receipt 7", times=1)


async def test_the_fake_queue(
    rustforge_client: AsyncClient, rustforge_ctx: BootContext, rustforge_queue: FakeQueue
) -> None:
    """Asked for, it keeps what is pushed, also through the outbox, and nothing runs."""
    await rustforge_client.post("/orders/7")
    rustforge_queue.assert_pushed(SendReceipt, times=1)
    assert await rustforge_ctx.queue.size() == 0


async def test_the_storage(rustforge_ctx: BootContext, rustforge_storage: FakeStorage) -> None:
    """It is the context's, and says what is in it when an assertion fails."""
    await rustforge_ctx.storage.put("a/1.txt", b"1")
    await rustforge_storage.assert_exists("a/1.txt")
    await rustforge_storage.assert_missing("a/2.txt", "b/1.txt")
    await rustforge_storage.assert_count(1, "a/")
    with pytest.raises(AssertionError, match=r"objects that are not there: b; there are a/1\.txt"):
        await rustforge_storage.assert_exists("a/1.txt", "b")
    with pytest.raises(AssertionError, match=r"expected no objects under a/1\.txt; there are a/1\.txt"):
        await rustforge_storage.assert_missing("b", "a/1.txt")
    with pytest.raises(AssertionError, match="expected 1 objects under 'b/', found 0"):
        await rustforge_storage.assert_count(1, "b/")
    with pytest.raises(AssertionError, match="expected 1 objects, found 0; there is nothing"):
        await FakeStorage().assert_count(1)


async def test_requests(rustforge_ctx: BootContext, rustforge_http: OutboundHttp) -> None:
    """Those of handlers and of webhooks are declared or refused."""
    rustforge_http.respond("POST", "https://hooks.example.com/", status=204, times=1)
    secret = new_secret()
    assert await rustforge_ctx.webhooks.send("https://hooks.example.com/", {}, secrets=secret) == 204
    with pytest.raises(StrayRequestError):
        await rustforge_ctx.webhooks.send("https://hooks.example.com/", {}, secrets=secret)
    rustforge_http.strays.clear()


async def test_alerts_go_to_the_log(rustforge_ctx: BootContext, caplog: pytest.LogCaptureFixture) -> None:
    """The addresses of the settings are not used."""
    with caplog.at_level(logging.INFO):
        await rustforge_ctx.alerts.send("Fire", "in the test")
    assert "Fire" in caplog.text


@pytest.fixture
async def seeded(rustforge_ctx: BootContext) -> AsyncIterator[str]:
    """Write something before the test, in a fixture of the project, and read it after it."""
    await rustforge_ctx.cache.set("seed", "1")
    yield "seed"
    assert await rustforge_ctx.cache.get("seed") == "2"


async def test_fixtures_of_the_project(rustforge_ctx: BootContext, seeded: str) -> None:
    """They work in the test's loop before and after it."""
    assert await rustforge_ctx.cache.increment(seeded) == 2


class TestTables:
    """A project with a table."""

    @pytest.fixture
    def rustforge_metadata(self) -> list[MetaData]:
        """Name it."""
        return [_TABLES]

    @pytest.mark.parametrize("time", [1, 2])
    async def test_they_are_there(
        self, rustforge_ctx: BootContext, rustforge_database: DatabaseOfRun, time: int
    ) -> None:
        """The table is there and empty each time; it was made once."""
        async with rustforge_ctx.db.transaction() as session:
            await session.execute(insert(_TABLES.tables["things"]).values(id=1))
        _SEEN.add(rustforge_database.url)
        assert len(_SEEN) == 1


async def test_other_projects_have_other_databases(
    rustforge_ctx: BootContext, rustforge_database: DatabaseOfRun
) -> None:
    """What one project has named is not in the database of another one."""
    assert rustforge_database.url not in _SEEN
    async with rustforge_ctx.db.engine.connect() as connection:
        assert "things" not in await connection.run_sync(lambda sync: inspect(sync).get_table_names())


# -- time -------------------------------------------------------------------------------------------------------------


async def test_time(rustforge_time: TimeTraveler, rustforge_ctx: BootContext, rustforge_mails: FakeMailer) -> None:
    """One fixture moves everything: what is cached expires, delayed jobs and schedules run, signatures age."""
    ctx, start = rustforge_ctx, rustforge_time.now
    rustforge_time.register(SendReceipt)
    await ctx.cache.set_ex("short", "1", ttl=60)
    await SendReceipt(order_id=1).dispatch(ctx.queue, timedelta(days=3))
    async with ctx.db.transaction() as session:
        await SendReceipt(order_id=2).dispatch(JobBuffer(session), timedelta(hours=1))
    scheduler = Scheduler(ctx.queue)
    scheduler.cron("0 0 * * *", SendReceipt(order_id=3))
    await rustforge_time.follow(scheduler)
    url = ctx.storage.presign("a.txt", 60)

    await rustforge_time.travel(timedelta(hours=2))
    assert await ctx.cache.get("short") is None
    assert [one.mail.subject for one in rustforge_mails.sent if one.mail.subject != "Receipt 3"] == ["Receipt 2"]
    await rustforge_time.travel(timedelta(days=4))
    counted = sorted(one.mail.subject for one in rustforge_mails.sent)
    assert counted[0] == "Receipt 1"
    assert counted.count("Receipt 3") in {4, 5}
    assert rustforge_time.now - start == timedelta(days=4, hours=2)
    assert ctx.storage.presign("a.txt", 60) != url


async def test_webhooks_are_signed_at_the_time(
    rustforge_time: TimeTraveler, rustforge_ctx: BootContext, rustforge_http: OutboundHttp
) -> None:
    """Their timestamp is that of the test."""
    rustforge_http.respond("POST", "https://hooks.example.com/", status=204)
    await rustforge_time.travel_to(datetime(2040, 1, 1, tzinfo=UTC))
    await rustforge_ctx.webhooks.send("https://hooks.example.com/", {}, secrets=new_secret())
    [sent] = rustforge_http.requests
    assert int(sent.headers["webhook-timestamp"]) == datetime(2040, 1, 1, tzinfo=UTC).timestamp()


async def test_the_clock_goes_unless_it_is_stopped(rustforge_ctx: BootContext, rustforge_clock: ClockOfTest) -> None:
    """Without rustforge_time it is the machine's, and cannot be moved."""
    before = SYSTEM_CLOCK.time()
    assert before <= rustforge_clock.time() <= SYSTEM_CLOCK.time()
    with pytest.raises(InvalidArgumentError, match="rustforge_time"):
        rustforge_clock.advance(1)
    monotonic = rustforge_clock.monotonic()
    rustforge_clock.stop()
    stopped = rustforge_clock.time(), rustforge_clock.monotonic()
    await asyncio.sleep(0.002)
    assert (rustforge_clock.time(), rustforge_clock.monotonic()) == stopped
    assert stopped[1] - monotonic < 60
    rustforge_clock.advance(10)
    assert rustforge_clock.monotonic() - stopped[1] == pytest.approx(10)
