"""What a process hears of one channel or room, for all of its subscribers."""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from rustforge.errors import RedisError, RedisReplyError
from rustforge.notify.realtime.message import (
    ORIGIN,
    PRESENCE_EVENT,
    RealtimeItem,
    RealtimeMessage,
    ReplayGap,
    follow,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from rustforge.redis import RedisClient

__all__ = ["Feed"]

_logger = logging.getLogger("rustforge.notify")

KEPT_MESSAGES = 512
"""How many messages a feed keeps for subscribers that are a little late; those that are later read the stream."""

KEPT_BYTES = 1 << 20
"""How many bytes of messages it keeps."""

_OVERHEAD = 500
_PAGE = 256
_PAGE_BYTES = 256 << 10
_SLOWEST_RETRY = 2.0
_HEAD_MS = 24 * 3600 * 1000


class Feed:
    """The messages of one channel or room since the first subscriber came, the last of them kept.

    A key changes with every message, and Redis tells when it does. The feed asks to be told, then reads the stream from
    where it is: what comes in between is read or told of, many messages are one read, and after a lost connection it
    goes on where it was.

    Attributes:
        head: The key.
        last: The position up to which the stream has been read.
        first: The number of the first message that is kept; they are numbered as they come.
        peopled: Whether somebody is, or was, present here.
        listeners: Called when there is something new.
    """

    def __init__(self, client: RedisClient, base: str, channel: str, room: str | None) -> None:
        """Prepare; nothing is read before `start`."""
        self.base = base
        self.head: str = f"{base}:head"
        self.last: str = ORIGIN
        self.first: int = 0
        self.peopled: bool = False
        self.listeners: set[Callable[[], None]] = set()
        self._client = client
        self._log = f"{base}:log"
        self._live = f"{base}:live"
        self._channel = channel
        self._room = room
        self._lively = ORIGIN
        self._kept: deque[RealtimeItem] = deque()
        self._bytes = 0
        self._places: dict[str, int] = {}
        self._after_last = 0
        self._started = False
        self._closed = False
        self._changed = False
        self._failures = 0
        self._starting: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._pages: dict[str, asyncio.Task[list[RealtimeItem]]] = {}

    # -- listening -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen from now on; what was published before is not kept here.

        Raises:
            RedisError: Redis does not answer.
        """
        if self._starting is None:
            self._starting = _run(self._begin())
        await asyncio.shield(self._starting)

    async def _begin(self) -> None:
        try:
            value, _ = await self._client.track(self.head)
            newest = await self._client.call("XREVRANGE", self._log, "+", "-", "COUNT", 1, retry=True)
        except BaseException:
            self._starting = None
            raise
        self.last, self._lively = _read_head(value)
        if newest:
            self.last = newest[0][0].decode()
        self._started = True
        if self._changed:
            self.poke()

    def poke(self) -> None:
        """Read what there is, as it may be more than is known."""
        self._changed = True
        if self._started and self._reading is None and not self._closed:
            self._reading = _run(self._read_on())

    async def _read_on(self) -> None:
        try:
            while self._changed and not self._closed:
                self._changed = False
                await self._read()
            self._failures = 0
        except Exception as error:
            if not self._failures:
                unexpected = not isinstance(error, RedisError)
                _logger.warning("messages of %s wait until they can be read: %s", self.base, error, exc_info=unexpected)
            self._failures += 1
            pause = min(0.05 * 2**self._failures, _SLOWEST_RETRY) * random.uniform(0.5, 1)  # noqa: S311 - no secret
            self._retry = asyncio.get_running_loop().call_later(pause, self.poke)
        finally:
            self._reading = None

    async def _read(self) -> None:
        """Ask to be told of the next message, and read those that there are."""
        listening = asyncio.ensure_future(self._client.track(self.head))  # sent at once, before the reads
        if self._client.url.topology == "cluster":
            await asyncio.wait([listening])  # commands for a node may overtake each other while its slots move
        (value, left), (page, live) = await asyncio.gather(
            listening,
            self._ask(
                ("XRANGE", self._log, f"({self.last}", "+", "COUNT", _PAGE),
                ("XRANGE", self._live, f"({self._lively}", "+", "COUNT", _PAGE),
            ),
        )
        items = follow(self._channel, self._room, self.last, page, _read_head(value)[0])
        passing = [RealtimeMessage(self._channel, self._room, *entry) for entry in live]
        self.peopled |= any(message.event == PRESENCE_EVENT for message in passing)
        for item in _in_order(items, passing):
            self._keep(item)
        self._changed |= _PAGE in {len(page), len(live)}
        if items or passing:
            for listener in tuple(self.listeners):
                listener()
        if 0 <= left < _HEAD_MS // 2:  # those who listen are not to lose their place where nothing is said for long
            await self._client.call("PEXPIRE", self.head, _HEAD_MS, retry=True)

    async def _ask(self, *commands: tuple[str | int, ...]) -> list[Any]:
        """Run commands of which none may fail."""
        answers = await self._client.pipeline(commands, retry=True)
        for answer in answers:
            if isinstance(answer, RedisReplyError):
                raise answer
        return answers

    def _keep(self, item: RealtimeItem) -> None:
        """Keep an item for the subscribers, and let the oldest go."""
        number = self.first + len(self._kept)
        if isinstance(item, ReplayGap):
            self.last, self._after_last = item.id, number + 1
        elif item.previous is not None:
            self._places[item.previous] = number
            self.last, self._after_last = item.place, number + 1
        else:
            self._lively = item.place
        self._kept.append(item)
        self._bytes += _size(item)
        while len(self._kept) > KEPT_MESSAGES or (self._bytes > KEPT_BYTES and len(self._kept) > 1):
            gone = self._kept.popleft()
            self._bytes -= _size(gone)
            if isinstance(gone, RealtimeMessage) and self._places.get(gone.previous or "") == self.first:
                del self._places[gone.previous or ""]
            self.first += 1

    async def aclose(self) -> None:
        """End; subscribers are not told."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        tasks = [task for task in (self._starting, self._reading, *self._pages.values()) if task and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- for subscribers -----------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """The number of the message that comes next."""
        return self.first + len(self._kept)

    def number_after(self, position: str) -> int | None:
        """Find what comes after a position; `None` where that is not kept."""
        if position == self.last:
            return max(self._after_last, self.first)
        return self._places.get(position)

    def take(self, number: int, size: int) -> list[RealtimeItem]:
        """Return messages from a kept one on: at least one, if there is one, and no more than `size` bytes."""
        taken: list[RealtimeItem] = []
        for item in islice(self._kept, number - self.first, None):
            size -= _size(item)
            if taken and size < 0:
                break
            taken.append(item)
        return taken

    def read_after(self, position: str) -> Awaitable[list[RealtimeItem]]:
        """Read the stream after a position; those who are at the same one share the read.

        Raises:
            RedisError: Redis does not answer.
        """
        reading = self._pages.get(position)
        if reading is None:
            reading = self._pages[position] = _run(self._read_page(position))
            reading.add_done_callback(lambda _: self._pages.pop(position, None))
        return asyncio.shield(reading)

    async def _read_page(self, position: str) -> list[RealtimeItem]:
        usual = self._bytes // len(self._kept) if self._kept else _PAGE_BYTES // 32
        count = max(1, min(_PAGE, _PAGE_BYTES // usual))
        value, page = await self._ask(("GET", self.head), ("XRANGE", self._log, f"({position}", "+", "COUNT", count))
        return follow(self._channel, self._room, position, page, _read_head(value)[0])


def _run(work: Any) -> asyncio.Task[Any]:
    """Start a task whose failure somebody else may care about, or nobody."""
    task: asyncio.Task[Any] = asyncio.create_task(work, name="rustforge-realtime-feed")
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def _read_head(value: bytes | None) -> tuple[str, str]:
    """Read the ids of the last messages: the last durable one, and the last one that was published at most once."""
    if value is None:
        return ORIGIN, ORIGIN
    last, _, lively = value.decode().partition(" ")
    return last, lively


def _in_order(items: list[RealtimeItem], passing: list[RealtimeMessage]) -> Iterator[RealtimeItem]:
    """Merge both kinds, up to where one of them has more than was read."""
    ends = [_order(found[-1]) for found in (items, passing) if len(found) >= _PAGE]
    for item in heapq.merge(items, passing, key=_order):
        if ends and _order(item) > min(ends):
            return
        yield item


def _order(item: RealtimeItem) -> tuple[int, int]:
    place = item.place if isinstance(item, RealtimeMessage) else item.id
    number, _, within = place.partition("-")
    return int(number), int(within)


def _size(item: RealtimeItem) -> int:
    return len(item.body) + _OVERHEAD if isinstance(item, RealtimeMessage) else _OVERHEAD
