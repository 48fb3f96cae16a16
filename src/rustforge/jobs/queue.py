"""Put jobs into queues, and look after them there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload
from zlib import crc32

from rustforge import codec
from rustforge.clock import milliseconds
from rustforge.errors import InvalidArgumentError, JobDecodeError, JobEncodeError
from rustforge.jobs.envelope import Envelope, enqueued_at, goes_straight, new_id
from rustforge.jobs.fake import FAKED, FakeQueue
from rustforge.jobs.job import Job, body_of, options_of
from rustforge.jobs.scripts import BATCH, MANAGE
from rustforge.jobs.sender import Sender
from rustforge.jobs.several import write_batch, write_chain
from rustforge.keys import KeySpace
from rustforge.redis import RedisClient, connect, escape_glob
from rustforge.redis.opening import Opening

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from rustforge.types import Duration

__all__ = ["DeadJob", "HeldGroup", "JobProgress", "JobView", "OpeningQueue", "QuarantinedJob", "Queue", "QueueStats"]

D = TypeVar("D")
T = TypeVar("T")

_SLICE = 500


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How a queue stands.

    Attributes:
        queue: Its name.
        ready: Jobs that a worker may take now.
        delayed: Jobs that wait for a time: a delay, a backoff, a rate.
        waiting: Jobs that wait for their turn in a group, or for a slot.
        running: Jobs that workers have.
        parked: Jobs with names that no worker knew.
        quarantined: Jobs that could not be read, or whose workers crashed too often.
        dead: Failed jobs that are not in SQL yet.
        workers: Workers of the queue that live, or died a moment ago.
        paused: Whether workers take nothing now.
        oldest_seconds: How long the oldest ready job has been waiting since it was enqueued; 0 where there is none.
    """

    queue: str
    ready: int
    delayed: int
    waiting: int
    running: int
    parked: int
    quarantined: int
    dead: int
    workers: int
    paused: bool
    oldest_seconds: float

    @property
    def size(self) -> int:
        """How many jobs are not finished: all but the dead ones and those in quarantine."""
        return self.ready + self.delayed + self.waiting + self.running + self.parked


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it stands in a queue.

    Attributes:
        id: Its id.
        queue: The queue's name.
        name: Its `NAME`.
        payload: Its fields, as plain JSON.
        options: Its options; see `rustforge.jobs.envelope.Envelope`.
        attempts: How many attempts failed.
        error: The last error, if any.
        enqueued_at: When it was enqueued, by the enqueuer's clock.
    """

    id: str
    queue: str
    name: str
    payload: Any
    options: dict[str, Any]
    attempts: int
    error: str | None
    enqueued_at: datetime


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that failed for good and is not in SQL yet.

    Attributes:
        envelope: The job.
        error: The last error.
        attempts: How often it ran.
        died_at: When it failed, by the server's clock.
    """

    envelope: Envelope
    error: str
    attempts: int
    died_at: datetime


