"""Define a job, dispatch it, and run it in the same process."""

# --8<-- [start:first]
import asyncio

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class RebuildArticleIndex(Job):
    NAME = "article.rebuild_index"

    article_id: int

    async def handle(self, ctx: JobContext) -> None:
        print(f"rebuilding the index of article {self.article_id}")


async def main() -> None:
    async with boot() as ctx:
        await RebuildArticleIndex(article_id=7).dispatch(ctx.queue)

        await Worker(ctx).register(RebuildArticleIndex).run_until_empty()


asyncio.run(main())
# --8<-- [end:first]
