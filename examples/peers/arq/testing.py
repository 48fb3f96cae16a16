"""A test that runs what was enqueued."""

import asyncio
import os
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

REDIS = RedisSettings.from_dsn(os.environ["REDIS_URL"])
receipts: list[int] = []


async def send_receipt(
    ctx: dict[str, Any], order_id: int
) -> None:
    receipts.append(order_id)


async def place_order(redis: Any, order_id: int) -> None:
    await redis.enqueue_job("send_receipt", order_id)


# --8<-- [start:testing]
async def test_an_order_brings_a_receipt() -> None:
    redis = await create_pool(REDIS)  # a server
    await place_order(redis, 7)
    worker = Worker(
        [send_receipt], redis_pool=redis, burst=True
    )
    await worker.run_check()
    assert receipts == [7]


# --8<-- [end:testing]

if __name__ == "__main__":
    asyncio.run(test_an_order_brings_a_receipt())
    print("passed")
