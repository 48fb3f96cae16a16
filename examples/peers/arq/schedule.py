"""A job at fixed times, and one that waits."""

import os
from typing import Any

# --8<-- [start:schedule]
from zoneinfo import ZoneInfo

from arq import ArqRedis, create_pool, cron
from arq.connections import RedisSettings

REDIS = RedisSettings.from_dsn(os.environ["REDIS_URL"])


async def send_digest(ctx: dict[str, Any]) -> None: ...


async def remind(redis: ArqRedis) -> None:
    await redis.enqueue_job("send_digest", _defer_by=3600)


class WorkerSettings:
    functions = [send_digest]
    cron_jobs = [
        cron(
            send_digest,
            weekday={0, 1, 2, 3, 4},
            hour=7,
            minute=30,
        )
    ]
    timezone = ZoneInfo("Europe/Berlin")
    redis_settings = REDIS


# --8<-- [end:schedule]


async def main() -> None:
    redis = await create_pool(REDIS)
    await remind(redis)
    await redis.aclose()
    friday = datetime(
        2027, 1, 1, 12, tzinfo=WorkerSettings.timezone
    )
    [entry] = WorkerSettings.cron_jobs
    entry.calculate_next(friday)
    print(f"{entry.next_run:%a %d %b %H:%M}")


if __name__ == "__main__":
    import asyncio
    from datetime import datetime

    asyncio.run(main())
