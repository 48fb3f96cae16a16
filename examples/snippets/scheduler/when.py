"""Fire only under a condition, and make the job of the instant."""

import asyncio
from datetime import datetime

from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext, Scheduler, Worker


class Report(Job):
    NAME = "report"

    day: str

    async def handle(self, ctx: JobContext) -> None: ...


class Sync(Job):
    NAME = "sync"

    async def handle(self, ctx: JobContext) -> None: ...


def schedule(ctx: BootContext) -> Scheduler:
    scheduler = Scheduler(ctx.queue)

    # --8<-- [start:when]
    async def is_enabled() -> bool:
        return await ctx.cache.get("sync") == "on"

    scheduler.every(0.5, Sync()).when(is_enabled)

    # --8<-- [end:when]
    # --8<-- [start:made]
    def report_of(instant: datetime) -> Report:
        return Report(day=f"{instant:%Y-%m-%d}")  # in the time zone of the entry

    scheduler.cron("5 0 * * *", report_of, timezone="America/New_York")
    # --8<-- [end:made]
    return scheduler


async def main() -> None:
    async with boot() as ctx:
        scheduler = schedule(ctx)
        await scheduler.tick()
        await asyncio.sleep(0.6)
        assert not await scheduler.tick()
        await ctx.cache.set("sync", "on")
        await asyncio.sleep(0.6)
        assert await scheduler.tick()
        await Worker(ctx).register(Report, Sync).run_until_empty()


asyncio.run(main())
