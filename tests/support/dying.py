"""A process that puts objects into a folder and is killed, so that nothing of it is tidied up.

`wait` puts one, says `waiting` in the middle, and waits to be killed. `sweep` forks a child for each point: just before
and just after each call that changes something on the disk; it tells what each one has left, a JSON object a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from rustforge.errors import ObjectNotFoundError
from rustforge.storage import Storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CALLS = ("open", "write", "utime", "fsync", "link", "replace", "unlink", "mkdir")
MANY = 100
KEY = "a/b"
BEFORE = b"before" * 1000
AFTER = b"after" * 500_000


def die_at(when: str, name: str, number: int) -> None:
    """Kill this process just before or just after the so-manieth call of a function."""
    function: Callable[..., Any] = getattr(os, name)
    calls = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if (when, calls) == ("before", number):
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if (when, calls) == ("after", number):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(os, name, call)


async def prepare(url: str, *, overwrite: bool) -> None:
    """Remove the object, or put the old one."""
    async with Storage.connect(url) as storage:
        await storage.delete(KEY)
        if overwrite:
            await storage.put(KEY, BEFORE, metadata={"n": "before"})


async def put(url: str, *, overwrite: bool, wait: bool = False) -> None:
    """Put the new object."""

    async def pieces() -> AsyncIterator[bytes]:
        yield AFTER[:1_500_000]
        if wait:
            sys.stdout.write("waiting\n")
            sys.stdout.flush()
            await asyncio.Event().wait()
        yield AFTER[1_500_000:]

    async with Storage.connect(url) as storage:
        await storage.put(KEY, pieces(), overwrite=overwrite, metadata={"n": "after"})


async def look(url: str) -> dict[str, Any]:
    """Tell what is there."""
    async with Storage.connect(url) as storage:
        found = [found.key async for found in storage.list()]
        try:
            data, head = await storage.get(KEY), await storage.head(KEY)
        except ObjectNotFoundError:
            return {"keys": found}
        names = {BEFORE: "before", AFTER: "after"}
        return {"keys": found, "data": names.get(data, "broken"), "metadata": head.metadata.get("n")}


def sweep(url: str, *, overwrite: bool) -> None:
    """Die at each point, and tell what is left."""
    for name in CALLS:
        for when in ("before", "after"):
            for number in range(1, MANY):
                asyncio.run(prepare(url, overwrite=overwrite))
                child = os.fork()
                if not child:
                    die_at(when, name, number)
                    asyncio.run(put(url, overwrite=overwrite))
                    os._exit(0)
                died = os.waitpid(child, 0)[1] == signal.SIGKILL
                left = asyncio.run(look(url))
                sys.stdout.write(json.dumps({"point": f"{when} {name} {number}", "died": died, **left}) + "\n")
                sys.stdout.flush()
                if not died:
                    break


if __name__ == "__main__":
    what, place, mode = sys.argv[1:]
    if what == "sweep":
        sweep(place, overwrite=mode == "overwrite")
    else:
        asyncio.run(put(place, overwrite=mode == "overwrite", wait=True))
