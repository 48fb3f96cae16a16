"""How jobs get on their way, for users of Laravel."""

import asyncio
from datetime import timedelta

from sqlalchemy import text

from rustforge.boot import BootContext, boot
from rustforge.jobs import (
    Job,
    JobBuffer,
    JobContext,
    OutboxFlusher,
    Worker,
)


class SendWelcome(Job):
    NAME = "text.welcome"

    number: str

    async def handle(self, ctx: JobContext) -> None:
        print("text to", self.number)


class Encode(Job):
    NAME = "video.encode"

    video_id: int

    async def handle(self, ctx: JobContext) -> None:
        print("encoded", self.video_id)


class Publish(Encode):
    NAME = "video.publish"

    async def handle(self, ctx: JobContext) -> None:
        print("published", self.video_id)


class ImportPage(Job):
    NAME = "catalogue.import_page"

    number: int

    async def handle(self, ctx: JobContext) -> None: ...


class Finish(Job):
    NAME = "catalogue.finish"

    async def handle(self, ctx: JobContext) -> None:
        print("imported", ctx.batch)


class SendReceipt(Job):
    NAME = "order.receipt"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        print("receipt of order", self.order_id)


# --8<-- [start:dispatch]
async def start(ctx: BootContext) -> None:
    welcome = SendWelcome(number="+15550100")
    await welcome.dispatch(ctx.queue)

    await welcome.dispatch(
        ctx.queue, delay=timedelta(minutes=10)
    )

    await ctx.queue.push_chain(
        [Encode(video_id=7), Publish(video_id=7)]
    )

    await ctx.queue.push_batch(
        [ImportPage(number=1), ImportPage(number=2)],
        then=Finish(),
    )


# --8<-- [end:dispatch]
INSERT = text(
    "INSERT INTO orders (id, total) VALUES (:id, :total)"
)


# --8<-- [start:commit]
async def place_order(
    ctx: BootContext, order_id: int, total: int
) -> None:
    order = {"id": order_id, "total": total}
    async with ctx.db.transaction() as session:
        await session.execute(INSERT, order)
        receipt = SendReceipt(order_id=order_id)
        await receipt.dispatch(JobBuffer(session))


# --8<-- [end:commit]


async def main() -> None:
    async with boot() as ctx:
        async with ctx.db.transaction() as session:
            await session.execute(
                text(
                    "CREATE TABLE orders (id INTEGER, total INTEGER)"
                )
            )
        await start(ctx)
        await place_order(ctx, 7, 120)
        await OutboxFlusher(ctx).flush()
        worker = Worker(ctx, concurrency=1)
        worker.register(SendWelcome, Encode, Publish)
        worker.register(ImportPage, Finish, SendReceipt)
        await worker.run_until_empty()


asyncio.run(main())
