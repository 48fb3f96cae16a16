"""Articles over HTTP, and their cache: chapter 10 of the cookbook."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from rustforge.testing import run_until_empty
from shop.articles import cached
from shop.schemas import ArticlePage  # noqa: TC001 - `remember` reads it
from shop.worker import registry

if TYPE_CHECKING:
    from collections.abc import Generator

    import pytest
    from httpx2 import AsyncClient

    from rustforge.boot import BootContext


# --8<-- [start:statements]
@contextmanager
def statements(ctx: BootContext) -> Generator[list[str]]:
    """Collect the SQL statements of the block."""
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        del connection, cursor
        found.append(statement)

    engine = ctx.db.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


# --8<-- [end:statements]


async def write(
    client: AsyncClient, admin: dict[str, str], slug: str = "hello", **fields: str
) -> int:
    """Make an article; return its id."""
    article = {"slug": slug, "title": "Hello", "body": "A short text.", **fields}
    response = await client.post("/articles", json=article, headers=admin)
    assert response.status_code == 201, response.text
    made: int = response.json()["data"]["id"]
    return made


async def titles(client: AsyncClient) -> list[str]:
    """List the titles of the first page."""
    response = await client.get("/articles")
    return [article["title"] for article in response.json()["data"]["articles"]]


async def title(client: AsyncClient, slug: str) -> str | None:
    """Read the title of an article."""
    response = await client.get(f"/articles/{slug}")
    found: str | None = response.json().get("data", {}).get("title")
    return found


# --8<-- [start:cached]
async def test_the_second_request_asks_no_database(
    client: AsyncClient, admin: dict[str, str], ctx: BootContext
) -> None:
    """What was read before is in the cache: no SQL is run."""
    await write(client, admin)
    first = [await client.get("/articles"), await client.get("/articles/hello")]

    with statements(ctx) as found:
        second = [
            await client.get("/articles"),
            await client.get("/articles/hello"),
        ]

    assert found == []
    assert second[0].json() == first[0].json()
    assert second[1].json()["data"]["body"] == "A short text."


# --8<-- [end:cached]


# --8<-- [start:fresh]
async def test_a_change_is_seen_at_once(
    client: AsyncClient, admin: dict[str, str]
) -> None:
    """After each kind of write the next request shows it, in list and article."""
    article_id = await write(client, admin)
    assert await titles(client) == ["Hello"]

    await write(client, admin, "second", title="Second")
    assert await titles(client) == ["Second", "Hello"]
    assert await title(client, "hello") == "Hello"

    change = {"title": "Evening", "slug": "evening"}
    await client.patch(f"/articles/{article_id}", json=change, headers=admin)
    assert await titles(client) == ["Second", "Evening"]
    assert await title(client, "evening") == "Evening"
    assert await title(client, "hello") is None

    await client.delete(f"/articles/{article_id}", headers=admin)
    assert await titles(client) == ["Second"]
    assert await title(client, "evening") is None


# --8<-- [end:fresh]


# --8<-- [start:rollback]
async def test_a_change_that_is_rolled_back_leaves_the_cache(
    client: AsyncClient, admin: dict[str, str], ctx: BootContext
) -> None:
    """A write that fails throws nothing out: what is cached is still right."""
    await write(client, admin)
    await write(client, admin, "other", title="Other")
    before = await titles(client)

    taken = await client.post(
        "/articles", json={"slug": "hello", "title": "x", "body": ""}, headers=admin
    )
    assert taken.status_code == 422

    with statements(ctx) as found:
        assert await titles(client) == before
    assert found == []


# --8<-- [end:rollback]


# --8<-- [start:stampede]
async def test_fifty_misses_load_once(
    client: AsyncClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty requests that miss at once make one query, and all get its answer."""
    await write(client, admin)
    loads = 0
    load = cached.load_page

    async def counting(*args: Any) -> ArticlePage:
        nonlocal loads
        loads += 1
        return await load(*args)

    monkeypatch.setattr(cached, "load_page", counting)
    answers = await asyncio.gather(*[titles(client) for _ in range(50)])

    assert loads == 1
    assert answers == [["Hello"]] * 50


# --8<-- [end:stampede]


async def test_a_reader_who_began_before_the_commit_does_not_leave_the_old(
    client: AsyncClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that was read before a write is not stored after it."""
    article_id = await write(client, admin)
    reading, written = asyncio.Event(), asyncio.Event()
    load = cached.load_page

    async def slow(*args: Any) -> ArticlePage:
        page = await load(*args)
        reading.set()
        await written.wait()
        return page

    monkeypatch.setattr(cached, "load_page", slow)
    early = asyncio.create_task(titles(client))
    await reading.wait()
    monkeypatch.setattr(cached, "load_page", load)
    await client.patch(
        f"/articles/{article_id}", json={"title": "New"}, headers=admin
    )
    written.set()
    await early

    assert await titles(client) == ["New"]


async def test_a_process_that_dies_after_the_commit_leaves_nothing_old_for_long(
    client: AsyncClient,
    admin: dict[str, str],
    ctx: BootContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the request could not throw out, the job of its transaction does."""
    article_id = await write(client, admin)
    await run_until_empty(ctx, registry)
    assert await titles(client) == ["Hello"]

    async def nothing(*_: Any) -> None: ...

    monkeypatch.setattr("shop.articles.service.try_to_forget", nothing)
    await client.patch(
        f"/articles/{article_id}", json={"title": "New"}, headers=admin
    )
    assert await titles(client) == ["Hello"]

    await run_until_empty(ctx, registry)
    assert await titles(client) == ["New"]


async def test_drafts_are_shown_to_nobody(
    client: AsyncClient, admin: dict[str, str]
) -> None:
    """A draft is neither listed nor read nor found, until it is published."""
    article_id = await write(client, admin, status="draft")
    assert await titles(client) == []
    assert (await client.get("/articles/hello")).status_code == 404

    await client.patch(
        f"/articles/{article_id}", json={"status": "published"}, headers=admin
    )
    assert (await client.get("/articles/hello")).status_code == 200


async def test_an_article_is_found_by_its_words(
    client: AsyncClient, admin: dict[str, str], ctx: BootContext
) -> None:
    """The job indexes what was committed last, and what is deleted is not found."""
    article_id = await write(client, admin, body="A lighthouse.")
    await run_until_empty(ctx, registry)
    found = await client.get("/articles/search", params={"word": "Lighthouse"})
    assert [article["slug"] for article in found.json()["data"]] == ["hello"]

    await client.patch(
        f"/articles/{article_id}", json={"body": "A harbour."}, headers=admin
    )
    await run_until_empty(ctx, registry)
    assert (
        await client.get("/articles/search", params={"word": "lighthouse"})
    ).json()["data"] == []

    await client.delete(f"/articles/{article_id}", headers=admin)
    await run_until_empty(ctx, registry)
    assert (
        await client.get("/articles/search", params={"word": "harbour"})
    ).json()["data"] == []


async def test_only_staff_write(client: AsyncClient) -> None:
    """Without the token, or with another one, no write is done."""
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic YTpi"},
    ):
        response = await client.post(
            "/articles",
            json={"slug": "a", "title": "a", "body": ""},
            headers=headers,
        )
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert await titles(client) == []
