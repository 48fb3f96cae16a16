"""The first test: what is committed is seen, and gone when the test ends."""

import os
import sys

import pytest
from sqlalchemy import MetaData, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.boot import BootContext
from rustforge.settings import Settings


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)


async def create_article(ctx: BootContext, slug: str) -> None:
    async with ctx.db.transaction() as session:
        session.add(Article(slug=slug))
    await ctx.cache.forget("articles")


# --8<-- [start:metadata]
@pytest.fixture
def rustforge_metadata() -> MetaData:
    return Base.metadata


# --8<-- [end:metadata]
# --8<-- [start:settings]
@pytest.fixture
def rustforge_settings() -> Settings:
    return Settings(mail_from="Shop <shop@example.com>", debug=True)


# --8<-- [end:settings]
# --8<-- [start:test]
async def test_an_article_is_created(rustforge_ctx: BootContext) -> None:
    await create_article(rustforge_ctx, "hello")
    async with rustforge_ctx.db.reading() as session:
        assert await session.scalar(select(func.count(Article.id))) == 1


async def test_the_next_test_finds_nothing(rustforge_ctx: BootContext) -> None:
    await create_article(rustforge_ctx, "hello")  # the slug is free again


# --8<-- [end:test]


async def test_settings(rustforge_ctx: BootContext) -> None:
    assert rustforge_ctx.settings.debug
    assert rustforge_ctx.settings.redis_url == "memory://"


if __name__ == "__main__":  # as `pytest` does, with nothing but the two plugins
    from pytest_asyncio import plugin as asyncio_plugin

    from rustforge.testing import plugin

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    modes = ["-oasyncio_mode=auto", "-oasyncio_default_fixture_loop_scope=function"]
    options = [*modes, f"-c{os.devnull}", "--rootdir=.", "-s", "-pno:terminal"]
    command = [*options, "-pno:cacheprovider", "--import-mode=importlib", __file__]
    sys.exit(pytest.main(command, plugins=[plugin, asyncio_plugin]))
