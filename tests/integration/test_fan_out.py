"""Fan-out: one delivery and one job for each target or none at all, sent once, and a record that stays right."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, select, update
from sqlalchemy import text as sql
from sqlalchemy.exc import SQLAlchemyError

from rustforge.db import Database
from rustforge.db.tables import deliveries as table
from rustforge.db.tables import outbox_jobs
from rustforge.errors import DeliveryRefusedError, InvalidArgumentError, InvalidTypeError, MailError
from rustforge.jobs import FailedJobs, OutboxFlusher, Snooze, Worker
from rustforge.notify import Deliveries, Delivery, SkipDelivery, Target, fan_out, new_event_id
from rustforge.testing import job_context
from tests.support.jobs import LEASE, Services
from tests.support.processes import Crew
from tests.support.texting import DeliverNote, DeliverText, note, text
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rustforge.jobs import JobContext
    from tests.support.outbox import Context


class Desk:
    """A gateway that takes messages, and the worker that brings them.

    Attributes:
        db: The database.
        wire: What came to the gateway, in order.
        failures: The ids of the deliveries whose `failed` was called, and the errors.
        script: What the gateway does with a message to a target, beside noting it: it raises an exception, or answers a
            number, or calls a function; of a list, one after the other.
    """

    def __init__(self, ctx: Context) -> None:
        """Take everything."""
        self.db = ctx.db
        self.queue = ctx.queue
        self.wire: list[Delivery] = []
        self.failures: list[tuple[str, str]] = []
        self.script: dict[str, Any] = {}
        self.services = Services(ctx.queue, {"gateway": self._take, "failures": self.failures}, ctx.db)

    async def _take(self, delivery: Delivery, ctx: JobContext) -> int | None:
        assert delivery.id == ctx.job_id
        self.wire.append(delivery)
        found = self.script.get(delivery.target)
        what = found.pop(0) if isinstance(found, list) and found else found
        if isinstance(what, Exception):
            raise what
        if callable(what):
            await what()
            return None
        return 200 if not isinstance(what, int) else what

    async def fan_out(self, *targets: Target, event_id: str | None = None) -> tuple[str, ...]:
        """Fan an event out and commit; return the ids of the deliveries."""
        async with self.db.transaction() as session:
            return (await fan_out(session, "order.placed", targets, event_id=event_id)).delivery_ids

    async def work(self, **options: Any) -> list[str]:
        """Run all that was committed, and return to whom messages went so far, in the order of the alphabet."""
        await OutboxFlusher(self.services).flush()
        await Worker(self.services, **options).register(DeliverText, DeliverNote).run_until_empty()
        return sorted(one.target for one in self.wire)

    async def show(self, delivery_id: str) -> Delivery:
        """Look at a delivery."""
        found = await Deliveries(self.db).get(delivery_id)
        assert found is not None
        return found

    def context(self, delivery_id: str) -> JobContext:
        """Make the context of one run."""
        extensions: dict[str, Any] = self.services.extensions
        return job_context(db=self.db, job=DeliverText, job_id=delivery_id, **extensions)


@pytest.fixture
def desk(ctx: Context) -> Desk:
    """Give a gateway for databases of each kind."""
    return Desk(ctx)


@contextmanager
def statements(db: Database, *words: str) -> Iterator[list[str]]:
    """Note the statements in which one of these words is."""
    found: list[str] = []

    def take(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if any(word in statement for word in words):
            found.append(statement)

    event.listen(db.engine.sync_engine, "before_cursor_execute", take)
    yield found
    event.remove(db.engine.sync_engine, "before_cursor_execute", take)


async def rows(db: Database) -> tuple[int, int]:
    """Count the deliveries and the jobs of the outbox."""
    async with db.reading() as session:
        counts = [await session.scalar(select(func.count()).select_from(one)) for one in (table, outbox_jobs)]
    return counts[0] or 0, counts[1] or 0


# -- in the caller's transaction ---------------------------------------------------------------------------------------


async def test_a_commit_gives_each_target_a_row_and_a_job(desk: Desk) -> None:
    """Both appear with the commit, under one id, and nothing of them is seen before."""
    async with desk.db.transaction() as session:
        done = await fan_out(session, "order.placed", [text("+1"), note("+1"), text("+2")])
        assert await rows(desk.db) == (0, 0)
    assert await rows(desk.db) == (3, 3)
    assert done.new == 3
    assert done.event_id.startswith("evt_")
    async with desk.db.reading() as session:
        jobs = (await session.execute(select(outbox_jobs.c.id, outbox_jobs.c.name).order_by(outbox_jobs.c.seq))).all()
    assert [(job.id, job.name) for job in jobs] == [
        *zip(done.delivery_ids, ["text.deliver", "note.deliver", "text.deliver"], strict=True)
    ]
    first = await desk.show(done.delivery_ids[0])
    assert (first.event_id, first.event, first.channel, first.target) == (done.event_id, "order.placed", "text", "+1")
    assert (first.status, first.attempts, first.message) == ("pending", 0, {"words": "Thank you!"})
    assert (first.last_error, first.response_status, first.sent_at) == (None, None, None)
    assert first.created_at <= first.updated_at


async def test_a_rollback_leaves_neither_row_nor_job(desk: Desk) -> None:
    """What happens to the application's transaction happens to them: an exception, and a savepoint, take them away."""

    async def fail() -> None:
        async with desk.db.transaction() as session:
            await fan_out(session, "order.placed", [text("+1")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with desk.db.transaction() as session:
        savepoint = await session.begin_nested()
        await fan_out(session, "order.placed", [text("+1")])
        await savepoint.rollback()
    assert await rows(desk.db) == (0, 0)
    assert await desk.work() == []


async def test_a_connection_will_do(desk: Desk) -> None:
    """Who has no session passes a connection of SQLAlchemy."""
    async with desk.db.engine.begin() as connection:
        done = await fan_out(connection, "order.placed", [text("+1"), text("+2")])
    assert done.new == 2
    assert await desk.work() == ["+1", "+2"]


async def test_the_same_event_goes_out_once(desk: Desk) -> None:
    """Fanned out again, with the same id, it adds the targets that are new, and names those that are there."""
    async with desk.db.transaction() as session:
        first = await fan_out(session, "order.placed", [text("+1"), text("+2"), text("+1")], event_id="order-placed:7")
        again = await fan_out(session, "order.placed", [text("+2"), text("+3")], event_id="order-placed:7")
    assert (first.new, again.new) == (2, 1)
    assert first.delivery_ids[0] == first.delivery_ids[2] != first.delivery_ids[1] == again.delivery_ids[0]
    assert await desk.work() == ["+1", "+2", "+3"]
    assert await desk.fan_out(text("+1"), text("+2"), event_id="order-placed:7") == first.delivery_ids[:2]
    assert await rows(desk.db) == (3, 0)
    assert await desk.work() == ["+1", "+2", "+3"]
    await desk.fan_out(text("+1"), event_id="order-placed:8")
    assert await desk.work() == ["+1", "+1", "+2", "+3"]


async def test_the_same_event_at_the_same_time(desk: Desk) -> None:
    """Transactions that fan out one event at once wait for each other; each target has one row and one job."""
    ids = await asyncio.gather(*[desk.fan_out(text("+1"), text("+2"), event_id="order-placed:7") for _ in range(8)])
    assert len(set(ids)) == 1
    assert await rows(desk.db) == (2, 2)


async def test_a_thousand_targets_cost_few_statements(desk: Desk) -> None:
    """However many targets there are, the statements are few; a message that all share is written as JSON once."""
    message = {"words": "Good night"}
    targets = [Target("text", f"+{number}", message, DeliverText) for number in range(1000)]
    with statements(desk.db, "") as sent:
        ids = await desk.fan_out(*targets)
    assert len(set(ids)) == 1000
    assert await rows(desk.db) == (1000, 1000)
    assert len(sent) <= 8


async def test_nobody(desk: Desk) -> None:
    """An event for which there is no target is no error."""
    assert await desk.fan_out() == ()
    assert await rows(desk.db) == (0, 0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"target": ""}, "target must be text of 1 to 2,000 bytes"),
        ({"target": "ä" * 1001}, "target must be text of 1 to 2,000 bytes"),
        ({"target": "a\x00b"}, "target must be text of 1 to 2,000 bytes"),
        ({"target": 7}, "target must be text of 1 to 2,000 bytes"),
        ({"channel": "mail"}, "the channel of DeliverText is 'text', not 'mail'"),
        ({"channel": "a b"}, "channel must have 1 to 200 letters"),
        ({"message": {"file": object()}}, r"the message to text '\+1' cannot be sent"),
        ({"message": {"weight": float("nan")}}, r"the message to text '\+1' cannot be sent"),
        ({"message": "hello"}, "the message of a target must be a dict, not str"),
    ],
)
async def test_targets_that_cannot_be_used(desk: Desk, change: dict[str, Any], match: str) -> None:
    """They are refused where they are given, and the transaction goes on without them."""
    async with desk.db.transaction() as session:
        with pytest.raises(InvalidArgumentError, match=match):
            await fan_out(session, "order.placed", [text("+2"), replace(text("+1"), **change)])
    assert await rows(desk.db) == (0, 0)


