"""An article from its beginning to its end: chapter 11 of the cookbook, step 5."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sqlalchemy import func, select

from rustforge.testing import run_until_empty
from shop.models import Article
from shop.worker import registry

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

    from rustforge.boot import BootContext
    from rustforge.testing import FakeStorage


# --8<-- [start:picture]
def picture(width: int = 40, height: int = 30) -> bytes:
    """Draw a PNG."""
    file = io.BytesIO()
    Image.new("L", (width, height), 128).save(file, "PNG")
    return file.getvalue()


async def upload(
    client: AsyncClient,
    article_id: int,
    data: bytes,
    name: str,
    admin: dict[str, str],
) -> Response:
    """Put a cover to an article."""
    files = {"file": (name, data, "image/png")}
    path = f"/articles/{article_id}/cover"
    return await client.put(path, files=files, headers=admin)


# --8<-- [end:picture]


async def create(client: AsyncClient, admin: dict[str, str]) -> int:
    """Make an article; return its id."""
    article = {"slug": "hello", "title": "Hello", "body": "A short text."}
    response = await client.post("/articles", json=article, headers=admin)
    assert response.status_code == 201
    made: int = response.json()["data"]["id"]
    return made


# --8<-- [start:flow]
async def test_the_life_of_an_article(
    client: AsyncClient,
    admin: dict[str, str],
    ctx: BootContext,
    rustforge_storage: FakeStorage,
) -> None:
    """Create, read, update, delete, with a cover; in the end nothing is left."""
    article_id = await create(client, admin)
    read = await client.get("/articles/hello")
    assert read.json()["data"]["title"] == "Hello"

    response = await upload(client, article_id, picture(), "hello.png", admin)
    cover = response.json()["data"]
    assert (cover["width"], cover["height"]) == (40, 30)
    await rustforge_storage.assert_count(1, "articles/cover/")

    await client.patch(
        f"/articles/{article_id}", json={"title": "Goodbye"}, headers=admin
    )
    read = await client.get("/articles/hello")
    assert read.json()["data"]["title"] == "Goodbye"
    await run_until_empty(ctx, registry)
    found = await client.get("/articles/search", params={"word": "goodbye"})
    assert [one["id"] for one in found.json()["data"]] == [article_id]

    await client.delete(f"/articles/{article_id}", headers=admin)
    assert (await client.get("/articles/hello")).status_code == 404
    await run_until_empty(ctx, registry)
    async with ctx.db.reading() as session:
        assert await session.scalar(select(func.count(Article.id))) == 0
    await rustforge_storage.assert_count(0)


# --8<-- [end:flow]


# --8<-- [start:hostile]
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cover.svg"),
        (b"<html><script>alert(1)</script></html>", "cover.png"),
        (picture()[:50], "cover.png"),
        (picture(6_000, 5_000), "bomb.png"),
    ],
    ids=["SVG", "HTML named PNG", "cut off", "30 megapixels"],
)
async def test_covers_that_are_refused(
    client: AsyncClient,
    admin: dict[str, str],
    rustforge_storage: FakeStorage,
    data: bytes,
    name: str,
) -> None:
    """The bytes count, not the name or the type that a client tells."""
    article_id = await create(client, admin)
    response = await upload(client, article_id, data, name, admin)
    assert response.status_code == 422
    assert "cover" in response.json()["errors"]
    await rustforge_storage.assert_count(0)


async def test_a_name_that_climbs(
    client: AsyncClient, admin: dict[str, str], rustforge_storage: FakeStorage
) -> None:
    """A client's file name is never a part of the key."""
    article_id = await create(client, admin)
    response = await upload(
        client, article_id, picture(), "../../etc/passwd.png", admin
    )
    assert response.status_code == 200
    [stored] = [one.key async for one in rustforge_storage.list()]
    assert stored.startswith("articles/cover/")
    assert "passwd" not in stored


# --8<-- [end:hostile]


# --8<-- [start:alone]
@pytest.mark.parametrize("time", ["first", "second"])
async def test_each_test_begins_with_nothing(
    client: AsyncClient, admin: dict[str, str], time: str
) -> None:
    """The same address twice: what the other test committed is gone."""
    await create(client, admin)


# --8<-- [end:alone]
