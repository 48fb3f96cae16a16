"""One subscriber of a channel or room."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Self

from rustforge.errors import RealtimeError, RedisError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rustforge.notify.realtime.feed import Feed
    from rustforge.notify.realtime.message import RealtimeItem

__all__ = ["Subscription"]

_AT_ONCE = 64 << 10


class Subscription:
    """What [`RealtimePublisher.subscribe`][rustforge.notify.RealtimePublisher.subscribe] returns.

    Use it with `async with`, and iterate over it: it gives messages, and a
    [`ReplayGap`][rustforge.notify.ReplayGap] where some are missing. It has no queue that could grow: it is a place in
    what the process keeps for all subscribers, and one that falls behind that reads the stream instead.

    Attributes:
        position: The id of the last message that was given, or the place to begin: pass it as `since` to go on later.
        ended: Whether nothing comes any more, as the publisher was closed or `end` was called.

    Example:
        ```python
        async with ctx.realtime.subscribe("orders", room="42") as messages:
            async for message in messages:
                ...
        ```
    """

    def __init__(
        self,
        enter: Callable[[Subscription], Feed],
        leave: Callable[[Feed, Subscription], Awaitable[None]],
        since: str | None,
    ) -> None:
        """Prepare: `enter` gives the feed at the beginning, and `leave` is called at the end."""
        self.position: str = since or ""
        self.ended: bool = False
        self._enter = enter
        self._leave = leave
        self._since = since
        self._feed: Feed
        self._born = -1
        self._next: int | None = None
        self._read_to = ""
        self._waiting: asyncio.Future[None] | None = None
        self._woken = False
        self._taken: list[RealtimeItem] = []

    async def __aenter__(self) -> Self:
        """Subscribe; everything that is published from now on comes.

        Raises:
            RealtimeError: The publisher is closed.
            RedisError: Redis does not answer.
        """
        self._feed = feed = self._enter(self)
        feed.listeners.add(self._hear)
        try:
            await feed.start()
        except BaseException:
            await self._depart()
            raise
        self._born = feed.end
        self._read_to = self.position = feed.last if self._since is None else self._since
        self._next = feed.end if self._since is None else feed.number_after(self._since)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Unsubscribe."""
        self.end()
        await self._depart()

    async def _depart(self) -> None:
        self._feed.listeners.discard(self._hear)
        await self._leave(self._feed, self)

    def __aiter__(self) -> Self:
        """Give what comes, one after the other, until the subscription ends."""
        return self

    async def __anext__(self) -> RealtimeItem:
        """Wait for the next message.

        Raises:
            RealtimeError: The subscription is not used with `async with`.
        """
        while not self._taken:
            given = self.position
            self._taken = list(reversed(await self.batch()))
            self.position = given
            if self.ended and not self._taken:
                raise StopAsyncIteration
        item = self._taken.pop()
        self.position = item.id or self.position
        return item

    async def batch(self) -> Sequence[RealtimeItem]:
        """Wait for messages, and give those that there are, some 64 KiB of them at a time.

        Returns:
            At least one; none when the subscription has ended, or when somebody called `wake`.

        Raises:
            RealtimeError: The subscription is not used with `async with`.
        """
        if self._born < 0:
            msg = "a subscription begins with async with: async with realtime.subscribe(...) as messages"
            raise RealtimeError(msg)
        while not self.ended:
            items = self._take() if self._is_near else await self._catch_up()
            if items:
                self.position = self._read_to
                return items
            if self._woken:
                self._woken = False
                return ()
            if self._is_near and self._next == self._feed.end:
                await self._wait()
        return ()

    def wake(self) -> None:
        """Let `batch` return, with nothing if there is nothing."""
        self._woken = True
        self._hear()

    def end(self) -> None:
        """End the subscription, from whatever task."""
        self.ended = True
        self._hear()

    @property
    def _is_near(self) -> bool:
        """Whether what comes next is kept in the process."""
        return self._next is not None and self._next >= self._feed.first

    def _take(self) -> Sequence[RealtimeItem]:
        """Take what comes next out of what is kept; what was published at most once before it came is not for it."""
        start = self._next or 0
        items = self._feed.take(start, _AT_ONCE)
        self._next = start + len(items)
        if start < self._born:
            items = [item for number, item in enumerate(items, start) if number >= self._born or item.id is not None]
        for item in reversed(items):
            if item.id is not None:
                self._read_to = item.id
                break
        return items

    async def _catch_up(self) -> Sequence[RealtimeItem]:
        """Read what comes next out of the stream, until that is what the process keeps."""
        self._next = self._feed.number_after(self._read_to)
        if self._is_near:
            return ()
        try:
            items = await self._feed.read_after(self._read_to)
        except RedisError:
            await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - no secret; all of them must not ask at once
            return ()
        if items:
            self._read_to = items[-1].id or self._read_to
        elif self._feed.number_after(self._read_to) is None:  # the process has yet to hear of what was read here
            self._feed.poke()
            await self._wait()
        return items

    async def _wait(self) -> None:
        """Wait until there may be something new."""
        if self.ended or self._woken:
            return
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _hear(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
