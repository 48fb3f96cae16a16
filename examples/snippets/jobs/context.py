"""What a handler gets."""

import asyncio

# --8<-- [start:context]
from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class Texting:
    async def send(self, number: str, text: str) -> None:
        print("text to", number, "saying", text)


class SendWelcome(Job):
    NAME = "text.welcome"

    number: str

    async def handle(self, ctx: JobContext) -> None:
        texting: Texting = ctx.extensions["texting"]  # a service of your own
        await texting.send(self.number, "Welcome")
        await ctx.cache.increment(
            "texts:sent"
        )  # the cache, the queue, the database
        print(
            "run number", ctx.fence, "attempt", ctx.attempt, "from", ctx.queue_name
        )
        ctx.logger.info(
            "sent"
        )  # the record carries job_id, job_name, queue, attempt


async def main() -> None:
    async with boot(extensions={"texting": Texting()}) as ctx:
        await SendWelcome(number="+15550100").dispatch(ctx.queue)
        await Worker(ctx).register(SendWelcome).run_until_empty()


# --8<-- [end:context]


asyncio.run(main())
