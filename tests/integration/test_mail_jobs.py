"""Queued mail and mail of events: nothing is lost, nothing is sent twice, and tests can ask what was sent.

The faults of the Rust edition's mail, which must not come back, each with its test here or where its part is tested:

    queued mail is lost, as no worker knows its job              mail_that_nobody_knows_waits
    only the first recipient gets mail                           test_mail: all_recipients_get_it
    a mail without recipients stops the program                  a_mail_without_recipients_is_refused_at_once
    implicit TLS on the port of STARTTLS                         test_mail: starttls
    the driver is chosen by a flag that nobody reads             the_url_says_where_mail_goes
    the log has the bodies                                       test_mail: the_log
    a connection for each mail                                   test_mail: one_connection_serves_many_mails
    values are not escaped in HTML                               test_mail_templates: html_is_escaped
    two classes that differ are called a mail                    queued_and_sent_mail_are_one_class
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.boot import boot
from rustforge.db import Database
from rustforge.errors import DeliveryRefusedError, InvalidArgumentError, JobEncodeError, MailError
from rustforge.jobs import FailedJobs, JobBuffer, OutboxFlusher, Queue, Worker
from rustforge.notify import Deliveries, fan_out
from rustforge.notify.mail import DeliverMail, Mail, MailAttachment, MailChannel, SendMail
from rustforge.settings import Settings
from rustforge.testing import FakeQueue, job_context, run_job
from tests.support.jobs import Services
from tests.support.mailing import CUT, MailServer, mail_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rustforge.jobs import Job

HELLO = Mail(to="ann@example.com", subject="Hello", text="Hello, Ann!")


@dataclass
class Post(Services):
    """What workers get, with a mailer, and the server to which that sends.

    Attributes:
        mailer: What sends mail.
        server: Where it goes.
    """

    mailer: MailChannel = field(default_factory=MailChannel)
    server: MailServer = field(default_factory=MailServer)

    async def work(self, *classes: type[Job]) -> None:
        """Bring what was committed into the queue, and run it."""
        if self.db is not None:
            await OutboxFlusher(self).flush()
        await Worker(self).register(*classes).run_until_empty()


class Quick(SendMail):
    """Queued mail that is tried three times, at once."""

    NAME = "mail.quick"
    QUEUE = "mail"

    def max_retries(self) -> int:
        """Try three times in all."""
        return 2

    def backoff(self, attempt: int) -> float:
        """Try again at once."""
        del attempt
        return 0


class QuickDelivery(DeliverMail):
    """Mail of an event that is tried again at once."""

    NAME = "mail.quick_delivery"

    def backoff(self, attempt: int) -> float:
        """Try again at once."""
        del attempt
        return 0


@pytest.fixture
async def post(prefix: str, tmp_path: Path) -> AsyncIterator[Post]:
    """Give a mailer, its server, queues in this process and a database."""
    async with (
        mail_server() as server,
        MailChannel(f"smtp://127.0.0.1:{server.port}", sender="Shop <shop@example.com>") as mailer,
        Queue.connect(f"memory://{prefix}", prefix=prefix) as queue,
        Database(f"sqlite:///{tmp_path}/shop.db", migrate=True) as db,
    ):
        yield Post(queue, db=db, mailer=mailer, server=server)


# -- queued mail -------------------------------------------------------------------------------------------------------


async def test_queued_mail_is_sent(post: Post) -> None:
    """It is sent by a worker, with the job's id as its own, and from whom it was queued by."""
    job_id = await post.mailer.queue(post.queue, HELLO)
    async with MailChannel(f"smtp://127.0.0.1:{post.server.port}", sender="other@example.org") as other:
        post.mailer = other
        await post.work(SendMail)
    (found,) = post.server.received
    assert found.message["Message-ID"] == f"<{job_id}@example.com>"
    assert found.message["From"] == "Shop <shop@example.com>"
    assert found.message.get_content() == "Hello, Ann!\n"


async def test_mail_that_nobody_knows_waits(post: Post) -> None:
    """A worker that does not know the job sets it aside, where it can be seen, and one that does sends it."""
    await post.mailer.queue(post.queue, HELLO)
    await post.work(Quick)
    stats = await post.queue.stats("default")
    assert (stats.parked, stats.size) == (1, 1)
    assert post.server.received == []
    await post.work(SendMail)
    assert len(post.server.received) == 1
    assert await post.queue.size("default") == 0


async def test_mail_of_a_transaction(post: Post) -> None:
    """Mail that is queued in a transaction goes with its commit, and never after a rollback."""
    async with post.db.transaction() as session:
        await post.mailer.queue(JobBuffer(session), HELLO)
    with suppress(ZeroDivisionError):
        async with post.db.transaction() as session:
            await post.mailer.queue(JobBuffer(session), HELLO)
            raise ZeroDivisionError
    await post.work(SendMail)
    assert len(post.server.received) == 1