@pytest.mark.parametrize(
    ("name", "event_id", "match"),
    [
        ("order placed", None, "event must have 1 to 200 letters, digits or _.:/-"),
        ("order.placed", "order.7", "event_id must have 1 to 200 letters, digits or _:-"),
        ("order.placed", "", "event_id must have"),
        ("order.placed", "x" * 201, "event_id must have"),
    ],
)
async def test_events_that_cannot_be_used(desk: Desk, name: str, event_id: str | None, match: str) -> None:
    """A name or an id with which a channel could do nothing is refused."""
    async with desk.db.transaction() as session:
        with pytest.raises(InvalidArgumentError, match=match):
            await fan_out(session, name, [text("+1")], event_id=event_id)


async def test_what_is_no_session() -> None:
    """It says what is needed."""
    with pytest.raises(InvalidTypeError, match="AsyncSession or AsyncConnection, not object"):
        await fan_out(object(), "order.placed", [])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_event_ids() -> None:
    """Each is new."""
    assert len({new_event_id() for _ in range(1000)}) == 1000


# -- sending -----------------------------------------------------------------------------------------------------------


async def test_a_delivery_is_sent_once(desk: Desk) -> None:
    """It is sent with its message and its id, marked with the answer, and never sent again, however often it runs."""
    (one,) = await desk.fan_out(text("+1", "Hello"))
    desk.script["+1"] = 202
    assert await desk.work() == ["+1"]
    assert (desk.wire[0].id, desk.wire[0].message) == (one, {"words": "Hello"})
    found = await desk.show(one)
    assert (found.status, found.attempts, found.response_status, found.last_error) == ("sent", 1, 202, None)
    assert found.sent_at is not None
    assert found.created_at <= found.sent_at
    await DeliverText(delivery_id=one).handle(desk.context(one))
    assert len(desk.wire) == 1
    assert await desk.show(one) == found


