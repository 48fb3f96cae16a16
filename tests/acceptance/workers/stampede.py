"""One process among several: it carries out the orders that come on standard input and reports on standard output.

Each order is a line of JSON with the name of a function here under `do`, and that function's arguments. Each function
says `ready` once it is connected and waits for one more line before it starts.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from rustforge.cache import Cache, NearCache
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "tagged": {"tags": ["articles"]},
    "stale": {"stale": 60},
    "refresh": {"stale": 60, "patience": None},  # with a stale value that the test has put there
}
LEASE = 1.0


def say(word: str, **facts: Any) -> None:
    """Write one line that the test reads."""
    sys.stdout.write(json.dumps({"word": word, **facts}) + "\n")
    sys.stdout.flush()


async def listen() -> dict[str, Any]:
    """Read one line of the test; nothing at the end."""
    line = await asyncio.to_thread(sys.stdin.readline)
    heard: dict[str, Any] = json.loads(line) if line else {}
    return heard


async def ask(url: str, prefix: str, callers: int, shape: str) -> None:
    """Ask for one key many times at once.

    The factory counts itself in Redis, says `holding` and waits until Redis has the key `PREFIX:go`, or for ever when
    `PREFIX:hang` has the number of its call. At the end the process says `done`, the distinct values that the callers
    got, and how many of them there were. Told to `cancel`, it cancels all callers.
    """
    async with Cache.connect(url, prefix=prefix) as cache:
        client = cache.client

        async def factory() -> int:
            call: int = await client.call("INCR", f"{prefix}:calls")
            say("holding", call=call)
            hang = await client.call("GET", f"{prefix}:hang", retry=True)
            if hang is not None and int(hang) == call:
                await asyncio.Event().wait()
            await wait_until(lambda: client.call("EXISTS", f"{prefix}:go", retry=True), timeout=30)
            return call

        say("ready")
        cancels = (await listen())["cancels"]
        asked = [
            asyncio.create_task(cache.remember("key", 60, factory, lease=LEASE, **SHAPES[shape]))
            for _ in range(callers)
        ]
        if cancels:
            await listen()
            for task in asked:
                task.cancel()
        results = await asyncio.gather(*asked, return_exceptions=True)
        values = [value for value in results if isinstance(value, int)]
        say("done", values=sorted(set(values)), count=len(values))


async def lock(url: str, prefix: str, turns: int, hold: bool) -> None:
    """Take the lock so many times, saying `inside` each time, and count what nobody else may touch meanwhile.

    With `hold`, keep it for ever.
    """
    async with Cache.connect(url, prefix=prefix) as cache:
        say("ready")
        await listen()
        for _ in range(turns):
            async with cache.lock("l", lease=LEASE):
                say("inside")
                if hold:
                    await asyncio.Event().wait()
                before = int(await cache.get("count") or 0)
                await asyncio.sleep(0)
                await cache.set("count", str(before + 1))
        say("done")


async def limit(url: str, prefix: str, calls: int, allowed: int, per: float) -> None:
    """Count calls against a limit, and say how many were let through."""
    async with Cache.connect(url, prefix=prefix) as cache:
        say("ready")
        await listen()
        answers = await asyncio.gather(*[cache.rate_limit("l", allowed, per) for _ in range(calls)])
        say("done", allowed=sum(answer.allowed for answer in answers))


async def read(url: str, prefix: str, last: int) -> None:
    """Read a number from the near cache until it is the last one, and say whether it ever went backwards."""
    async with Cache.connect(url, prefix=prefix, near=NearCache()) as cache:
        say("ready")
        await listen()
        newest, backwards = 0, 0
        async with asyncio.timeout(30):
            while newest < last:
                found = int(await cache.get("number") or 0)
                backwards += found < newest
                newest = found
                await asyncio.sleep(0)
        say("done", backwards=backwards, near_hits=cache.statistics().near_hits)


ORDERS: dict[str, Callable[..., Awaitable[None]]] = {"ask": ask, "lock": lock, "limit": limit, "read": read}


async def main() -> None:
    """Carry out orders until the input ends."""
    while order := await listen():
        await ORDERS[order.pop("do")](**order)
        say("idle")


if __name__ == "__main__":
    asyncio.run(main())
