"""A queue that keeps what is pushed and runs nothing, for tests that ask what was enqueued.

[`Queue.fake`][rustforge.jobs.Queue.fake] lets it stand in for a real queue within a block; on its own it is a queue
without Redis.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rustforge import codec
from rustforge.clock import milliseconds
from rustforge.errors import JobDecodeError
from rustforge.jobs.job import Job, envelope_of
from rustforge.jobs.several import write_batch, write_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rustforge.jobs.envelope import Envelope
    from rustforge.types import Duration

__all__ = ["FAKED", "FakeQueue", "PushedJob"]

J = TypeVar("J", bound=Job)

FAKED = ("enqueue", "push", "push_batch", "push_chain", "push_many")
"""The methods of a queue that put jobs into it."""


@dataclass(frozen=True, slots=True)
class PushedJob:
    """A job that was pushed.

    Attributes:
        id: The id that the caller got.
        job: The job, read back from its payload as a worker would read it.
        queue: The queue it went to.
        delay: The seconds that it was to wait first.
        options: Its options; see `rustforge.jobs.envelope.Envelope`.
    """

    id: str
    job: Job
    queue: str
    delay: float
    options: dict[str, Any]


class FakeQueue:
    """Keeps the jobs that are pushed, as typed objects, and runs none.

    A job that the real queue would refuse, as it is not JSON, is refused here too; one whose `unique_key` is taken gets
    the id of the one that has it.

    Attributes:
        jobs: What was pushed, in order.

    Example:
        ```python
        queue = FakeQueue()
        await place_order(queue)
        queue.assert_pushed(SendReceipt, times=1, where=lambda job: job.order_id == 7)
        ```
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.jobs: list[PushedJob] = []
        self._unique: dict[tuple[str, str], str] = {}

    # -- pushing -------------------------------------------------------------------------------------------------

    async def push(self, job: Job, delay: Duration | None = None) -> str:
        """Keep a job; see [`Queue.push`][rustforge.jobs.Queue.push]."""
        return self._keep(envelope_of(job), _wait(delay), type(job))

    async def push_many(self, jobs: Iterable[Job], delay: Duration | None = None) -> list[str]:
        """Keep many jobs; see [`Queue.push_many`][rustforge.jobs.Queue.push_many]."""
        written = [(envelope_of(job), type(job)) for job in jobs]
        return [self._keep(envelope, _wait(delay), cls) for envelope, cls in written]

    async def push_batch(self, jobs: Iterable[Job], then: Job) -> str:
        """Keep the jobs of a batch; the one at its end is kept too, as if it had come to it."""
        given = tuple(jobs)
        batch, envelopes, last = write_batch(given, then)
        for envelope, job in zip([*envelopes, last], [*given, then], strict=True):
            self._keep(envelope, 0, type(job))
        return batch

    async def push_chain(self, jobs: Iterable[Job]) -> list[str]:
        """Keep the jobs of a chain; see [`Queue.push_chain`][rustforge.jobs.Queue.push_chain]."""
        given = tuple(jobs)
        return [self._keep(one, 0, type(job)) for one, job in zip(write_chain(given), given, strict=True)]

    async def enqueue(
        self, envelopes: Sequence[Envelope], *, delays_ms: Sequence[int] | None = None, once: bool = False
    ) -> list[str]:
        """Keep jobs that are written already, such as those of the outbox; each id once."""
        del once
        waits = [0] * len(envelopes) if delays_ms is None else delays_ms
        known = {one.id for one in self.jobs}
        return [
            one.id if one.id in known else self._keep(one, wait, _class_named(one.name))
            for one, wait in zip(envelopes, waits, strict=True)
        ]

    def _keep(self, envelope: Envelope, wait: int, cls: type[Job]) -> str:
        key = envelope.options.get("u")
        if key is not None:
            holder = self._unique.setdefault((envelope.queue, key), envelope.id)
            if holder != envelope.id:
                return holder
        try:
            job: Job = codec.decode(envelope.payload, cls)
        except codec.DecodeError as error:
            msg = f"a worker could not read this {cls.__name__}: its payload {error}"
            raise JobDecodeError(msg) from None
        self.jobs.append(PushedJob(envelope.id, job, envelope.queue, wait / 1000, envelope.options))
        return envelope.id

    # -- looking -------------------------------------------------------------------------------------------------

    def pushed(self, cls: type[J], where: Callable[[J], bool] | None = None) -> list[J]:
        """Return the jobs of a class that were pushed, in order.

        Args:
            cls: The class.
            where: Only those for which this holds.
        """
        found = [one.job for one in self.jobs if isinstance(one.job, cls)]
        return found if where is None else [job for job in found if where(job)]

    def clear(self) -> None:
        """Forget what was pushed."""
        self.jobs.clear()
        self._unique.clear()

    def assert_pushed(
        self, cls: type[J], *, times: int | None = None, where: Callable[[J], bool] | None = None
    ) -> None:
        """Fail unless jobs of a class were pushed.

        Args:
            cls: The class.
            times: How many; `None` for at least one.
            where: Count only those for which this holds.

        Raises:
            AssertionError: There were none, or another number. The message lists what was pushed.
        """
        self._require(len(self.pushed(cls, where)), times, _name(cls, where))

    def assert_pushed_on(
        self, queue: str, cls: type[J], *, times: int | None = None, where: Callable[[J], bool] | None = None
    ) -> None:
        """Fail unless jobs of a class were pushed to a queue; the other arguments are those of `assert_pushed`.

        Raises:
            AssertionError: There were none, or another number. The message lists what was pushed.
        """
        found = [one.job for one in self.jobs if one.queue == queue and isinstance(one.job, cls)]
        count = len(found if where is None else [job for job in found if where(job)])
        self._require(count, times, f"{_name(cls, where)} on queue {queue!r}")

    def assert_not_pushed(self, cls: type[J], *, where: Callable[[J], bool] | None = None) -> None:
        """Fail if a job of a class was pushed.

        Raises:
            AssertionError: One was. The message lists what was pushed.
        """
        self._require(len(self.pushed(cls, where)), 0, _name(cls, where))

    def assert_nothing_pushed(self) -> None:
        """Fail if any job was pushed.

        Raises:
            AssertionError: One was. The message lists what was pushed.
        """
        self._require(len(self.jobs), 0, "job")

    def _require(self, found: int, times: int | None, what: str) -> None:
        if found == times or (times is None and found):
            return
        wanted = "at least one" if times is None else "no" if times == 0 else str(times)
        msg = f"expected {wanted} {what}, found {found or 'none'}; {'; '.join(self._list())}"
        raise AssertionError(msg)

    def _list(self) -> Iterator[str]:
        """Say what was pushed, each queue and class with its first jobs."""
        if not self.jobs:
            yield "nothing was pushed"
            return
        yield "pushed were"
        counts = Counter((one.queue, type(one.job)) for one in self.jobs)
        for (queue, cls), count in counts.items():
            first = [one.job for one in self.jobs if one.queue == queue and type(one.job) is cls][:_SHOWN]
            more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
            yield f"\n  {count} on queue {queue!r}: {', '.join(map(repr, first))}{more}"


_SHOWN = 5


def _wait(delay: Duration | None) -> int:
    return 0 if delay is None else milliseconds(delay, "delay", allow_zero=True)


def _name(cls: type[Job], where: object) -> str:
    return f"{cls.__name__}{' that fits `where`' if where is not None else ''}"


def _class_named(name: str) -> type[Job]:
    """Find the class of a job by its `NAME`, among all that exist."""
    waiting: list[type[Job]] = [Job]
    while waiting:
        cls = waiting.pop()
        if name == cls.NAME:
            return cls
        waiting += cls.__subclasses__()
    return Job
