"""Of equal jobs, one at a time; and the result of one."""

import asyncio

# --8<-- [start:unique]
from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Queue, Worker


class Rebuild(Job):
    NAME = "rebuild"
    RESULT_TTL = 3600

    site: str

    def unique_key(self) -> str:
        return f"sitemap:{self.site}"

    async def handle(self, ctx: JobContext) -> str:
        return f"sitemap of {self.site}"


async def ask_twice(queue: Queue) -> str:
    first = await Rebuild(site="shop").dispatch(queue)
    second = await Rebuild(site="shop").dispatch(queue)
    print(first == second)  # it is there already
    return first


async def show(queue: Queue, job_id: str) -> None:
    print(await queue.result(job_id, type=str))


# --8<-- [end:unique]


async def main() -> None:
    async with boot() as ctx:
        job_id = await ask_twice(ctx.queue)
        await (
            Worker(ctx).register(Rebuild).run_until_empty()
        )
        await show(ctx.queue, job_id)


asyncio.run(main())
