"""Separate work that must not wait from work that takes long."""

import asyncio

from rustforge.boot import boot

# --8<-- [start:queues]
from rustforge.jobs import Job, JobContext, Worker


class SendLoginCode(Job):
    NAME = "mail.login_code"
    QUEUE = "urgent"

    async def handle(self, ctx: JobContext) -> None:
        print("login code")


class RenderReport(Job):
    NAME = "report.render"
    QUEUE = "reports"

    async def handle(self, ctx: JobContext) -> None:
        print("report")


# --8<-- [end:queues]


async def main() -> None:
    async with boot() as ctx:
        await RenderReport().dispatch(ctx.queue)
        await SendLoginCode().dispatch(ctx.queue)
        # --8<-- [start:workers]
        quick = Worker(ctx, queues=["urgent", "reports"], concurrency=50)
        slow = Worker(ctx, queues=["reports"], concurrency=2)
        # --8<-- [end:workers]
        for worker in (quick, slow):
            worker.register(SendLoginCode, RenderReport)
            await worker.run_until_empty()


asyncio.run(main())
