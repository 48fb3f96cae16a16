"""Within a queue, jobs of a higher priority are claimed first."""

import asyncio

from rustforge.boot import boot

# --8<-- [start:priority]
from rustforge.jobs import Job, JobContext, Worker


class SendNewsletter(Job):
    NAME = "mail.newsletter"
    PRIORITY = "low"

    async def handle(self, ctx: JobContext) -> None:
        print("newsletter")


class SendPasswordReset(Job):
    NAME = "mail.password_reset"
    PRIORITY = "high"

    async def handle(self, ctx: JobContext) -> None:
        print("password reset")


# --8<-- [end:priority]


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:use]
        await SendNewsletter().dispatch(ctx.queue)
        await SendPasswordReset().dispatch(ctx.queue)

        worker = Worker(ctx, concurrency=1)
        worker.register(SendNewsletter, SendPasswordReset)
        await worker.run_until_empty()
        # --8<-- [end:use]


asyncio.run(main())
