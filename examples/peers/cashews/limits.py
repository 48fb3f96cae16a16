"""A function that may be called so often."""

import asyncio
import os

# --8<-- [start:limits]
from cashews import RateLimitError, cache

cache.setup(os.environ["REDIS_URL"])


@cache.rate_limit(limit=2, period="1m", key="login:{ip}")
async def login(ip: str) -> None:
    print("allowed")


async def attempt(ip: str) -> None:
    try:
        await login(ip)
    except RateLimitError:
        print("too many")


# --8<-- [end:limits]


async def main() -> None:
    for _ in range(3):
        await attempt("203.0.113.7")


if __name__ == "__main__":
    asyncio.run(main())