async def test_one_channel_s_failure_neither_blocks_nor_repeats_another(desk: Desk) -> None:
    """Where a channel fails at first and another does not, each target gets exactly one message in the end."""
    ids = await desk.fan_out(text("+1"), note("shelf"))
    desk.script["+1"] = [MailError("the gateway is away"), 200]
    assert await desk.work() == ["+1", "+1", "shelf"]
    found = [await desk.show(one) for one in ids]
    assert [(one.status, one.attempts, one.last_error) for one in found] == [("sent", 2, None), ("sent", 1, None)]
    assert [one.attempts for one in desk.wire if one.target == "+1"] == [0, 1]


async def test_a_failed_attempt_is_noted(desk: Desk) -> None:
    """While it waits for the next attempt, the record says what went wrong, and what the receiver answered."""
    (one,) = await desk.fan_out(text("+1"))
    seen: list[Delivery] = []

    async def look() -> None:
        seen.append(await desk.show(one))

    error = DeliveryRefusedError("busy\x00", 503)
    desk.script["+1"] = [RuntimeError("cut"), look]
    await desk.work()
    assert [(one.status, one.attempts, one.last_error) for one in seen] == [("pending", 1, "RuntimeError: cut")]
    (other,) = await desk.fan_out(text("+2"))
    desk.script["+2"] = error
    await desk.work()
    found = await desk.show(other)
    assert (found.status, found.response_status) == ("failed", 503)
    assert found.last_error == "DeliveryRefusedError: busy\ufffd"


