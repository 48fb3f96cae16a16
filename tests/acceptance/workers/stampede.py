"""Ask for one key many times at once, as told over standard input, and report over standard output.

Run as `python -m tests.acceptance.workers.stampede URL PREFIX CALLERS SHAPE`, where SHAPE is `plain`, `tagged` or
`stale`. It says `ready`, waits for a line, and starts. The factory counts itself in Redis, says `holding` and waits
until Redis has the key `PREFIX:go`, or for ever when Redis has `PREFIX:hang` with the number of its call. At the end the process
says `done`, the distinct values that the callers got, and how many of them there were.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from rustforge.cache import Cache
from tests.support.wait import wait_until

SHAPES: dict[str, dict[str, Any]] = {"plain": {}, "tagged": {"tags": ["articles"]}, "stale": {"stale": 60}}
LEASE = 1.0


def say(word: str, **facts: Any) -> None:
    """Write one line that the test reads."""
    print(json.dumps({"word": word, **facts}), flush=True)


async def main() -> None:
    """Do what the module says."""
    url, prefix, callers, shape = sys.argv[1:]
    async with Cache.connect(url, prefix=prefix) as cache:
        client = cache.client

        async def factory() -> int:
            call: int = await client.call("INCR", f"{prefix}:calls")
            say("holding", call=call)
            hang = await client.call("GET", f"{prefix}:hang")
            if hang is not None and int(hang) == call:
                await asyncio.Event().wait()
            await wait_until(lambda: client.call("EXISTS", f"{prefix}:go"), timeout=30)
            return call

        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        asked = [cache.remember("key", 60, factory, lease=LEASE, **SHAPES[shape]) for _ in range(int(callers))]
        values = await asyncio.gather(*asked)
        say("done", values=sorted(set(values)), count=len(values))


if __name__ == "__main__":
    asyncio.run(main())
