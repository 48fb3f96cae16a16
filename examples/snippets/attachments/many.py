"""A gallery: add, read in order, reorder, remove."""

import asyncio

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rustforge.attachments import (
    AttachmentInput,
    AttachmentRules,
    Attachments,
    many_slot,
)
from rustforge.boot import BootContext, boot
from rustforge.errors import AttachmentRejectedError
from rustforge.storage import new_key


class Base(DeclarativeBase): ...


# --8<-- [start:model]
class Album(Base):
    __tablename__ = "albums"

    id: Mapped[int] = mapped_column(primary_key=True)
    photos = many_slot(AttachmentRules(allowed=["image/*"]), max_count=3)


# --8<-- [end:model]


# --8<-- [start:input]
async def store_own(ctx: BootContext, data: bytes, name: str) -> AttachmentInput:
    """Store a file of ours, which needs no checking."""
    path = new_key("albums", "photos", "png")
    await ctx.storage.put(path, data, content_type="image/png", inline=True)
    return AttachmentInput(
        path, "image/png", len(data), name=name, meta={"source": "import"}
    )


# --8<-- [end:input]


async def main() -> None:
    async with boot() as ctx:
        async with ctx.db.transaction() as session:
            await session.run_sync(
                lambda sync: Base.metadata.create_all(sync.connection())
            )
        files = [await store_own(ctx, b"...", f"{n}.png") for n in (1, 2, 3, 4)]
        async with ctx.db.transaction() as session:
            album = Album()
            session.add(album)
            # --8<-- [start:use]
            attachments = Attachments(session, ctx.storage)
            for file in files[:3]:
                await attachments.add(album, Album.photos, file)
            try:
                await attachments.add(album, Album.photos, files[3])
            except AttachmentRejectedError as error:
                print(f"{error.reason}: {error}")

            photos = await attachments.all(album, Album.photos)
            ids = [photo.id for photo in reversed(photos)]
            photos = await attachments.reorder(album, Album.photos, ids)
            print([photo.name for photo in photos])

            await attachments.remove(photos[1])
            photos = await attachments.all(album, "photos")
            print([photo.name for photo in photos], photos[0].meta)
            # --8<-- [end:use]


asyncio.run(main())
