"""Write articles: a change and its job in one transaction, then the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from rustforge.attachments import Attachments
from rustforge.http import NotFound
from rustforge.jobs import JobBuffer
from shop.articles.cached import try_to_forget
from shop.jobs.articles import RebuildArticleIndex
from shop.models import Article, ArticleTerm
from shop.schemas import ArticleSummary, CoverView

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from rustforge.attachments import Attachment, AttachmentInput
    from shop.schemas import ArticleChange, NewArticle
    from shop.state import AppState


# --8<-- [start:create]
async def create_article(state: AppState, new: NewArticle) -> Article:
    """Make an article."""
    async with state.ctx.db.transaction() as session:
        article = Article(**new.model_dump())
        session.add(article)
        await session.flush()
        await RebuildArticleIndex(
            article_id=article.id, slugs=[article.slug]
        ).dispatch(JobBuffer(session))
    await try_to_forget(state.cache, [article.slug])  # after the commit
    return article


# --8<-- [end:create]


# --8<-- [start:update]
async def update_article(
    state: AppState, article_id: int, change: ArticleChange
) -> Article:
    """Change an article. Its slug may change, too; then both are thrown out."""
    async with state.ctx.db.transaction() as session:
        article = await find_article(session, article_id, lock=True)
        slugs = [article.slug]
        for name, value in change.model_dump(exclude_none=True).items():
            setattr(article, name, value)
        await session.flush()
        slugs.append(article.slug)
        await RebuildArticleIndex(article_id=article.id, slugs=slugs).dispatch(
            JobBuffer(session)
        )
    await try_to_forget(state.cache, slugs)
    return article


# --8<-- [end:update]


async def delete_article(state: AppState, article_id: int) -> None:
    """Delete an article; its picture goes with it, after the commit."""
    async with state.ctx.db.transaction() as session:
        article = await find_article(session, article_id, lock=True)
        slugs = [article.slug]
        await session.delete(article)
        await RebuildArticleIndex(article_id=article_id, slugs=slugs).dispatch(
            JobBuffer(session)
        )
    await try_to_forget(state.cache, slugs)


async def find_article(
    session: AsyncSession, article_id: int, *, lock: bool = False
) -> Article:
    """Find an article, published or not; with a lock, writers of it take turns."""
    article = await session.get(Article, article_id, with_for_update=lock)
    if article is None:
        raise NotFound("Article not found")
    return article


async def search_articles(state: AppState, word: str) -> list[ArticleSummary]:
    """Find published articles by a word. Everybody asks for another: no cache."""
    async with state.ctx.db.reading() as session:
        query = select(Article).join(
            ArticleTerm, ArticleTerm.article_id == Article.id
        )
        query = query.where(
            ArticleTerm.term == word.lower(), Article.status == "published"
        )
        found = await session.scalars(query.order_by(Article.id).limit(20))
        return [ArticleSummary.model_validate(article) for article in found]


async def set_cover(
    state: AppState, article_id: int, file: AttachmentInput
) -> CoverView:
    """Put a picture to an article, in place of the one that is there."""
    async with state.ctx.db.transaction() as session:
        article = await find_article(session, article_id)
        attachments = attachments_of(state, session)
        return show(
            attachments, await attachments.set(article, Article.cover, file)
        )


async def get_cover(state: AppState, article_id: int) -> CoverView:
    """Find the picture of an article."""
    async with state.ctx.db.reading() as session:
        attachments = attachments_of(state, session)
        cover = await attachments.get(
            await find_article(session, article_id), Article.cover
        )
        if cover is None:
            raise NotFound("The article has no cover")
        return show(attachments, cover)


async def clear_cover(state: AppState, article_id: int) -> None:
    """Take the picture off an article."""
    async with state.ctx.db.transaction() as session:
        await attachments_of(state, session).clear(
            await find_article(session, article_id), Article.cover
        )


def attachments_of(state: AppState, session: AsyncSession) -> Attachments:
    """Work with the files of a transaction."""
    return Attachments(
        session, state.ctx.storage, cdn_base_url=state.settings.cdn_base_url
    )


def show(attachments: Attachments, cover: Attachment) -> CoverView:
    """Describe a picture for clients."""
    return CoverView(
        url=attachments.url(cover),
        content_type=cover.content_type,
        width=cover.width,
        height=cover.height,
    )
