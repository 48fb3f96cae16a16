"""The jobs of articles."""

from __future__ import annotations

import re
from typing import ClassVar

from sqlalchemy import delete

from rustforge.jobs import Job, JobContext
from shop.articles.cached import forget_articles
from shop.articles.views import flush_views, views_key
from shop.models import Article, ArticleTerm

_WORD = re.compile(r"\w{2,40}")


# --8<-- [start:rebuild]
class RebuildArticleIndex(Job):
    """Writes by which words an article is found, and clears the cache of it."""

    NAME: ClassVar[str] = "article.rebuild_index"

    article_id: int
    slugs: list[str] = []

    def group_id(self) -> str:
        """Let the changes of one article take effect in their order."""
        return f"article:{self.article_id}"

    async def handle(self, ctx: JobContext) -> None:
        """Do so; when it has run twice, it is as if it had run once."""
        async with ctx.db.transaction() as session:
            article = await session.get(Article, self.article_id)
            await session.execute(
                delete(ArticleTerm).where(ArticleTerm.article_id == self.article_id)
            )
            if article is not None:
                words = set(
                    _WORD.findall(f"{article.title} {article.body}".lower())
                )
                session.add_all(
                    ArticleTerm(article_id=article.id, term=word)
                    for word in sorted(words)
                )
        # The request has done so, unless its process died, or Redis was away
        await forget_articles(ctx.cache, self.slugs)
        if article is None:
            await ctx.cache.forget(views_key(self.article_id))


# --8<-- [end:rebuild]


# --8<-- [start:flush]
class FlushArticleViews(Job):
    """Adds the views that were counted to the articles, each minute."""

    NAME: ClassVar[str] = "article.flush_views"

    async def handle(self, ctx: JobContext) -> None:
        """Add them."""
        ctx.logger.info("added %s views", await flush_views(ctx.cache, ctx.db))


# --8<-- [end:flush]
