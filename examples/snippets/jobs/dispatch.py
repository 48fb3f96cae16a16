"""Dispatch now, later, and many at once."""

import asyncio
from datetime import timedelta

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class SendReminder(Job):
    NAME = "mail.reminder"

    user_id: int

    async def handle(self, ctx: JobContext) -> None:
        print("reminding user", self.user_id)


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:dispatch]
        job_id = await SendReminder(user_id=1).dispatch(ctx.queue)
        print(len(job_id), "characters")

        await SendReminder(user_id=2).dispatch(ctx.queue, delay=timedelta(hours=1))

        reminders = [SendReminder(user_id=number) for number in range(3, 1003)]
        ids = await ctx.queue.push_many(reminders)
        print(len(ids), "ids, in order")

        stats = await ctx.queue.stats()
        print(stats.ready, "ready,", stats.delayed, "delayed")
        # --8<-- [end:dispatch]
        assert await ctx.queue.clear() == 1002
        await Worker(ctx).register(SendReminder).run_until_empty()


asyncio.run(main())
