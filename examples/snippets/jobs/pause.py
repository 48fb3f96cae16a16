"""Pause a queue, look at it, and go on."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class SendMail(Job):
    NAME = "mail.send"

    to: str

    async def handle(self, ctx: JobContext) -> None:
        print("mail to", self.to)


async def main() -> None:
    async with boot() as ctx:
        worker = Worker(ctx).register(SendMail)
        # --8<-- [start:pause]
        await ctx.queue.pause()
        job_id = await SendMail(to="ann@example.com").dispatch(ctx.queue)
        await worker.run_until_empty()  # takes nothing

        stats = await ctx.queue.stats()
        print(stats.ready, "ready, paused:", stats.paused)

        view = await ctx.queue.show(job_id)
        if view:
            print(view.name, view.payload)

        await ctx.queue.resume()
        await worker.run_until_empty()
        # --8<-- [end:pause]


asyncio.run(main())
