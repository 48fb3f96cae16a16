"""One shard of a queue as a worker sees it: its lease there, the jobs it has, and what became of them.

Outcomes and claims travel together: each exchange settles all jobs that ended since the last one and brings new ones.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from rustforge.clock import SYSTEM_CLOCK
from rustforge.jobs.scripts import SETTLE, WORKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from rustforge.redis import RedisClient

__all__ = ["Claimed", "Outcome", "Run", "Source", "Why"]

Outcome: TypeAlias = Literal["done", "retry", "snooze", "release", "dead", "cancelled", "quarantine", "park"]
"""What became of a job that a worker had."""

Why: TypeAlias = Literal["timeout", "cancel", "release", "lost"]
"""Why a worker ended a run itself."""

_BATCH = 500


class Claimed(NamedTuple):
    """A job that was claimed.

    Attributes:
        id: Its id.
        body: Its body.
        attempts: How many attempts failed.
        recoveries: How often a worker was lost that had it.
        runs: How often it was claimed before, for whatever reason it came back.
        batch: For the job at the end of a batch: how many there were, and how many failed.
    """

    id: str
    body: bytes
    attempts: int = 0
    recoveries: int = 0
    runs: int = 0
    batch: tuple[int, int] | None = None

    @classmethod
    def read(cls, job_id: bytes, body: bytes, state: bytes) -> Claimed:
        """Read what a script gave."""
        if not state:
            return cls(job_id.decode(), body)
        found: dict[str, Any] = json.loads(state)
        batch = found.get("b")
        return cls(
            job_id.decode(),
            body,
            int(found["a"]),
            int(found["r"]),
            int(found["a"] + found["r"] + found["x"]),
            None if batch is None else (int(batch[0]), int(batch[1])),
        )


@dataclass(slots=True, eq=False)
class Run:
    """One run of a job.

    Attributes:
        source: Where it came from.
        job: The job.
        task: What runs it, once it runs.
        why: Why the worker ended it, if it did.
        over: Whether its outcome is known, so that whatever its handler still does counts for nothing.
        failing: Whether its handler has failed, and that is being dealt with.
    """

    source: Source
    job: Claimed
    task: asyncio.Task[None] | None = None
    why: Why | None = None
    over: bool = False
    failing: bool = False


@dataclass(slots=True)
class _Ended:
    """What is to be settled: jobs that are done and held nothing, or only a group, and all others."""

    plain: list[str] = field(default_factory=list[str])
    grouped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    others: list[tuple[str, str, str | int | bytes, str | int]] = field(
        default_factory=list[tuple[str, str, "str | int | bytes", "str | int"]]
    )


class Source:
    """One shard of a queue.

    Attributes:
        queue: The queue's name.
        base: What its keys start with.
        epoch: The worker's epoch here, or `None` while it has no lease.
        runs: The jobs that it has, by id; those that ended but are not settled are in it too.
        promising: Whether there may be something to claim.
        parked: The parked names that this worker can run.
        renewed: Called with the epoch that takes the place of the one before.
    """

    def __init__(self, client: RedisClient, queue: str, base: str, poke: Callable[[], None]) -> None:
        """Prepare; `poke` is called when there may be something to do."""
        self.queue = queue
        self.base = base
        self.epoch: str | None = None
        self.runs: dict[str, Run] = {}
        self.promising: bool = True
        self.parked: set[str] = set()
        self.fenced: int = 0
        self.renewed: Callable[[str], None] = lambda _: None
        self._client = client
        self._poke = poke
        self._wake_key = f"{base}:wake"
        self._wake_name = self._wake_key.encode()
        self._listening = False
        self._plentiful = False
        self._in_doubt = False
        self._former: str | None = None
        self._lease_ms = 0
        self._ended = _Ended()
        self._timer: asyncio.TimerHandle | None = None

    # -- the lease -----------------------------------------------------------------------------------------------

    async def register(self, lease_ms: int) -> str:
        """Take a lease."""
        answer: bytes = await self._client.run(WORKER, [self.base], ["register", lease_ms], retry=True)
        self.epoch = answer.decode()
        self.promising = True
        self._in_doubt = False
        self._former = None
        self._lease_ms = lease_ms
        return self.epoch

    def forfeit(self) -> list[Run]:
        """Give up everything that it had, as the lease is lost; return the runs that go on."""
        self.epoch = self._former = None
        self._ended = _Ended()
        lost = [run for run in self.runs.values() if not run.over]
        self.runs.clear()
        for run in lost:
            run.over, run.why = True, "lost"
        return lost

    async def leave(self) -> None:
        """Give the lease back, and what is not settled."""
        if self._timer is not None:
            self._timer.cancel()
        epochs, self.epoch, self._former = (self._former, self.epoch), None, None
        for epoch in epochs:
            if epoch is not None:
                await self._client.run(WORKER, [self.base], ["leave", epoch], retry=True)

    # -- work ----------------------------------------------------------------------------------------------------

    @property
    def plentiful(self) -> bool:
        """Whether the last claim brought as many jobs as were wanted, so that there may be more."""
        return self._plentiful

    @property
    def unsettled(self) -> bool:
        """Whether there are outcomes to settle, or it is not known what Redis thinks."""
        ended = self._ended
        return bool(ended.plain or ended.grouped or ended.others or self._in_doubt)

    @property
    def running(self) -> int:
        """How many jobs it has that have not ended; what ended is settled with the next claim, and takes no room."""
        ended = self._ended
        return len(self.runs) - len(ended.plain) - len(ended.grouped) - len(ended.others)

    def settle_plain(self, run: Run) -> None:
        """Note that a job that held nothing is done."""
        run.over = True
        self._ended.plain.append(run.job.id)

    def settle_grouped(self, run: Run, group: str) -> None:
        """Note that a job that held only its group is done."""
        run.over = True
        self._ended.grouped.append((run.job.id, group))

    def settle(self, run: Run, outcome: Outcome, first: str | int | bytes = "", second: str | int = "") -> None:
        """Note what became of a job."""
        run.over = True
        self._ended.others.append((outcome, run.job.id, first, second))

    async def exchange(self, want: int) -> list[Claimed]:
        """Settle what ended, and claim up to so many jobs.

        Raises:
            RedisError: Redis did not answer; what ended stays to be settled, and the next call first finds out what
                happened.
        """
        if self._in_doubt:
            return await self._find_out()
        epoch, ended = self._require_epoch(), self._ended
        plain, grouped, others = ended.plain[:_BATCH], ended.grouped[:_BATCH], ended.others[:_BATCH]
        args: list[Any] = [epoch, want, len(plain), *plain, len(grouped)]
        for part in (*grouped, *others):
            args += part
        if want:
            await self._listen()
            self.promising = False
        self._in_doubt = True
        asked = SYSTEM_CLOCK.monotonic()
        answer: list[Any] = await self._client.run(SETTLE, [self.base], args)
        if self.epoch != epoch:
            return []  # the lease was lost meanwhile; all of it will come again
        if SYSTEM_CLOCK.monotonic() - asked > self._lease_ms / 1000:
            return []  # this process stood still, and others may have taken over what the answer brings
        self._in_doubt = False
        if answer[0] == 0:
            raise LeaseLost(epoch)
        del ended.plain[: len(plain)], ended.grouped[: len(grouped)], ended.others[: len(others)]
        for job_id in (*plain, *[pair[0] for pair in grouped], *[other[1] for other in others]):
            self.runs.pop(job_id, None)
        self.fenced += answer[2]
        claimed = _read_all(answer[3:])
        if want:
            self._plentiful = len(claimed) == want
            if self._plentiful or not self._listening:
                self.promising = True
        self.look_again_in(answer[1])
        return claimed

    async def _listen(self) -> None:
        """Ask to hear of new work, before the claim, so that whatever comes after the claim is heard of."""
        if not (self._listening or self._plentiful):
            self._listening = True
            listen = asyncio.ensure_future(self._client.track(self._wake_key))  # sent at once, before the claim
            listen.add_done_callback(self._check_listening)
            if self._client.url.topology == "cluster":
                await asyncio.wait([listen])  # commands for a node may overtake each other while its slots move

    async def _find_out(self) -> list[Claimed]:
        """After a lost answer: what does this worker have? What it did not know of comes as if just claimed.

        The request may still be on its way, and arrive at any time. So the worker goes on under a new epoch, which
        takes everything over, and whatever the old one still says counts for nothing.
        """
        epoch = self._require_epoch()
        if self._former is None:
            answer: bytes = await self._client.run(WORKER, [self.base], ["register", self._lease_ms], retry=True)
            if self.epoch != epoch:
                return []  # the lease was lost meanwhile
            self._former, self.epoch = epoch, answer.decode()
            self.renewed(self.epoch)
            epoch = self.epoch
        args: list[Any] = ["sync", self._former, epoch]
        for job_id, run in self.runs.items():
            args += (job_id, run.job.runs)
        found: list[Any] = await self._client.run(WORKER, [self.base], args, retry=True)
        if self.epoch != epoch:
            return []
        if found[0] == 0:
            raise LeaseLost(epoch)
        self._former, self._in_doubt = None, False
        self.promising = True
        claimed = _read_all(found[1:])
        again = {one.id for one in claimed}
        ended = self._ended
        ended.plain = [one for one in ended.plain if one not in again]
        ended.grouped = [one for one in ended.grouped if one[0] not in again]
        ended.others = [one for one in ended.others if one[1] not in again]
        return claimed

    async def names_parked(self) -> list[str]:
        """List the names under which jobs are parked."""
        return [name.decode() for name in await self._client.call("SMEMBERS", f"{self.base}:parked", retry=True)]

    async def adopt(self, name: str, want: int) -> list[Claimed]:
        """Claim jobs that were parked under a name."""
        epoch = self._require_epoch()
        self._in_doubt = True
        found: list[bytes] = await self._client.run(WORKER, [self.base], ["adopt", epoch, want, name])
        if self.epoch != epoch:
            return []  # the lease was lost meanwhile
        self._in_doubt = False
        claimed = _read_all(found)
        if len(claimed) < want:
            self.parked.discard(name)
        return claimed

    async def suspect(self, run: Run) -> bool:
        """Say that a job runs alone now; return whether this worker still has it."""
        return bool(
            await self._client.run(WORKER, [self.base], ["suspect", self._require_epoch(), run.job.id], retry=True)
        )

    def _require_epoch(self) -> str:
        if self.epoch is None:
            msg = "none"
            raise LeaseLost(msg)
        return self.epoch

    # -- what is heard -------------------------------------------------------------------------------------------

    def hear(self, key: bytes | None) -> None:
        """Hear that there is work, or that a notice may have been missed."""
        if key is None or key == self._wake_name:
            self._listening = False
            self.look_again()

    def look_again(self) -> None:
        """Claim as soon as there is room."""
        self.promising = True
        self._poke()

    def _check_listening(self, listen: asyncio.Future[Any]) -> None:
        if listen.cancelled() or listen.exception() is not None:
            self._listening = False

    def look_again_in(self, due_ms: int) -> None:
        """Look again when the next delayed job is due; -1 for never."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_ms >= 0:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(due_ms / 1000 + 0.001, 3600.0), self.look_again)


class LeaseLost(Exception):  # noqa: N818 - a fact that the worker acts on
    """This worker's lease was taken away."""


def _read_all(found: list[bytes]) -> list[Claimed]:
    return [Claimed.read(*found[index : index + 3]) for index in range(0, len(found), 3)]
