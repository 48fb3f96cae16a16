"""Remember what a function returns, by its arguments."""

# --8<-- [start:decorator]
import asyncio
from datetime import timedelta

from pydantic import BaseModel

from rustforge.cache import Cache, cached


class App:
    cache: Cache


class Article(BaseModel):
    id: int
    title: str


@cached(
    "article:{article_id}",
    timedelta(minutes=10),
    cache=lambda: App.cache,
    tags=["article:{article_id}"],
)
async def load_article(article_id: int) -> Article:
    print(f"loading article {article_id}")
    return Article(id=article_id, title="Hello")


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as App.cache:
        article = await load_article(7)  # Article, also for type checkers
        article = await load_article(7)
        print(article.title, load_article.key(7))

        await load_article.forget(7)
        await load_article(7)


asyncio.run(main())
# --8<-- [end:decorator]
