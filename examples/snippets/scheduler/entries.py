"""List the entries with their next instants."""

import asyncio
from datetime import UTC, datetime, timedelta

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Scheduler, Worker


class CheckFeeds(Job):
    NAME = "feeds.check"

    async def handle(self, ctx: JobContext) -> None: ...


async def main() -> None:
    async with boot() as ctx:
        scheduler = Scheduler(ctx.queue, timezone="Europe/Berlin")
        # --8<-- [start:entries]
        scheduler.cron("0 8 * * *", CheckFeeds()).named("morning")

        for entry in await scheduler.entries():
            print(
                entry.name,
                "|",
                entry.job,
                "|",
                entry.schedule,
                f"| {entry.next:%H:%M}",
            )
        # --8<-- [end:entries]
        assert (await scheduler.entries())[0].next - datetime.now(UTC) <= timedelta(
            days=1
        )
        await Worker(ctx).register(CheckFeeds).run_until_empty()


asyncio.run(main())
