"""How often each article was read: counted in Redis, added to its row each minute.

The counter in Redis only ever grows. The row remembers how far it was when it was
last added, so a flush adds the difference, and takes nothing away in Redis.
Whatever dies in the middle, whatever is counted meanwhile, and however often a
flush is repeated: each view is added once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from rustforge.errors import RedisError
from shop.models import Article

if TYPE_CHECKING:
    from rustforge.cache import Cache
    from rustforge.db import Database
    from shop.schemas import StoredArticle

_BATCH = 500


# --8<-- [start:count]
def views_key(article_id: int) -> str:
    """Name the counter of an article; no prefix that is flushed covers it."""
    return f"views:article:{article_id}"


async def count_view(cache: Cache, article: StoredArticle) -> int:
    """Count a view; return all so far, those not in the row yet included."""
    try:
        counted = await cache.increment(views_key(article.id))
    except RedisError:  # a view is not worth an error
        return article.view_count
    return article.view_count + added_since(article.views_seen, counted)


# --8<-- [end:count]


# --8<-- [start:flush]
async def flush_views(cache: Cache, db: Database) -> int:
    """Add what was counted to the rows; return how many views."""
    total, last = 0, 0
    while True:
        async with (
            db.reading() as session
        ):  # before the counters are read, which have passed these marks
            query = (
                select(Article.id, Article.views_seen)
                .where(Article.id > last)
                .order_by(Article.id)
            )
            rows = (await session.execute(query.limit(_BATCH))).all()
        if not rows:
            return total
        last = rows[-1].id
        counters = await cache.many([views_key(row.id) for row in rows])
        async with db.transaction() as session:
            for row, counter in zip(rows, counters, strict=True):
                views = added_since(row.views_seen, int(counter or row.views_seen))
                if views:
                    # Only where no other flush was faster
                    unchanged = update(Article).where(
                        Article.id == row.id, Article.views_seen == row.views_seen
                    )
                    added = await session.scalar(
                        unchanged.values(
                            view_count=Article.view_count + views,
                            views_seen=int(counter or 0),
                            updated_at=Article.updated_at,
                        ).returning(Article.id)
                    )
                    total += views if added is not None else 0


def added_since(seen: int, counted: int) -> int:
    """Count the views since a mark; a counter below it was lost, and began anew."""
    return counted - seen if counted >= seen else counted


# --8<-- [end:flush]
