"""Read the covers of many rows in one query."""

import asyncio

from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.attachments import (
    AttachmentInput,
    AttachmentRules,
    Attachments,
    single_slot,
)
from rustforge.boot import BootContext, boot
from rustforge.storage import new_key


class Base(DeclarativeBase): ...


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover = single_slot(AttachmentRules(allowed=["image/*"]))


async def prepare(ctx: BootContext) -> None:
    async with ctx.db.transaction() as session:
        await session.run_sync(
            lambda sync: Base.metadata.create_all(sync.connection())
        )
        articles = [Article(id=id_) for id_ in (1, 2, 3)]
        session.add_all(articles)
        for article in articles[:2]:
            path = new_key("articles", "cover", "png")
            await ctx.storage.put(path, b"...")
            file = AttachmentInput(path, "image/png", 3, name=f"{article.id}.png")
            await Attachments(session, ctx.storage).set(article, "cover", file)


async def main() -> None:
    async with boot() as ctx:
        await prepare(ctx)
        async with ctx.db.reading() as session:
            # --8<-- [start:load]
            attachments = Attachments(
                session, ctx.storage, cdn_base_url="https://cdn.example.org"
            )
            articles = (await session.scalars(select(Article))).all()
            covers = await attachments.load(articles, Article.cover)
            for article in articles:
                cover = covers[article]
                print(article.id, cover.name if cover else "no cover")
            # --8<-- [end:load]
            first = covers[articles[0]]
            if first:
                # --8<-- [start:cdn]
                print(attachments.url(first)[:39])
                print(attachments.url("https://example.org/old.png"))
                # --8<-- [end:cdn]


asyncio.run(main())
