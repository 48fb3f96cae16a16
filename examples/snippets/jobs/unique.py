"""Of jobs with the same key, the queue holds one unfinished at most."""

import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


# --8<-- [start:unique]
class RebuildSitemap(Job):
    NAME = "sitemap.rebuild"

    site: str

    def unique_key(self) -> str:
        return f"{self.NAME}:{self.site}"

    async def handle(self, ctx: JobContext) -> None:
        print("rebuilding", self.site)


# --8<-- [end:unique]


async def main() -> None:
    async with boot() as ctx:
        worker = Worker(ctx).register(RebuildSitemap)
        # --8<-- [start:use]
        first = await RebuildSitemap(site="shop").dispatch(ctx.queue)
        second = await RebuildSitemap(site="shop").dispatch(ctx.queue)
        print(first == second, await ctx.queue.size())

        await worker.run_until_empty()
        third = await RebuildSitemap(site="shop").dispatch(ctx.queue)  # a new one
        print(first == third)
        # --8<-- [end:use]
        await worker.run_until_empty()


asyncio.run(main())
