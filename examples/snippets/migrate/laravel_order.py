"""Unique jobs and order, for users of Laravel."""

import asyncio

from rustforge.boot import boot

# --8<-- [start:order]
from rustforge.jobs import Job, JobContext, Worker


class Reindex(Job):
    NAME = "article.reindex"

    article_id: int

    def unique_key(self) -> str:
        return f"reindex:{self.article_id}"

    async def handle(self, ctx: JobContext) -> None:
        print("index", self.article_id)


class Book(Job):
    NAME = "account.book"

    account_id: int
    amount: int

    def group_id(self) -> str:  # one at a time, in order
        return f"account:{self.account_id}"

    async def handle(self, ctx: JobContext) -> None:
        print("book", self.amount)


# --8<-- [end:order]


async def main() -> None:
    async with boot() as ctx:
        await Reindex(article_id=7).dispatch(ctx.queue)
        await Reindex(article_id=7).dispatch(ctx.queue)
        for amount in (100, -30):
            await Book(
                account_id=3, amount=amount
            ).dispatch(ctx.queue)
        worker = Worker(ctx, concurrency=2)
        worker.register(Reindex, Book)
        await worker.run_until_empty()


asyncio.run(main())
