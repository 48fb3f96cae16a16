"""Attach a picture to a row, read it, and replace it."""

import asyncio
from io import BytesIO

from PIL import Image
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# --8<-- [start:first]
from rustforge.attachments import (
    AttachmentRules,
    Attachments,
    attachment_jobs,
    receive,
    single_slot,
)
from rustforge.boot import BootContext, boot
from rustforge.jobs import OutboxFlusher, Worker


class Base(DeclarativeBase): ...


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    cover = single_slot(AttachmentRules(allowed=["image/*"]))


async def set_cover(ctx: BootContext, article: Article, data: bytes) -> str:
    file = await receive(
        ctx.storage,
        data,
        Article.cover.rules,
        owner="articles",
        field="cover",
    )
    async with ctx.db.transaction() as session:
        attachments = Attachments(session, ctx.storage)
        cover = await attachments.set(article, Article.cover, file)
        print(cover.content_type, cover.width, cover.height)
        return attachments.url(cover)


# --8<-- [end:first]


def picture(width: int, height: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "PNG")
    return file.getvalue()


async def count(ctx: BootContext) -> int:
    return len([stored async for stored in ctx.storage.list("articles")])


async def main() -> None:
    async with boot() as ctx:
        async with ctx.db.transaction() as session:
            await session.run_sync(
                lambda sync: Base.metadata.create_all(sync.connection())
            )
            article = Article(id=1)
            session.add(article)
        # --8<-- [start:use]
        url = await set_cover(ctx, article, picture(640, 400))
        print(url.startswith("/files/articles/cover/"))
        await set_cover(ctx, article, picture(320, 200))
        # --8<-- [end:use]
        await OutboxFlusher(ctx).flush()  # by itself it comes a moment later
        # --8<-- [start:worker]
        worker = Worker(ctx).register(*attachment_jobs)
        # --8<-- [end:worker]
        await worker.run_until_empty()
        print("objects in the storage:", await count(ctx))


asyncio.run(main())
