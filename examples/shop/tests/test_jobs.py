"""Jobs, alone and with what leads to them: chapter 11 of the cookbook, step 4."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from rustforge.jobs import JobBuffer
from rustforge.notify import Deliveries, WebhookEndpoints
from rustforge.testing import job_context, run_job, run_until_empty
from shop.articles.service import create_article
from shop.jobs.articles import RebuildArticleIndex
from shop.jobs.orders import OrderPlacedFanout
from shop.models import Article, ArticleTerm
from shop.orders.service import place_order
from shop.schemas import NewArticle, NewItem, NewOrder
from shop.worker import registry

if TYPE_CHECKING:
    from rustforge.boot import BootContext
    from rustforge.testing import (
        FakeMailer,
        FakeQueue,
        OutboundHttp,
        TimeTraveler,
    )
    from shop.state import AppState

NEW_ARTICLE = NewArticle(slug="hello", title="Hello", body="A short text.")
NEW_ORDER = NewOrder(
    customer_email="ann@example.com", items=[NewItem(sku="mug", quantity=2)]
)


# --8<-- [start:handle]
async def test_an_article_is_found_by_its_words(ctx: BootContext) -> None:
    """The handler, by itself: what it does to the database."""
    async with ctx.db.transaction() as session:
        article = Article(slug="hello", title="Hello", body="A short text.")
        session.add(article)

    job = RebuildArticleIndex(article_id=article.id)
    await run_job(job, job_context(db=ctx.db, cache=ctx.cache))

    async with ctx.db.reading() as session:
        terms = set(await session.scalars(select(ArticleTerm.term)))
    assert terms == {"hello", "short", "text"}


# --8<-- [end:handle]


# --8<-- [start:pushed]
async def test_a_new_article_brings_its_job(
    state: AppState, rustforge_queue: FakeQueue
) -> None:
    """What is enqueued, without running it."""
    article = await create_article(state, NEW_ARTICLE)
    rustforge_queue.assert_pushed(
        RebuildArticleIndex,
        times=1,
        where=lambda job: job.article_id == article.id,
    )


async def test_a_transaction_that_fails_brings_none(
    ctx: BootContext, rustforge_queue: FakeQueue
) -> None:
    """The outbox is a part of the transaction: nothing is left of it."""

    async def begin_and_fail() -> None:
        async with ctx.db.transaction() as session:
            await RebuildArticleIndex(article_id=1).dispatch(JobBuffer(session))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await begin_and_fail()
    rustforge_queue.assert_nothing_pushed()


# --8<-- [end:pushed]


# --8<-- [start:work]
async def test_an_order_ends_in_the_mailbox(
    ctx: BootContext, state: AppState, rustforge_mails: FakeMailer
) -> None:
    """From the transaction to the mail: outbox, queue, fan-out and delivery."""
    await place_order(state, NEW_ORDER, key=None)
    statistics = await run_until_empty(ctx, registry)
    assert statistics.dead == 0
    rustforge_mails.assert_sent(to="ann@example.com", times=1)


# --8<-- [end:work]


# --8<-- [start:retry]
async def test_a_receiver_that_is_away(
    ctx: BootContext,
    state: AppState,
    rustforge_time: TimeTraveler,
    rustforge_http: OutboundHttp,
) -> None:
    """Retries wait for minutes and hours, and the test for none of them."""
    url = "https://partner.example.com/hook"
    async with ctx.db.transaction() as session:
        await WebhookEndpoints(session).add(url, ["order.*"])
    rustforge_http.respond("POST", url, status=503, times=2)
    rustforge_http.respond("POST", url, status=204)
    rustforge_time.register(*registry)

    await place_order(state, NEW_ORDER, key=None)
    await rustforge_time.travel(timedelta(hours=1))

    rustforge_http.assert_sent("POST", url, times=3)
    ids = {sent.headers["webhook-id"] for sent in rustforge_http.sent(url=url)}
    assert len(ids) == 1
    counts = await Deliveries(ctx.db).count(channel="webhook")
    assert counts["sent"] == 1


# --8<-- [end:retry]


# --8<-- [start:failed]
async def test_retries_that_are_used_up(
    caplog: pytest.LogCaptureFixture, ctx: BootContext
) -> None:
    """`failed()` is an ordinary method, and alerts go to the log in tests."""
    job = OrderPlacedFanout(order_id=7, event_id="order-placed:7")
    with caplog.at_level("INFO"):
        await job.failed(job_context(alerts=ctx.alerts), "the database is away")
    assert "An order was not fanned out" in caplog.text


# --8<-- [end:failed]
