"""Sweep what nobody has a row for."""

import asyncio
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.attachments import (
    AttachmentInput,
    AttachmentRules,
    Attachments,
    SweepOrphans,
    single_slot,
    sweep,
)
from rustforge.boot import boot
from rustforge.clock import ManualClock
from rustforge.jobs import Scheduler
from rustforge.storage import new_key


class Base(DeclarativeBase): ...


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover = single_slot(AttachmentRules(allowed=["image/*"]))


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:schedule]
        scheduler = Scheduler(ctx.queue)
        scheduler.cron("30 3 * * *", SweepOrphans(owners=["articles"]))
        # --8<-- [end:schedule]
        path = new_key("articles", "cover", "png")
        stored = await ctx.storage.put(path, b"...")
        for key in (new_key("articles", "cover", "png"), "articles/logo.png"):
            await ctx.storage.put(key, b"...")
        async with ctx.db.transaction() as session:
            await session.run_sync(
                lambda sync: Base.metadata.create_all(sync.connection())
            )
            article = Article(id=1)
            session.add(article)
            file = AttachmentInput(path, "image/png", 3)
            await Attachments(session, ctx.storage).set(article, "cover", file)
        # --8<-- [start:sweep]
        async with ctx.db.transaction() as session:
            await session.execute(text("DELETE FROM articles"))

        swept = await sweep(ctx.db, ctx.storage, owners=["articles"])
        print(swept)
        # --8<-- [end:sweep]
        tomorrow = ManualClock(stored.modified.timestamp() + 25 * 3600)
        # --8<-- [start:tomorrow]
        swept = await sweep(
            ctx.db, ctx.storage, older_than=timedelta(days=1), clock=tomorrow
        )
        print(swept)
        print([stored.key async for stored in ctx.storage.list()])
        # --8<-- [end:tomorrow]


asyncio.run(main())