async def test_a_server_that_is_away_at_first(post: Post) -> None:
    """Attempts that fail for now are repeated, each with the same id, until the mail is sent once."""
    post.server.script = {"MAIL": ["451 4.3.0 later"], "RCPT": [CUT]}
    job_id = await post.mailer.queue(post.queue, HELLO, job=Quick)
    await Worker(post, ["mail"]).register(Quick).run_until_empty()
    assert [one.message["Message-ID"] for one in post.server.received] == [f"<{job_id}@example.com>"]


async def test_a_refusal_for_good_is_a_failed_job_at_once(post: Post) -> None:
    """No other attempt is made; the failed job keeps the mail, which is sent when it is retried."""
    post.server.script = {"RCPT": ["550 5.1.1 unknown"]}
    job_id = await post.mailer.queue(post.queue, HELLO, job=Quick)
    await Worker(post, ["mail"]).register(Quick).run_until_empty()
    failed = await FailedJobs(post.db).get(job_id)
    assert failed is not None
    assert failed.attempts == 1
    assert "ann@example.com was refused: 550 5.1.1 unknown" in failed.error
    assert await FailedJobs(post.db).retry(job_id, post.queue)
    await Worker(post, ["mail"]).register(Quick).run_until_empty()
    assert [one.message["Message-ID"] for one in post.server.received] == [f"<{job_id}@example.com>"]


async def test_attempts_that_run_out(post: Post) -> None:
    """Mail that could not be sent for too long is a failed job, with the last reason."""
    post.server.script = {"MAIL": ["451 4.3.0 later"] * 3}
    job_id = await post.mailer.queue(post.queue, HELLO, job=Quick)
    await Worker(post, ["mail"]).register(Quick).run_until_empty()
    failed = await FailedJobs(post.db).get(job_id)
    assert failed is not None
    assert failed.attempts == 3
    assert "MailError" in failed.error


async def test_what_cannot_be_queued(post: Post) -> None:
    """Mail that is too large, or of nobody, is refused when it is queued."""
    large = Mail(to="ann@example.com", text="x", attachments=[MailAttachment("a.bin", bytes(1_000_000))])
    with pytest.raises(JobEncodeError, match="store large data elsewhere"):
        await post.mailer.queue(post.queue, large)
    async with MailChannel(f"smtp://127.0.0.1:{post.server.port}") as mailer:
        with pytest.raises(InvalidArgumentError, match="set MAIL_FROM"):
            await mailer.queue(post.queue, HELLO)
    assert await post.queue.size() == 0


def test_a_mail_without_recipients_is_refused_at_once() -> None:
    """It is an error of whoever writes it, with a reason, and not of a worker later."""
    with pytest.raises(InvalidArgumentError, match="at least one recipient"):
        Mail(to=[], text="Hello")


def test_queued_and_sent_mail_are_one_class() -> None:
    """What is queued is what is sent, and what an event sends."""
    assert SendMail.model_fields["mail"].annotation is Mail
    assert Mail.model_validate(MailChannel.target(HELLO).message) == HELLO


async def test_the_url_says_where_mail_goes() -> None:
    """There is no switch beside it: a server's URL sends, and an application without settings writes to the log."""
    async with mail_server() as server:
        settings = Settings(mail_url=f"smtp://127.0.0.1:{server.port}", mail_from="shop@example.com")
        async with boot(settings) as ctx:
            await ctx.mailer.send(HELLO)
    assert len(server.received) == 1
    async with boot(Settings.model_construct()) as ctx:
        assert repr(ctx.mailer) == "<MailChannel log:>"
        await ctx.mailer.send(HELLO)


async def test_attachments_of_an_application() -> None:
    """The mailer of an application reads attachments from its storage."""
    settings = Settings.model_construct(mail_url="memory:", storage_url="memory://")
    async with boot(settings) as ctx:
        await ctx.storage.put("invoices/7.pdf", b"%PDF")
        await ctx.mailer.send(
            Mail(to="ann@example.com", text="x", attachments=[MailAttachment("7.pdf", key="invoices/7.pdf")])
        )
        assert b"JVBERg==" in ctx.mailer.kept.sent[0].message


# -- mail of an event --------------------------------------------------------------------------------------------------


async def test_mail_of_an_event(post: Post) -> None:
    """It is sent once, after an attempt that failed, with the delivery's id as its own, and the record says so."""
    post.server.script = {"DATA": ["451 4.3.0 later"]}
    async with post.db.transaction() as session:
        done = await fan_out(session, "order.placed", [MailChannel.target(HELLO, job=QuickDelivery)])
    await post.work(QuickDelivery)
    (delivery_id,) = done.delivery_ids
    assert [one.message["Message-ID"] for one in post.server.received] == [f"<{delivery_id}@example.com>"]
    found = await Deliveries(post.db).get(delivery_id)
    assert found is not None
    assert (found.channel, found.target, found.status, found.attempts) == ("mail", "ann@example.com", "sent", 2)


