"""Let a thousand callers miss at the same time."""

import asyncio

from rustforge.cache import Cache

calls = 0


async def load() -> str:
    global calls  # noqa: PLW0603 - to count them
    calls += 1
    await asyncio.sleep(0.1)
    return "hello"


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:misses]
        answers = await asyncio.gather(
            *[cache.remember("greeting", 60, load) for _ in range(1_000)]
        )
        print(len(answers), "answers from", calls, "computation")
        # --8<-- [end:misses]


asyncio.run(main())
