"""Ten mails at once, then one each 0.1 seconds, over all workers."""

import asyncio

from rustforge.boot import boot

# --8<-- [start:rate]
from rustforge.jobs import Job, JobContext, RateLimit, Worker


class SendMail(Job):
    NAME = "mail.send"

    to: str

    def rate(self) -> RateLimit:
        return RateLimit("smtp", limit=10, per=1)

    async def handle(self, ctx: JobContext) -> None: ...


# --8<-- [end:rate]


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:use]
        await ctx.queue.push_many(
            [SendMail(to=f"user{n}@example.com") for n in range(12)]
        )
        stats = await ctx.queue.stats()
        print(stats.ready, "may start now,", stats.delayed, "have a later time")
        # --8<-- [end:use]
        await Worker(ctx).register(SendMail).run_until_empty()


asyncio.run(main())
