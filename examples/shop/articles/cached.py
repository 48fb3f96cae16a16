"""What of the articles is in the cache, under which keys, and for how long."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from rustforge.errors import RedisError
from rustforge.http import NotFound
from shop.models import Article
from shop.schemas import ArticlePage, ArticleSummary, StoredArticle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustforge.cache import Cache
    from rustforge.db import Database

_logger = logging.getLogger(__name__)
PER_PAGE = 20


# --8<-- [start:keys]
LISTS = "articles:list:"  # all pages of the list, and nothing else


def list_key(page: int) -> str:
    """Name the key of a page; the version changes when ArticlePage does."""
    return f"{LISTS}v1:{page}"


def article_key(slug: str) -> str:
    """Name the key of an article."""
    return f"articles:slug:v1:{slug}"


# --8<-- [end:keys]


# --8<-- [start:list]
async def list_articles(cache: Cache, db: Database, page: int) -> ArticlePage:
    """Read a page of the list, from the database once in five minutes."""
    return await cache.remember(
        list_key(page), 300, functools.partial(load_page, db, page)
    )


async def load_page(db: Database, page: int) -> ArticlePage:
    """Read a page of the list from the database."""
    published = Article.status == "published"
    async with db.reading() as session:
        count = (
            await session.scalar(
                select(func.count()).select_from(Article).where(published)
            )
            or 0
        )
        query = (
            select(Article)
            .where(published)
            .order_by(Article.created_at.desc(), Article.id.desc())
        )
        found = await session.scalars(
            query.limit(PER_PAGE).offset((page - 1) * PER_PAGE)
        )
        articles = [ArticleSummary.model_validate(article) for article in found]
    return ArticlePage(
        articles=articles, page=page, pages=max(1, -(-count // PER_PAGE))
    )


# --8<-- [end:list]


# --8<-- [start:article]
async def read_article(cache: Cache, db: Database, slug: str) -> StoredArticle:
    """Read an article, from the database once in five minutes."""
    return await cache.remember(
        article_key(slug), 300, functools.partial(load_article, db, slug)
    )


async def load_article(db: Database, slug: str) -> StoredArticle:
    """Read an article from the database."""
    async with db.reading() as session:
        found = await session.scalar(
            select(Article).where(
                Article.slug == slug, Article.status == "published"
            )
        )
        if found is None:
            raise NotFound("Article not found")
        return StoredArticle.model_validate(found)


# --8<-- [end:article]


# --8<-- [start:forget]
async def forget_articles(cache: Cache, slugs: Iterable[str]) -> None:
    """Throw out what shows these articles: after the commit, never before."""
    for slug in slugs:
        await cache.forget(article_key(slug))
    await cache.flush_prefix(LISTS)


async def try_to_forget(cache: Cache, slugs: Iterable[str]) -> None:
    """Do so for a request that has committed and so must not fail."""
    try:
        await forget_articles(cache, slugs)
    except RedisError as error:
        _logger.warning(
            "The cache shows old articles until the job has run: %s", error
        )


# --8<-- [end:forget]
