"""The counter of views: chapter 10 of the cookbook."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from rustforge.testing import run_until_empty
from shop.articles import views
from shop.articles.views import count_view, flush_views, views_key
from shop.jobs.articles import FlushArticleViews
from shop.models import Article
from shop.schemas import StoredArticle
from shop.worker import registry

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from rustforge.boot import BootContext


async def add(ctx: BootContext, slug: str = "hello") -> StoredArticle:
    """Make an article."""
    async with ctx.db.transaction() as session:
        article = Article(slug=slug, title="Hello", body="")
        session.add(article)
        await session.flush()
        return StoredArticle.model_validate(article)


async def stored_views(ctx: BootContext, article: StoredArticle) -> int:
    """Read how many views the row has."""
    async with ctx.db.reading() as session:
        return (
            await session.scalars(
                select(Article.view_count).where(Article.id == article.id)
            )
        ).one()


async def test_a_view_is_counted_by_reading(
    client: AsyncClient, ctx: BootContext
) -> None:
    """Each reading counts, is shown at once, and is in the row after the flush."""
    article = await add(ctx)
    shown = [
        (await client.get("/articles/hello")).json()["data"]["views"]
        for _ in range(3)
    ]
    assert shown == [1, 2, 3]
    assert await stored_views(ctx, article) == 0

    await FlushArticleViews().dispatch(ctx.queue)
    await run_until_empty(ctx, registry)
    assert await stored_views(ctx, article) == 3
    assert (await client.get("/articles/hello")).json()["data"]["views"] == 4


# --8<-- [start:flush]
async def test_no_view_is_lost_during_the_flush(ctx: BootContext) -> None:
    """Views that are counted while two flushes run are each added once."""
    article = await add(ctx)

    async def read() -> None:
        for _ in range(200):
            await count_view(ctx.cache, article)
            await asyncio.sleep(0)

    async def flush() -> None:
        for _ in range(10):
            await flush_views(ctx.cache, ctx.db)

    await asyncio.gather(read(), read(), flush(), flush())
    await flush_views(ctx.cache, ctx.db)

    assert await stored_views(ctx, article) == 400


# --8<-- [end:flush]


# --8<-- [start:crash]
async def test_a_flush_that_dies_loses_and_doubles_nothing(
    ctx: BootContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush that ends before its commit leaves all of it to the next one."""
    article = await add(ctx)
    for _ in range(5):
        await count_view(ctx.cache, article)

    class Died(BaseException): ...

    def die(*_: Any) -> int:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(views, "added_since", die)
        with pytest.raises(Died):
            await flush_views(ctx.cache, ctx.db)
    await count_view(ctx.cache, article)
    await flush_views(ctx.cache, ctx.db)
    await flush_views(ctx.cache, ctx.db)

    assert await stored_views(ctx, article) == 6


# --8<-- [end:crash]


async def test_a_flush_that_is_late_changes_nothing(
    ctx: BootContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush that stood still meanwhile finds the mark moved, and adds nothing."""
    article = await add(ctx)
    await count_view(ctx.cache, article)
    read, gone_on = asyncio.Event(), asyncio.Event()
    many = ctx.cache.many

    class Slow:
        async def many(self, keys: list[str]) -> list[str | None]:
            found = await many(keys)
            read.set()
            await gone_on.wait()
            return found

    late = asyncio.create_task(flush_views(Slow(), ctx.db))  # type: ignore[arg-type]
    await read.wait()
    await count_view(ctx.cache, article)
    assert await flush_views(ctx.cache, ctx.db) == 2
    gone_on.set()

    assert await late == 0
    assert await stored_views(ctx, article) == 2


async def test_a_counter_that_redis_has_lost_begins_anew(ctx: BootContext) -> None:
    """What was added before stays, and what is counted from then on is added."""
    article = await add(ctx)
    for _ in range(5):
        await count_view(ctx.cache, article)
    await flush_views(ctx.cache, ctx.db)
    await ctx.cache.forget(views_key(article.id))

    await flush_views(ctx.cache, ctx.db)
    await count_view(ctx.cache, article)
    await flush_views(ctx.cache, ctx.db)

    assert await stored_views(ctx, article) == 6


async def test_invalidation_does_not_reach_the_counters(
    client: AsyncClient, admin: dict[str, str]
) -> None:
    """A write throws out lists and articles, and no counter."""
    made = await client.post(
        "/articles", json={"slug": "hello", "title": "a", "body": ""}, headers=admin
    )
    await client.get("/articles/hello")
    await client.patch(
        f"/articles/{made.json()['data']['id']}", json={"title": "b"}, headers=admin
    )

    assert (await client.get("/articles/hello")).json()["data"]["views"] == 2


async def test_more_articles_than_one_batch(
    ctx: BootContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flush goes through all articles, however many there are."""
    monkeypatch.setattr(views, "_BATCH", 2)
    articles = [await add(ctx, f"a{number}") for number in range(5)]
    for article in articles:
        await count_view(ctx.cache, article)

    assert await flush_views(ctx.cache, ctx.db) == 5