async def test_exhausted_attempts(desk: Desk) -> None:
    """Three attempts fail, `failed` is called once, row and job are failed; the retry API drives it to sent."""
    (one,) = await desk.fan_out(text("+1"))
    desk.script["+1"] = [MailError("down"), MailError("down"), MailError("still down"), 200]
    assert await desk.work() == ["+1"] * 3
    assert desk.failures == [(one, "MailError: still down")]
    found = await desk.show(one)
    assert (found.status, found.attempts, found.last_error) == ("failed", 3, "MailError: still down")
    failed = FailedJobs(desk.db)
    assert [job.id for job in (await failed.list()).items] == [one]
    assert await failed.retry(one, desk.queue)
    assert await desk.work() == ["+1"] * 4
    found = await desk.show(one)
    assert (found.status, found.attempts, found.last_error) == ("sent", 4, None)
    assert {sent.id for sent in desk.wire} == {one}
    assert (await failed.list()).items == []
    assert len(desk.failures) == 1


async def test_what_is_retried_by_hand_is_pending_again(desk: Desk) -> None:
    """From the moment in which it runs anew, its record does not call it failed any more."""
    (one,) = await desk.fan_out(text("+1"))
    seen: list[str] = []

    async def look() -> None:
        seen.append((await desk.show(one)).status)

    desk.script["+1"] = [DeliveryRefusedError("no"), look]
    await desk.work()
    await FailedJobs(desk.db).retry(one, desk.queue)
    await desk.work()
    assert seen == ["pending"]
    assert (await desk.show(one)).status == "sent"


async def test_a_refused_message_fails_at_once(desk: Desk) -> None:
    """What the receiver will never take is not tried again: the job is dead after one attempt, and tells once."""
    (one,) = await desk.fan_out(text("+1"))
    desk.script["+1"] = DeliveryRefusedError("no such number", 550)
    assert await desk.work() == ["+1"]
    found = await desk.show(one)
    assert (found.status, found.attempts, found.response_status) == ("failed", 1, 550)
    assert found.last_error == "DeliveryRefusedError: no such number"
    assert desk.failures == [(one, "DeliveryRefusedError: no such number")]
    assert [job.error for job in (await FailedJobs(desk.db).list()).items] == [found.last_error]


async def test_a_message_that_is_not_wanted(desk: Desk) -> None:
    """The delivery is skipped with the reason; its job is done, and it is never sent."""
    (one,) = await desk.fan_out(text("+1"))
    desk.script["+1"] = [SkipDelivery("no messages at night"), 200]
    await desk.work()
    found = await desk.show(one)
    assert (found.status, found.attempts, found.last_error) == ("skipped", 1, "no messages at night")
    await DeliverText(delivery_id=one).handle(desk.context(one))
    assert len(desk.wire) == 1
    assert (await FailedJobs(desk.db).list()).items == []


async def test_a_snooze_is_no_attempt(desk: Desk) -> None:
    """A channel that wants to be asked later leaves the record as it is."""
    (one,) = await desk.fan_out(text("+1"))
    before = await desk.show(one)
    desk.script["+1"] = Snooze(60)
    with pytest.raises(Snooze):
        await DeliverText(delivery_id=one).handle(desk.context(one))
    assert await desk.show(one) == before


