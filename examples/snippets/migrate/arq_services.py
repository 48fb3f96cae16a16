"""What the application opens for its jobs."""

import asyncio
from contextlib import aclosing

from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext, Worker


class Texting:
    async def send(self, number: str) -> None:
        print("text to", number)

    async def aclose(self) -> None:
        print("closed")


# --8<-- [start:services]
class SendWelcome(Job):
    NAME = "send_welcome"

    number: str

    async def handle(self, ctx: JobContext) -> None:
        texting: Texting = ctx.extensions["texting"]
        await texting.send(self.number)


async def work() -> None:
    async with aclosing(Texting()) as texting:
        services = {"texting": texting}
        async with boot(extensions=services) as ctx:
            worker = Worker(ctx).register(SendWelcome)
            await welcome(ctx)
            await worker.run_until_empty()  # or run()


# --8<-- [end:services]


async def welcome(ctx: BootContext) -> None:
    await SendWelcome(number="+15550100").dispatch(
        ctx.queue
    )


asyncio.run(work())