async def test_mail_of_an_event_that_is_refused(post: Post) -> None:
    """A refusal for good is in the record at once, with the server's answer, and a retry brings it to sent."""
    post.server.script = {"RCPT": ["550 5.1.1 unknown"]}
    async with post.db.transaction() as session:
        done = await fan_out(session, "order.placed", [MailChannel.target(HELLO)])
    await post.work(DeliverMail)
    (delivery_id,) = done.delivery_ids
    found = await Deliveries(post.db).get(delivery_id)
    assert found is not None
    assert (found.status, found.attempts, found.response_status) == ("failed", 1, 550)
    await FailedJobs(post.db).retry(delivery_id, post.queue)
    await post.work(DeliverMail)
    found = await Deliveries(post.db).get(delivery_id)
    assert found is not None
    assert found.status == "sent"
    assert len(post.server.received) == 1


def test_the_target_of_a_mail() -> None:
    """It names all recipients and holds the mail as plain JSON, files included."""
    mail = Mail(
        to=["ann@example.com", "bob@example.com"],
        bcc="c@example.com",
        text="x",
        attachments=[MailAttachment("a", b"\xff")],
    )
    target = MailChannel.target(mail)
    assert (target.channel, target.job) == ("mail", DeliverMail)
    assert target.target == "ann@example.com, bob@example.com, c@example.com"
    assert Mail.model_validate(target.message) == mail


# -- in tests ----------------------------------------------------------------------------------------------------------


async def test_the_fake_keeps_mail(post: Post) -> None:
    """Within the block mail is kept, and neither sent nor queued; afterwards it goes as before."""
    with post.mailer.fake() as mails:
        mails.assert_nothing_sent()
        await post.mailer.send(HELLO, idempotency_key="7")
        job_id = await post.mailer.queue(post.queue, HELLO, delay=60)
        mails.assert_sent(to="ann@example.com", subject="Hello", where=lambda mail: mail.html is None, times=1)
        mails.assert_sent(to="bob@example.com", times=0)
        mails.assert_queued(to="ann@example.com")
        assert mails.sent[0].message_id == "<7@example.com>"
        assert (mails.queued[0].job_id, mails.queued[0].delay) == (job_id, 60)
        assert mails.queued[0].mail.sender is not None
        with post.mailer.fake() as inner:
            await post.mailer.send(Mail(to="Jörg <jm@bücher.example>", text="Hello"))
        inner.assert_sent(to="jm@bücher.example", times=1)
        mails.assert_sent(times=1)
    assert post.server.sessions == []
    assert await post.queue.size() == 0
    await post.mailer.send(HELLO)
    assert len(post.server.received) == 1


async def test_what_assertions_say(post: Post) -> None:
    """An assertion that fails says what was wanted, and lists what there was."""
    with post.mailer.fake() as mails:
        with pytest.raises(AssertionError, match="expected at least one mail sent, found none; nothing was sent"):
            mails.assert_sent()
        for number in range(12):
            await post.mailer.send(Mail(to=f"a{number}@example.com", subject=f"No. {number}", text="x"))
        await post.mailer.queue(post.queue, HELLO)
        with pytest.raises(AssertionError) as caught:
            mails.assert_sent(to="bob@example.com", subject="Hi", where=lambda _: True, times=2)
        text = str(caught.value)
        assert text.startswith(
            "expected 2 mail sent to 'bob@example.com' about 'Hi' that fits `where`, found none; sent was"
        )
        assert "'No. 9' to a9@example.com" in text
        assert text.endswith("and 2 more")
        with pytest.raises(AssertionError, match="expected no mail sent, found 12"):
            mails.assert_nothing_sent()
        with pytest.raises(AssertionError, match="expected 3 mail queued about 'Hello', found 1"):
            mails.assert_queued(subject="Hello", times=3)
        mails.sent.clear()
        with pytest.raises(AssertionError, match="expected no mail queued, found 1"):
            mails.assert_nothing_sent()


async def test_a_handler_with_a_mailer_in_memory() -> None:
    """A handler is tested with a mailer that keeps mail, and a mailer that is missing is named."""
    mailer = MailChannel("memory:")
    ctx = job_context(mailer=mailer, job=SendMail)
    await run_job(SendMail(mail=HELLO), ctx)
    mailer.kept.assert_sent(to="ann@example.com", times=1)
    assert mailer.kept.sent[0].message_id.startswith(f"<{ctx.job_id}@")
    queue = FakeQueue()
    await mailer.queue(queue, HELLO, 60)
    queue.assert_pushed(SendMail, where=lambda job: job.mail.subject == "Hello", times=1)


def test_what_errors_are() -> None:
    """One class stands for what may help later, another one for what never will."""
    assert not issubclass(DeliveryRefusedError, MailError)
    error: Any = DeliveryRefusedError("no", 550)
    assert error.status == 550
