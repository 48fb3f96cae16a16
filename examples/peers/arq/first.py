"""A job, the call that enqueues it, and the worker's settings."""

# --8<-- [start:first]
import os
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

REDIS = RedisSettings.from_dsn(os.environ["REDIS_URL"])


async def send_receipt(
    ctx: dict[str, Any], order_id: int
) -> None:
    print(f"receipt of order {order_id}")


async def place_order() -> None:
    redis = await create_pool(REDIS)
    await redis.enqueue_job("send_receipt", 7)
    await redis.aclose()


class WorkerSettings:  # arq app.WorkerSettings
    functions = [send_receipt]
    redis_settings = REDIS
    max_jobs = 50


# --8<-- [end:first]

if __name__ == "__main__":
    from _worker import work

    work(place_order, WorkerSettings)
