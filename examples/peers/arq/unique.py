"""Of equal jobs, one at a time; and the result of one."""

import os
from typing import Any

# --8<-- [start:unique]
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.jobs import Job

REDIS = RedisSettings.from_dsn(os.environ["REDIS_URL"])


async def rebuild(ctx: dict[str, Any], site: str) -> str:
    return f"sitemap of {site}"


async def ask_twice(redis: ArqRedis) -> None:
    key = "sitemap:shop"
    await redis.enqueue_job("rebuild", "shop", _job_id=key)
    second = await redis.enqueue_job(
        "rebuild", "shop", _job_id=key
    )
    print(second is None)  # it is there already


async def show(redis: ArqRedis) -> None:
    job = Job("sitemap:shop", redis)
    print(await job.result(timeout=5))


# --8<-- [end:unique]


class WorkerSettings:
    functions = [rebuild]
    redis_settings = REDIS


async def enqueue() -> None:
    redis = await create_pool(REDIS)
    await ask_twice(redis)
    await redis.aclose()


async def look() -> None:
    redis = await create_pool(REDIS)
    await show(redis)
    await redis.aclose()


if __name__ == "__main__":
    import asyncio

    from _worker import work

    work(enqueue, WorkerSettings)
    asyncio.run(look())
