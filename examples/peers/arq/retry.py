"""A job that is tried again."""

import os
from typing import Any

# --8<-- [start:retry]
from arq import Retry, create_pool, func
from arq.connections import RedisSettings

REDIS = RedisSettings.from_dsn(os.environ["REDIS_URL"])


async def fetch_rates(ctx: dict[str, Any]) -> None:
    print("attempt", ctx["job_try"])
    try:
        await ask_the_bank(ctx["job_try"])
    except ConnectionError as error:
        raise Retry(defer=ctx["job_try"]) from error


class WorkerSettings:
    functions = [func(fetch_rates, max_tries=3)]
    redis_settings = REDIS


# --8<-- [end:retry]


async def ask_the_bank(attempt: int) -> None:
    if attempt < 3:
        raise ConnectionError("the bank does not answer")
    print("got the rates")


async def enqueue() -> None:
    redis = await create_pool(REDIS)
    await redis.enqueue_job("fetch_rates")
    await redis.aclose()


if __name__ == "__main__":
    from _worker import work

    work(enqueue, WorkerSettings)
