"""Send jobs to Redis: all of one event-loop tick together, each batch once, however often it has to be sent.

A batch has a number, under which Redis keeps its answer until the sender has it. So a batch that comes again after a
lost answer changes nothing, even when its jobs are over by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from typing import TYPE_CHECKING, Any

from rustforge.errors import RedisError, RedisTimeoutError
from rustforge.jobs.scripts import ENQUEUE
from rustforge.redis.multiplexer import own_copy
from rustforge.redis.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from rustforge.redis import RedisClient
    from rustforge.types import CommandArgument

__all__ = ["Sender"]

_BATCH_JOBS = 500
_BATCH_BYTES = 1 << 20
_TRIES = 3
_QUIET_SECONDS = 0.05
_MANY_SETTLED = 64


class _Batch:
    """Jobs of one tick and one shard: those that may go straight to the ready ones, and the others."""

    __slots__ = ("create_future", "futures", "other_futures", "others", "plain", "room", "size")

    def __init__(self, loop: asyncio.AbstractEventLoop, room: int) -> None:
        self.create_future: Callable[[], asyncio.Future[str]] = loop.create_future
        self.plain: list[str | bytes] = []
        self.futures: list[asyncio.Future[str]] = []
        self.others: list[str | bytes | int] = []
        self.other_futures: list[asyncio.Future[str]] = []
        self.room = room
        self.size = 0

    @property
    def jobs(self) -> int:
        """How many there are."""
        return len(self.futures) + len(self.other_futures)

    def close(self) -> tuple[list[CommandArgument], list[Any], list[asyncio.Future[str]]]:
        """Return the arguments of the script, and the ids and the futures of its jobs, in its order."""
        args: list[CommandArgument] = [len(self.futures), *self.plain, *self.others]
        return args, self.plain[::2] + self.others[::3], self.futures + self.other_futures


class _Shard:
    """What was sent to one shard: how many batches are under way, and the numbers of those that are answered."""

    __slots__ = ("base", "busy", "marked", "quiet", "settled")

    def __init__(self, base: str) -> None:
        self.base = base
        self.busy = 0
        self.settled: list[int] = []
        self.marked = False
        self.quiet: asyncio.TimerHandle | None = None


class Sender:
    """Collects the jobs of a tick and sends them."""

    def __init__(self, client: RedisClient) -> None:
        """Send over this connection."""
        self._client = client
        self._identity = secrets.token_hex(8)
        self._lost = self._count_lost()  # connections that were lost before this identity was taken
        self._numbers = itertools.count(1)
        self._batches: dict[tuple[str, bool], _Batch] = {}
        self._shards: dict[str, _Shard] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = _BATCH_JOBS
        self._slices = Slices(_BATCH_JOBS)

    def add(
        self, base: str, job_id: str, body: bytes, wait: int | None = None, *, once: bool = False
    ) -> asyncio.Future[str]:
        """Put a job into this tick's batch.

        Args:
            base: The base key of its shard.
            job_id: Its id.
            body: Its body.
            wait: Milliseconds of its delay; `None` for a job that nothing can hold up, neither delay nor options.
            once: Whether its id may never come again.

        Returns:
            A future of the id under which it stands.
        """
        place = base, once
        batch = self._batches.get(place)
        if batch is None:
            loop = asyncio.get_running_loop()
            if not self._batches:
                loop.call_soon(self._send_all)
            batch = self._batches[place] = _Batch(loop, self._room)
        future = batch.create_future()
        if wait is None and not once:
            batch.plain += (job_id, body)
            batch.futures.append(future)
        else:
            batch.others += (job_id, body, wait or 0)
            batch.other_futures.append(future)
        batch.room -= 1
        batch.size += len(body)
        if not batch.room or batch.size > _BATCH_BYTES:
            self._slices.sliced = True
            self._send(place)
            self._client.flush()
        return future

    async def aclose(self) -> None:
        """Wait for what is being sent, and leave nothing behind."""
        while self._batches or self._tasks:
            self._send_all()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for shard in self._shards.values():
            if shard.quiet is not None:
                shard.quiet.cancel()
            if shard.marked:
                shard.marked = False
                await self._forget(shard.base)

    def _send_all(self) -> None:
        """Send what a tick brought, or what is left of it, and see whether the ticks are large now."""
        self._room = self._slices.end_tick(max((batch.jobs for batch in self._batches.values()), default=0))
        for place in tuple(self._batches):
            self._send(place)
        self._client.flush()

    def _send(self, place: tuple[str, bool]) -> None:
        """Send one batch now, so that its request leaves in this tick; a task waits for the answer."""
        batch = self._batches.pop(place)
        base, once = place
        shard = self._shards.get(base)
        if shard is None:
            shard = self._shards[base] = _Shard(base)
        if shard.quiet is not None:
            shard.quiet.cancel()
            shard.quiet = None
        settled: list[int] = []
        if len(shard.settled) >= _MANY_SETTLED:
            settled, shard.settled = shard.settled, settled
        number = next(self._numbers)
        args, ids, futures = batch.close()
        args[:0] = [self._identity, number, int(once), len(settled), *settled]
        shard.busy += 1
        shard.marked = True
        try:
            reply = self._client.run(ENQUEUE, [base], args, retry=True)
        except RedisError as error:
            self._end(shard)
            _refuse(futures, error)
        else:
            self._spawn(self._deliver(shard, reply, args, ids, futures))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self,
        shard: _Shard,
        reply: Awaitable[list[Any]],
        args: list[Any],
        ids: list[Any],
        futures: list[asyncio.Future[str]],
    ) -> None:
        """Wait for a batch's answer and tell its callers."""
        identity, number = args[:2]
        answered = False
        try:
            found = await self._answer(reply, shard.base, args)
            answered = self._count_lost() == self._lost
        except BaseException as error:
            _refuse(futures, error)
            if not isinstance(error, Exception):
                raise
            return
        finally:
            if not answered:
                self._leave_identity(identity)
            self._end(shard)
        if identity == self._identity:
            shard.settled.append(number)
        for index, other in zip(found[::2], found[1::2], strict=True):
            ids[int(index)] = other.decode()
        for future, job_id in zip(futures, ids, strict=True):
            if not future.done():
                future.set_result(job_id)

    def _end(self, shard: _Shard) -> None:
        """Note that a batch is over."""
        shard.busy -= 1
        if not shard.busy:
            shard.quiet = asyncio.get_running_loop().call_later(_QUIET_SECONDS, self._clean, shard)

    def _count_lost(self) -> int:
        return self._client.statistics()["lost"]

    def _leave_identity(self, identity: str) -> None:
        """Take another identity, and leave the marks of this one until they go by themselves, within a minute.

        After a lost connection or a time-out a batch may be on its way twice, and the second may arrive at any time.
        """
        if identity == self._identity:
            self._identity = secrets.token_hex(8)
            self._lost = self._count_lost()
            for shard in self._shards.values():
                shard.settled = []
                shard.marked = False

    async def _answer(self, reply: Awaitable[list[Any]], base: str, args: list[CommandArgument]) -> list[Any]:
        """Wait for the script; after a time-out it may have run, so it is called again under the same number."""
        for _ in range(_TRIES - 1):
            try:
                return await reply
            except RedisTimeoutError:
                reply = self._client.run(ENQUEUE, [base], args, retry=True)
        return await reply

    def _clean(self, shard: _Shard) -> None:
        """Forget the batches that were sent: their answers are here, so none of them comes again."""
        shard.quiet = None
        if not shard.busy and shard.marked:
            shard.marked = False
            shard.settled = []
            self._spawn(self._forget(shard.base))

    async def _forget(self, base: str) -> None:
        with contextlib.suppress(RedisError):  # it would go by itself within a minute
            # Sent once only: sent again, it could take the mark of a batch that is sent again behind it.
            await self._client.call("UNLINK", f"{base}:client:{self._identity}")


def _refuse(futures: list[asyncio.Future[str]], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(own_copy(error))
