"""Jobs that run later, and at fixed times."""

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

# --8<-- [start:import]
from rustforge.boot import BootContext
from rustforge.jobs import Job, JobContext, Queue, Scheduler

# --8<-- [end:import]
from rustforge.testing import time_travel


# --8<-- [start:schedule]
class SendDigest(Job):
    NAME = "mail.digest"

    async def handle(self, ctx: JobContext) -> None: ...


def make_scheduler(queue: Queue) -> Scheduler:
    scheduler = Scheduler(queue, timezone="Europe/Berlin")
    scheduler.cron("30 7 * * mon-fri", SendDigest())
    return scheduler


async def remind(ctx: BootContext) -> None:
    await SendDigest().dispatch(ctx.queue, delay=3600)
    # --8<-- [end:schedule]


async def main() -> None:
    friday = datetime(2027, 1, 1, 11, tzinfo=UTC)
    async with time_travel(friday) as time:
        await remind(time.ctx)
        [entry] = await make_scheduler(
            time.ctx.queue
        ).entries()
        print(
            f"{entry.next.astimezone(ZoneInfo('Europe/Berlin')):%a %d %b %H:%M}"
        )


asyncio.run(main())