@pytest.mark.parametrize("url", ["sqlite:////nowhere/shop.db", "postgresql://127.0.0.1:1/shop"])
async def test_a_database_that_is_away(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """While nothing can be read, nothing is sent and no attempt is used up: the job is asked again later."""
    before = set(threading.enumerate())
    async with contextlib.AsyncExitStack() as stack:
        db = Database(url)
        stack.push_async_callback(db.dispose)
        with pytest.raises(Snooze):
            await DeliverText(delivery_id="1").handle(job_context(db=db))
    assert "the delivery waits for the database" in caplog.text
    # aiosqlite ends the thread of a connection that was not made in its own time
    await wait_until(lambda: before.issuperset(threading.enumerate()))


async def test_a_delivery_that_is_not_there_any_more(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A job whose delivery was forgotten meanwhile is done, and says so in the log."""
    (one,) = await desk.fan_out(text("+1"))
    async with desk.db.transaction() as session:
        await session.execute(table.delete())
    with caplog.at_level(logging.WARNING):
        assert await desk.work() == []
    assert f"the delivery {one} is not there any more" in caplog.text
    assert (await FailedJobs(desk.db).list()).items == []


async def test_an_answer_that_is_no_status(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """What is sent is sent, whatever the channel returns; the log says what is wrong with it."""
    one, other = await desk.fan_out(text("+1"), text("+2"))
    desk.script["+1"] = 2**31
    assert await desk.work() == ["+1", "+2"]
    found = [await desk.show(each) for each in (one, other)]
    assert [(each.status, each.response_status) for each in found] == [("sent", None), ("sent", 200)]
    assert "send() returned 2147483648, which is no status" in caplog.text


async def test_a_message_that_cannot_be_read(desk: Desk) -> None:
    """Where somebody has damaged one row, its delivery fails and says why; those beside it are sent."""
    one, other = await desk.fan_out(text("+1"), text("+2"))
    async with desk.db.transaction() as session:
        await session.execute(update(table).where(table.c.id == one).values(message="Hello"))
    assert await desk.work() == ["+2"]
    assert [(await desk.show(each)).status for each in (one, other)] == ["failed", "sent"]
    assert "does not fit dict" in ((await desk.show(one)).last_error or "")


async def test_a_dead_target_does_not_delay_the_others(desk: Desk) -> None:
    """Of ten targets one does not answer; the other nine have their message while it is still waited for."""
    nine_are_sent = asyncio.Event()
    targets = [text(f"+{number}") for number in range(10)]

    async def hang() -> None:
        await nine_are_sent.wait()

    async def nine() -> bool:
        return (await Deliveries(desk.db).count())["sent"] == 9

    desk.script["+3"] = hang
    await desk.fan_out(*targets)
    await OutboxFlusher(desk.services).flush()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(desk.work())
        await wait_until(nine)
        assert (await Deliveries(desk.db).list(status="pending")).items[0].target == "+3"
        nine_are_sent.set()
    assert (await Deliveries(desk.db).count())["sent"] == 10


# -- two runs at once, and crashes -------------------------------------------------------------------------------------


async def test_a_late_failure_does_not_overwrite_what_was_sent(desk: Desk) -> None:
    """Two runs of one job, as after a lost lease: one sends, the other fails later. The record says sent."""
    (one,) = await desk.fan_out(text("+1"))
    began, go_on = asyncio.Event(), asyncio.Event()

    async def wait_and_fail() -> None:
        began.set()
        await go_on.wait()
        msg = "too late"
        raise MailError(msg)

    desk.script["+1"] = [wait_and_fail, 200]
    late = asyncio.create_task(DeliverText(delivery_id=one).handle(desk.context(one)))
    await began.wait()
    await DeliverText(delivery_id=one).handle(desk.context(one))
    sent = await desk.show(one)
    go_on.set()
    with pytest.raises(MailError):
        await late
    await DeliverText(delivery_id=one).failed(desk.context(one), "MailError: too late")
    assert (sent.status, sent.attempts) == ("sent", 1)
    assert await desk.show(one) == sent


async def test_a_late_success_counts(desk: Desk) -> None:
    """Of two runs the first one fails for good, and the other one then sends: the record says sent."""
    (one,) = await desk.fan_out(text("+1"))
    began, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        began.set()
        await go_on.wait()

    desk.script["+1"] = wait
    late = asyncio.create_task(DeliverText(delivery_id=one).handle(desk.context(one)))
    await began.wait()
    await DeliverText(delivery_id=one).failed(desk.context(one), "MailError: down")
    assert (await desk.show(one)).status == "failed"
    go_on.set()
    await late
    found = await desk.show(one)
    assert (found.status, found.last_error) == ("sent", None)


@pytest.fixture(scope="module")
def senders() -> Iterator[Crew]:
    """Have a process at hand that sends and is killed."""
    crew = Crew("tests.support.texting")
    yield crew
    crew.dismiss()


async def test_a_crash_between_sending_and_record(real: Context, senders: Crew) -> None:
    """A process is killed when the message is out and nothing says so: it goes out again, with the same ids, once."""
    desk = Desk(real)
    (one,) = await desk.fan_out(text("+1"), event_id="order-placed:7")
    await OutboxFlusher(desk.services).flush()
    (sender,) = senders.gather(1)
    sender.order(**real.place)
    first = await sender.hear("sent")
    sender.kill()
    assert (await desk.show(one)).status == "pending"
    await wait_until(lambda: desk.work(lease=LEASE), timeout=20)
    again = [(sent.id, sent.event_id, sent.target) for sent in desk.wire]
    assert again == [(first["id"], first["event_id"], first["target"])] == [(one, "order-placed:7", "+1")]
    assert first["job"] == one
    assert await Deliveries(desk.db).count() == {"pending": 0, "sent": 1, "failed": 0, "skipped": 0}


# -- many at once ------------------------------------------------------------------------------------------------------


async def test_reads_and_marks_of_many_go_together(desk: Desk) -> None:
    """Fifty deliveries that run at the same time are read by one statement and marked by another one."""
    ids = await desk.fan_out(*[text(f"+{number}") for number in range(50)])
    with statements(desk.db, "deliveries") as sent:
        await asyncio.gather(*[DeliverText(delivery_id=one).handle(desk.context(one)) for one in ids])
    assert [statement.split()[0] for statement in sent] == ["SELECT", "UPDATE"]
    assert (await Deliveries(desk.db).count())["sent"] == 50


async def test_an_error_of_the_database_reaches_everybody(desk: Desk) -> None:
    """What cannot be marked is no success: each run fails with the database's own error."""
    ids = await desk.fan_out(*[text(f"+{number}") for number in range(3)])
    gone = asyncio.Event()

    async def drop() -> None:
        async with desk.db.transaction() as session:
            await session.execute(sql("ALTER TABLE deliveries RENAME TO gone"))
        gone.set()

    async def wait() -> None:
        await gone.wait()

    desk.script |= {"+0": drop, "+1": wait, "+2": wait}
    runs = [DeliverText(delivery_id=one).handle(desk.context(one)) for one in ids]
    found = await asyncio.gather(*runs, return_exceptions=True)
    assert [isinstance(one, SQLAlchemyError) for one in found] == [True, True, True]


async def test_a_failure_counts_although_it_cannot_be_noted(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Where neither the receiver nor the database works, it is the receiver's error that the job fails with."""
    (one,) = await desk.fan_out(text("+1"))

    async def drop_and_fail() -> None:
        async with desk.db.transaction() as session:
            await session.execute(sql("ALTER TABLE deliveries RENAME TO gone"))
        msg = "down"
        raise MailError(msg)

    desk.script["+1"] = drop_and_fail
    with pytest.raises(MailError, match="down"):
        await DeliverText(delivery_id=one).handle(desk.context(one))
    assert "the attempt was not noted" in caplog.text


async def test_a_run_that_is_cancelled_while_it_is_marked(desk: Desk) -> None:
    """The mark is made all the same, as the message is out, and other runs do not notice."""
    one, other = await desk.fan_out(text("+1"), text("+2"))
    sent = asyncio.Event()

    async def tell() -> None:
        sent.set()

    desk.script["+1"] = tell
    async with desk.db.transaction() as session:  # while it goes on, nothing can be marked
        await session.execute(update(table).values(event="order.paid"))
        runs = [asyncio.create_task(DeliverText(delivery_id=each).handle(desk.context(each))) for each in (one, other)]
        await sent.wait()
        await asyncio.sleep(0)
        runs[0].cancel()
    results = await asyncio.gather(*runs, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, type(None)]
    assert [(await desk.show(each)).status for each in (one, other)] == ["sent", "sent"]


async def test_long_names(desk: Desk) -> None:
    """Names of the greatest length that is allowed fit into the tables and their indexes."""
    target = "".join(chr(0x4E00 + 37 * number % 20_000) for number in range(666))  # 3 bytes each, hard to compress
    (one,) = await desk.fan_out(text(target), event_id="x" * 200)
    assert (await desk.show(one)).target == target