@dataclass(frozen=True, slots=True)
class QuarantinedJob:
    """What was set aside, as running it makes no sense.

    Attributes:
        id: Its id.
        reason: Why.
        body: The bytes as they stood in the queue.
    """

    id: str
    reason: str
    body: bytes


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """A group or chain that waits, as one of its jobs failed for good.

    Attributes:
        group: The group; of a chain the id of its first job.
        job_id: The job, which is dead, failed or in quarantine.
    """

    group: str
    job_id: str


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job said it is.

    Attributes:
        done: How much is done.
        total: How much there is, if it is known.
        note: A short text.
    """

    done: float
    total: float | None
    note: str


class Queue:
    """The queues at one Redis URL, by name.

    One object serves all tasks of an event loop. Jobs that are pushed in the same event-loop tick travel together, and
    each `push` returns only when Redis has its job.

    Attributes:
        owns_client: Whether `aclose` also closes the connection, as it does for one that `connect` opened.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        prefix: str | None = None,
        shards: int = 1,
        max_payload_bytes: int = 1 << 20,
    ) -> None:
        """Use a connection that somebody else opens and closes.

        Args:
            client: The connection.
            prefix: What stands before every key; the same for all who share the queues.
            shards: Into how many parts each queue is cut, so that a cluster spreads it over its nodes. Order is kept
                within a group, not between shards. A job may have one of a group, a unique key, a limit and a batch, or
                several under one name. All who share the queues need the same number.
            max_payload_bytes: The largest job in bytes of JSON.
        """
        if type(shards) is not int or not 1 <= shards <= 1024:  # noqa: PLR2004
            msg = f"shards must be an int from 1 to 1024, not {shards!r}"
            raise InvalidArgumentError(msg)
        self.client = client
        self.owns_client = False
        self.shards = shards
        self._keys = KeySpace(prefix)
        self._bases: dict[str, list[str]] = {}
        self._max_payload = max_payload_bytes
        self._sender = Sender(client)

    @classmethod
    def connect(
        cls, url: str, *, prefix: str | None = None, shards: int = 1, max_payload_bytes: int = 1 << 20
    ) -> OpeningQueue:
        """Connect to Redis: `async with Queue.connect(url) as queue`, or `await` it and call `aclose()` at the end.

        Args:
            url: As for [`Cache.connect`][rustforge.cache.Cache.connect].
            prefix: As for the class.
            shards: As for the class.
            max_payload_bytes: As for the class.
        """
        return OpeningQueue(
            lambda: cls(connect(url), prefix=prefix, shards=shards, max_payload_bytes=max_payload_bytes)
        )

    @property
    def prefix(self) -> str | None:
        """What stands before every key."""
        return self._keys.prefix

    def bases(self, queue: str) -> list[str]:
        """Return what the keys of a queue start with, one for each shard."""
        found = self._bases.get(queue)
        if found is None:
            if "/" in queue:
                msg = f"queue name {queue!r} must not have a '/'"
                raise InvalidArgumentError(msg)
            names = [queue] if self.shards == 1 else [f"{queue}/{number}" for number in range(self.shards)]
            found = self._bases[queue] = [self._keys.jobs(name) for name in names]
        return found

    def base_of(self, envelope: Envelope) -> str:
        """Return what the keys of the shard start with in which a job lives: jobs that share something share it."""
        found = self.bases(envelope.queue)
        if len(found) == 1:
            return found[0]
        options = envelope.options
        anchors = {options[key] for key in "bgu" if key in options} | {
            options[key][0] for key in "cr" if key in options
        }
        if len(anchors) > 1:
            msg = (
                f"job {envelope.name} has more than one of a batch, a group, a unique key and limits, under different "
                f"names; with {self.shards} shards only one of them can hold: give them one name, or use one shard"
            )
            raise InvalidArgumentError(msg)
        anchor = next(iter(anchors), envelope.id)
        return found[crc32(anchor.encode()) % len(found)]

    # -- enqueueing ----------------------------------------------------------------------------------------------

    async def push(self, job: Job, delay: Duration | None = None) -> str:
        """Enqueue a job.

        Args:
            job: The job.
            delay: Seconds to wait first as a number, or a `timedelta`. A job of a group joins it when the delay is
                over.

        Returns:
            The job's id, or that of the unfinished job with the same `unique_key`.

        Raises:
            JobEncodeError: The job is not JSON, or too large. Nothing was enqueued.
        """
        wait = 0 if delay is None else milliseconds(delay, "delay", allow_zero=True)
        return await self._sender.add(*self._write(job, wait))

    async def push_many(self, jobs: Iterable[Job], delay: Duration | None = None) -> list[str]:
        """Enqueue many jobs, in order.

        All are written before the first is sent, so a job that cannot be written enqueues none of them.

        Returns:
            Their ids, in order.
        """
        wait = 0 if delay is None else milliseconds(delay, "delay", allow_zero=True)
        return list(await asyncio.gather(*[self._sender.add(*one) for one in [self._write(job, wait) for job in jobs]]))

    async def enqueue(
        self, envelopes: Sequence[Envelope], *, delays_ms: Sequence[int] | None = None, once: bool = False
    ) -> list[str]:
        """Enqueue jobs that are written already; each id counts once while its job is not over.

        Args:
            envelopes: The jobs.
            delays_ms: How long each waits first, in milliseconds.
            once: Also remember each id after its job is over, until `forget_sent`, and refuse it meanwhile.

        Returns:
            For each job the id under which it stands.
        """
        return await self._enqueue(envelopes, itertools.repeat(0) if delays_ms is None else delays_ms, once=once)

    async def push_batch(self, jobs: Iterable[Job], then: Job) -> str:
        """Enqueue jobs of one queue, and another one for when all of them are over.

        Its context has [`batch`][rustforge.jobs.JobContext]: how many jobs there were, and how many failed for good.

        Args:
            jobs: The jobs; at least one, and all of one queue.
            then: The job at the end, of the same queue.

        Returns:
            The batch's id.
        """
        batch, envelopes, last = write_batch(jobs, then)
        for one in (*envelopes, last):
            self.require_fits(one)
        base = self.base_of(envelopes[0])
        self.base_of(Envelope(last.id, last.queue, last.name, last.payload, {**last.options, "b": batch}))
        await self.client.run(BATCH, [base], [batch, len(envelopes), last.id, last.body], retry=True)
        await self._enqueue(envelopes, itertools.repeat(0))
        await self.client.call("PERSIST", f"{base}:batch:{batch}", retry=True)
        return batch

    async def push_chain(self, jobs: Iterable[Job]) -> list[str]:
        """Enqueue jobs of one queue that run one after the other, each when the one before has succeeded.

        When one fails for good the others keep waiting; they go on when it was retried with success, and
        [`let_go`][rustforge.jobs.Queue.let_go] lets them go on without.

        Args:
            jobs: The jobs, without groups of their own.

        Returns:
            Their ids; the first is also the name of the group that they form.
        """
        return await self._enqueue(write_chain(jobs), itertools.repeat(0))

    def _write(self, job: Job, wait: int) -> tuple[str, str, bytes, int | None]:
        """Write a job for the sender: its shard, its id, its body, and its delay unless nothing can hold it up."""
        options = options_of(job)
        body = self._checked(job.NAME, body_of(job, options))
        bases = self._bases.get(job.QUEUE) or self.bases(job.QUEUE)
        job_id = new_id()
        base = bases[0] if len(bases) == 1 else self.base_of(Envelope(job_id, job.QUEUE, job.NAME, b"", options))
        return base, job_id, body, None if goes_straight(options, wait) else wait

    async def _enqueue(self, envelopes: Sequence[Envelope], waits: Iterable[int], *, once: bool = False) -> list[str]:
        prepared = [
            (
                self.base_of(one),
                one.id,
                self._checked(one.name, one.body),
                None if goes_straight(one.options, wait) else wait,
            )
            for one, wait in zip(envelopes, waits, strict=False)
        ]
        return list(await asyncio.gather(*[self._sender.add(*one, once=once) for one in prepared]))

    def require_fits(self, envelope: Envelope) -> None:
        """Check that a job is not larger than `max_payload_bytes`.

        Raises:
            JobEncodeError: It is.
        """
        self._checked(envelope.name, envelope.body)

    def _checked(self, name: str, body: bytes) -> bytes:
        if len(body) > self._max_payload:
            msg = (
                f"a job {name} of {len(body):,} bytes is over the queue's bound of {self._max_payload:,}; store large "
                "data elsewhere and pass its key, or raise max_payload_bytes"
            )
            raise JobEncodeError(msg)
        return body

    async def sent(self, queue: str = "default") -> list[str]:
        """List the ids that `enqueue(once=True)` remembers."""
        found: list[str] = []
        for base in self.bases(queue):
            found += [one.decode() for one in await self.client.call("SMEMBERS", f"{base}:sent", retry=True)]
        return found

    async def forget_sent(self, queue: str, ids: Sequence[str]) -> None:
        """Let ids go that `enqueue(once=True)` remembers."""
        for start in range(0, len(ids), _SLICE):
            part = ids[start : start + _SLICE]
            await asyncio.gather(
                *[self.client.call("SREM", f"{base}:sent", *part, retry=True) for base in self.bases(queue)]
            )

    # -- looking -------------------------------------------------------------------------------------------------

    async def names(self) -> list[str]:
        """Find the queues that hold jobs now, whoever put them there."""
        start, end = self._keys.jobs("x").removesuffix("x}"), "}:jobs"
        found: set[str] = set()
        async for keys in self.client.scan(f"{escape_glob(start)}*{escape_glob(end)}".encode()):
            found.update(key.decode()[len(start) : -len(end)].partition("/")[0] for key in keys)
        return sorted(found)

    async def stats(self, queue: str = "default") -> QueueStats:
        """Count the jobs of a queue, by where they stand."""
        total: dict[str, int] = {}
        oldest, workers = 0.0, 0
        for base in self.bases(queue):
            found: dict[str, Any] = json.loads(await self.client.run(MANAGE, [base], ["stats"], retry=True))
            first = found.pop("oldest")
            workers = max(workers, found["workers"])  # each has a lease on every shard
            if first:
                oldest = max(oldest, found["now"] / 1000 - enqueued_at(first).timestamp())
            for name, value in found.items():
                total[name] = total.get(name, 0) + int(value)
        placed = sum(total[name] for name in ("ready", "delayed", "running", "dead", "quarantined", "parked"))
        return QueueStats(
            queue=queue,
            ready=total["ready"],
            delayed=total["delayed"],
            waiting=max(0, total["jobs"] - placed),
            running=total["running"],
            parked=total["parked"],
            quarantined=total["quarantined"],
            dead=total["dead"],
            workers=workers,
            paused=bool(total["paused"]),
            oldest_seconds=max(0.0, oldest),
        )

    async def size(self, queue: str = "default") -> int:
        """Count the jobs of a queue that are not finished: those that wait in any way, and those that run."""
        return (await self.stats(queue)).size

    async def peek(self, queue: str = "default", limit: int = 10) -> list[JobView]:
        """Look at the jobs that will be claimed next, without taking them."""
        found: list[JobView] = []
        for level in ("high", "normal", "low"):
            for base in self.bases(queue):
                if len(found) < limit:
                    ids = await self.client.call(
                        "LRANGE", f"{base}:ready:{level}", 0, limit - len(found) - 1, retry=True
                    )
                    found += await self._views(base, queue, ids)
        return found

    async def show(self, job_id: str, queue: str = "default") -> JobView | None:
        """Look at one job; `None` where the queue does not have it (any more)."""
        for base in self.bases(queue):
            for found in await self._views(base, queue, [job_id.encode()]):
                return found
        return None

    async def _views(self, base: str, queue: str, ids: Sequence[bytes]) -> list[JobView]:
        return [_view(queue, *one) for one in await self._load(base, ids)]

    async def _load(self, base: str, ids: Sequence[bytes]) -> list[tuple[str, bytes, dict[str, Any]]]:
        """Read jobs of a shard, those that are there: id, body and state of each."""
        if not ids:
            return []
        bodies, states = await asyncio.gather(
            self.client.call("HMGET", f"{base}:jobs", *ids, retry=True),
            self.client.call("HMGET", f"{base}:state", *ids, retry=True),
        )
        rows = zip(ids, bodies, states, strict=True)
        return [(one.decode(), body, json.loads(raw) if raw else {}) for one, body, raw in rows if body is not None]

    async def progress(self, job_id: str, queue: str = "default") -> JobProgress | None:
        """Read how far a running job said it is; `None` where it said nothing, or is over."""
        for base in self.bases(queue):
            raw = await self.client.call("HGET", f"{base}:progress", job_id, retry=True)
            if raw is not None:
                return JobProgress(*json.loads(raw))
        return None

    @overload
    async def result(self, job_id: str, queue: str = "default", *, type: type[T]) -> T | None: ...

    @overload
    async def result(self, job_id: str, queue: str = "default", *, type: type[T], default: D) -> T | D: ...

    @overload
    async def result(self, job_id: str, queue: str = "default", *, type: Any = None, default: Any = None) -> Any: ...

    async def result(
        self,
        job_id: str,
        queue: str = "default",
        *,
        type: Any = None,  # noqa: A002
        default: Any = None,
    ) -> Any:
        """Read what a job with a `RESULT_TTL` returned.

        Args:
            job_id: The job's id.
            queue: Its queue.
            type: Anything that `pydantic.TypeAdapter` takes; `None` gives plain JSON.
            default: What to return where there is no result: not yet, not any more, or the job keeps none. Pass
                something else than `None` to tell this from a job that returned `None`.

        Returns:
            The result, or the default.
        """
        for base in self.bases(queue):
            raw = await self.client.call("GET", f"{base}:result:{job_id}", retry=True)
            if raw is not None:
                return codec.decode(raw, type)
        return default

    # -- steering ------------------------------------------------------------------------------------------------

    async def cancel(self, job_id: str, queue: str = "default") -> bool:
        """Take a job out, or stop it where it runs: its handler is cancelled within seconds, and it is not retried.

        Returns:
            Whether the queue had the job. A running one may still end by itself before it is stopped.
        """
        answers = [await self.client.run(MANAGE, [base], ["cancel", job_id], retry=True) for base in self.bases(queue)]
        return any(answers)

    async def clear(self, queue: str = "default") -> int:
        """Remove all jobs that do not run, the delayed and waiting ones included; not the dead and quarantined.

        Returns:
            How many.
        """
        removed = 0
        for base in self.bases(queue):
            while gone := await self.client.run(MANAGE, [base], ["clear", _SLICE]):
                removed += gone
        return removed

    async def pause(self, queue: str = "default") -> None:
        """Let workers take nothing from a queue any more; what runs goes on, and enqueueing works."""
        for base in self.bases(queue):
            await self.client.run(MANAGE, [base], ["pause"], retry=True)

    async def resume(self, queue: str = "default") -> None:
        """Let workers take jobs again."""
        for base in self.bases(queue):
            await self.client.run(MANAGE, [base], ["resume"], retry=True)

    async def held_groups(self, queue: str = "default") -> list[HeldGroup]:
        """List the groups and chains that wait until a job that failed for good is retried with success, or let go."""
        found: dict[str, str] = {}  # the same group may be read twice
        for base in self.bases(queue):
            cursor = b"0"
            while True:
                cursor, *pairs = await self.client.run(MANAGE, [base], ["held", cursor], retry=True)
                found |= {group.decode(): job_id.decode() for group, job_id in _pairs(pairs)}
                if cursor == b"0":
                    break
        return [HeldGroup(group, found[group]) for group in sorted(found)]

    async def let_go(self, group: str, queue: str = "default", *, job_id: str | None = None) -> bool:
        """Give up the job that holds a group or chain, so that the next one has its turn.

        Args:
            group: The group; of a chain the id of its first job.
            queue: Its queue.
            job_id: Only where this job holds it.

        Returns:
            Whether a job held it that failed for good, or is in quarantine.
        """
        args = ["let_go", group] if job_id is None else ["let_go", group, job_id]
        answers = [await self.client.run(MANAGE, [base], args) for base in self.bases(queue)]
        return any(answers)

    # -- dead, quarantined, parked -------------------------------------------------------------------------------

    async def dead(self, queue: str = "default", limit: int = 100) -> list[DeadJob]:
        """List failed jobs that are not in SQL yet, the oldest first."""
        found: list[DeadJob] = []
        for base in self.bases(queue):
            rows = await self.client.call("ZRANGE", f"{base}:dead", 0, limit - 1, "WITHSCORES", retry=True)
            times = {job_id.decode(): float(died) / 1000 for job_id, died in _pairs(rows)}
            for job_id, body, state in await self._load(base, [one.encode() for one in times]):
                written = Envelope.parse(job_id, queue, body)
                runs = sum(int(state.get(one, 0)) for one in "arx") + int(written.options.get("f", 0))
                envelope = Envelope(written.id, queue, written.name, written.payload, {**written.options, "f": runs})
                when = datetime.fromtimestamp(times[job_id], UTC)
                found.append(DeadJob(envelope, str(state.get("e", "")), int(state.get("a", 0)), when))
        return found

    async def still_dead(self, jobs: Iterable[DeadJob]) -> list[DeadJob]:
        """Return those jobs that have been dead ever since; one that was retried and died once more is none of them."""
        places = [(one, base) for one in jobs for base in self.bases(one.envelope.queue)]
        scores = await asyncio.gather(
            *[self.client.call("ZSCORE", f"{base}:dead", one.envelope.id, retry=True) for one, base in places]
        )
        return [
            one
            for (one, _), score in zip(places, scores, strict=True)
            if score is not None and float(score) == _score(one)
        ]

    async def bury(self, queue: str, jobs: Iterable[DeadJob]) -> int:
        """Remove jobs that are `still_dead` and have their rows in SQL; return how many there were."""
        args = [arg for one in jobs for arg in (one.envelope.id, _score(one))]
        answers = [await self.client.run(MANAGE, [base], ["bury", *args], retry=True) for base in self.bases(queue)]
        return sum(answers)

    async def quarantined(self, queue: str = "default") -> list[QuarantinedJob]:
        """List what was set aside, with the reasons."""
        found: list[QuarantinedJob] = []
        for base in self.bases(queue):
            reasons: dict[bytes, bytes] = await self.client.call("HGETALL", f"{base}:quarantine", retry=True)
            for job_id, reason in reasons.items():
                body = await self.client.call("HGET", f"{base}:jobs", job_id, retry=True)
                found.append(QuarantinedJob(job_id.decode(), reason.decode(), body or b""))
        return found

    async def requeue_quarantined(self, job_id: str, queue: str = "default") -> bool:
        """Enqueue a job in quarantine anew; return whether it was there."""
        answers = [await self.client.run(MANAGE, [base], ["requeue", job_id]) for base in self.bases(queue)]
        return any(answers)

    async def discard_quarantined(self, job_id: str, queue: str = "default") -> bool:
        """Throw a job in quarantine away, and let the group go that it holds; return whether it was there."""
        answers = [await self.client.run(MANAGE, [base], ["discard", job_id]) for base in self.bases(queue)]
        return any(answers)

    async def parked(self, queue: str = "default") -> dict[str, int]:
        """Count the jobs that wait for a worker that knows their name, by that name.

        A name with `@` and a number is that of a payload version newer than the workers know.
        """
        found: dict[str, int] = {}
        for base in self.bases(queue):
            for name in await self.client.call("SMEMBERS", f"{base}:parked", retry=True):
                count: int = await self.client.call("LLEN", b"%b:parked:%b" % (base.encode(), name), retry=True)
                found[name.decode()] = found.get(name.decode(), 0) + count
        return found

    # -- life cycle ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def fake(self) -> Generator[FakeQueue]:
        """Within the block, keep what is pushed and enqueue nothing, whoever pushes through this object.

        What is already in the queues stays, and can be looked at. The instants of a `Scheduler` are enqueued in truth.

        Yields:
            The fake, to ask what was pushed.

        Example:
            ```python
            with ctx.queue.fake() as fake:
                await place_order(ctx)
            fake.assert_pushed(SendReceipt, times=1)
            ```
        """
        fake, before = FakeQueue(), {name: vars(self)[name] for name in FAKED if name in vars(self)}
        vars(self).update({name: getattr(fake, name) for name in FAKED})
        try:
            yield fake
        finally:
            for name in FAKED:
                del vars(self)[name]
            vars(self).update(before)

    async def aclose(self) -> None:
        """Wait for what is being enqueued, and close the connection where this object opened it."""
        await self._sender.aclose()
        if self.owns_client:
            await self.client.aclose()

    async def __aenter__(self) -> Self:
        """Return the queue."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.aclose()


class OpeningQueue(Opening[Queue]):
    """What [`Queue.connect`][rustforge.jobs.Queue.connect] returns: `await` it, or use it with `async with`."""


def _score(dead: DeadJob) -> int:
    """Return the time of a death as Redis keeps it."""
    return round(dead.died_at.timestamp() * 1000)


def _view(queue: str, job_id: str, body: bytes, state: dict[str, Any]) -> JobView:
    """Show a job as far as it can be read."""
    try:
        envelope = Envelope.parse(job_id, queue, body)
        payload = codec.decode(envelope.payload)
    except (JobDecodeError, codec.DecodeError):
        envelope, payload = Envelope(job_id, queue, "?", body), body.decode(errors="replace")
    return JobView(
        id=job_id,
        queue=queue,
        name=envelope.name,
        payload=payload,
        options=envelope.options,
        attempts=int(state.get("a", 0)),
        error=state.get("e"),
        enqueued_at=enqueued_at(job_id),
    )


def _pairs(found: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Take a flat answer two by two; RESP3 gives some as pairs already."""
    if found and isinstance(found[0], list):
        yield from found
    else:
        yield from zip(found[::2], found[1::2], strict=True)
