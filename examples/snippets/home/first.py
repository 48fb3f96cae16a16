"""The first look: a value that is remembered, and a job that is run."""

# --8<-- [start:first]
import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class Greet(Job):
    NAME = "user.greet"

    name: str

    async def handle(self, ctx: JobContext) -> None:
        print("hello", self.name)


async def load_names() -> list[str]:
    print("loading")
    return ["Ada", "Grace"]


async def main() -> None:
    async with boot() as ctx:  # no server; REDIS_URL names one
        names = await ctx.cache.remember("names", 60, load_names)
        names = await ctx.cache.remember("names", 60, load_names)

        for name in names:
            await Greet(name=name).dispatch(ctx.queue)

        await Worker(ctx).register(Greet).run_until_empty()


asyncio.run(main())
# --8<-- [end:first]
