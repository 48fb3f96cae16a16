"""Arrange in transactions of their own, and look afterwards."""

import asyncio
import os
import sys

import pytest
from sqlalchemy import MetaData, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.boot import BootContext
from rustforge.testing import TransactionError


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)


@pytest.fixture
def rustforge_metadata() -> MetaData:
    return Base.metadata


async def publish(ctx: BootContext, slug: str) -> None:
    async with ctx.db.transaction() as session:
        session.add(Article(slug=slug))


# --8<-- [start:arrange]
@pytest.fixture
async def article(rustforge_ctx: BootContext) -> Article:
    async with rustforge_ctx.db.transaction() as session:
        article = Article(slug="hello")
        session.add(article)
    return article  # committed: the application sees it


async def test_many_at_once(rustforge_ctx: BootContext, article: Article) -> None:
    slugs = [f"article-{number}" for number in range(50)]
    await asyncio.gather(*[publish(rustforge_ctx, slug) for slug in slugs])

    async with rustforge_ctx.db.reading() as session:
        assert await session.scalar(select(func.count(Article.id))) == 51


# --8<-- [end:arrange]
# --8<-- [start:order]
async def test_the_order_of_two_transactions(rustforge_ctx: BootContext) -> None:
    outer = AsyncSession(rustforge_ctx.db.engine)
    outer.add(Article(slug="draft"))
    await outer.flush()  # not committed
    await publish(rustforge_ctx, "hello")  # lies within it
    with pytest.raises(TransactionError, match="end the outer one before"):
        await outer.rollback()


# --8<-- [end:order]


if __name__ == "__main__":  # as `pytest` does, with nothing but the two plugins
    from pytest_asyncio import plugin as asyncio_plugin

    from rustforge.testing import plugin

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    modes = ["-oasyncio_mode=auto", "-oasyncio_default_fixture_loop_scope=function"]
    options = [*modes, f"-c{os.devnull}", "--rootdir=.", "-s", "-pno:terminal"]
    command = [*options, "-pno:cacheprovider", "--import-mode=importlib", __file__]
    sys.exit(pytest.main(command, plugins=[plugin, asyncio_plugin]))
