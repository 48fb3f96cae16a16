"""Objects follow their rows: after the commit, and never after a rollback."""

import asyncio

from sqlalchemy import delete
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.attachments import (
    AttachmentInput,
    AttachmentRules,
    Attachments,
    attachment_jobs,
    single_slot,
)
from rustforge.boot import BootContext, boot
from rustforge.jobs import OutboxFlusher, Worker
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
        for article in articles:
            path = new_key("articles", "cover", "png")
            await ctx.storage.put(path, b"...")
            file = AttachmentInput(path, "image/png", 3)
            await Attachments(session, ctx.storage).set(article, "cover", file)


async def count(ctx: BootContext) -> int:
    await OutboxFlusher(ctx).flush()  # by itself it comes a moment later
    await Worker(ctx).register(*attachment_jobs).run_until_empty()
    return len([stored async for stored in ctx.storage.list("articles")])


# --8<-- [start:rollback]
async def delete_and_fail(ctx: BootContext) -> None:
    async with ctx.db.transaction() as session:
        await session.delete(await session.get_one(Article, 1))
        raise RuntimeError("changed our mind")


# --8<-- [end:rollback]


async def main() -> None:
    async with boot() as ctx:
        await prepare(ctx)
        print("objects:", await count(ctx))
        # --8<-- [start:use]
        try:
            await delete_and_fail(ctx)
        except RuntimeError:
            print("rolled back, objects:", await count(ctx))
        # --8<-- [end:use]
        # --8<-- [start:delete]
        async with ctx.db.transaction() as session:
            article = await session.get_one(Article, 1)
            await session.delete(article)  # and with it what it cascades to
        print("deleted one, objects:", await count(ctx))

        async with ctx.db.transaction() as session:
            await session.execute(delete(Article).where(Article.id > 1))
        print("deleted the others, objects:", await count(ctx))
        # --8<-- [end:delete]


asyncio.run(main())
