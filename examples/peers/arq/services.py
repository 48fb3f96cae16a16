"""What the worker opens for its jobs."""

import os
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

REDIS = RedisSettings.from_dsn(os.environ["REDIS_URL"])


class Texting:
    async def send(self, number: str) -> None:
        print("text to", number)

    async def aclose(self) -> None:
        print("closed")


# --8<-- [start:services]
async def startup(ctx: dict[str, Any]) -> None:
    ctx["texting"] = Texting()


async def shutdown(ctx: dict[str, Any]) -> None:
    await ctx["texting"].aclose()


async def send_welcome(
    ctx: dict[str, Any], number: str
) -> None:
    await ctx["texting"].send(number)


class WorkerSettings:
    functions = [send_welcome]
    on_startup = startup
    on_shutdown = shutdown
    redis_settings = REDIS


# --8<-- [end:services]


async def enqueue() -> None:
    redis = await create_pool(REDIS)
    await redis.enqueue_job("send_welcome", "+15550100")
    await redis.aclose()


if __name__ == "__main__":
    from _worker import work

    work(enqueue, WorkerSettings)
