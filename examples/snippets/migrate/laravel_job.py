"""The first job of the page for users of Laravel."""

import asyncio

# --8<-- [start:job]
from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class SendWelcome(Job):
    NAME = "text.welcome"

    number: str

    def max_retries(self) -> int:
        return 2  # three attempts

    def backoff(self, attempt: int) -> float:
        return (1, 5)[attempt]

    async def handle(self, ctx: JobContext) -> None:
        await ctx.extensions["texting"].send(self.number)

    async def failed(
        self, ctx: JobContext, error: str
    ) -> None: ...  # tell somebody


# --8<-- [end:job]


class Texting:
    async def send(self, number: str) -> None:
        print("text to", number)


async def main() -> None:
    async with boot(
        extensions={"texting": Texting()}
    ) as ctx:
        await SendWelcome(number="+15550100").dispatch(
            ctx.queue
        )
        await (
            Worker(ctx)
            .register(SendWelcome)
            .run_until_empty()
        )


asyncio.run(main())
