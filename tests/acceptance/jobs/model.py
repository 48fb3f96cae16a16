"""Every state that a small queue can be in: the real scripts and the worker's real shard, explored action by action.

A state is the whole database, what each worker believes, and a few facts that Redis does not keep (which jobs were
accepted, which are over). From each state every action is taken: enqueue, claim and settle in one exchange, beat, reap,
time, crash, cancel, bury, and exchanges whose request or answer is lost, or whose request arrives much later. After
each action the invariants are checked, and a violation is told with the shortest way that leads to it.
"""

from __future__ import annotations

import functools
import json
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from rustforge.clock import ManualClock
from rustforge.errors import RedisOutcomeUnknownError
from rustforge.jobs.envelope import encode_body, goes_straight
from rustforge.jobs.scripts import ENQUEUE, MANAGE, SETTLE, WORKER
from rustforge.jobs.source import Claimed, LeaseLost, Run, Source
from rustforge.redis import RedisUrl, Script
from rustforge.redis.embedded.database import Hash, List, Set
from rustforge.redis.embedded.sorted_set import SortedSet
from rustforge.redis.embedded.walkable import Walkable
from rustforge.redis.memory import MemoryClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

BASE = "m~{jobs:q}"
STEP = 1000
"""Milliseconds of one step of time: a lease, and a backoff."""

_PREFIX = len(BASE) + 1
_LEVELS = ("ready:high", "ready:normal", "ready:low")


class ViolationError(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True)
class Spec:
    """A job of the model.

    Attributes:
        id: Its id.
        options: Its options.
        wait: Its delay in milliseconds.
        backoff: How long it waits after a failure, in milliseconds.
        retries: How often it may fail before it is dead.
    """

    id: str
    options: dict[str, Any] = field(default_factory=dict)
    wait: int = 0
    backoff: int = STEP
    retries: int = 1

    @property
    def group(self) -> str | None:
        """Its group."""
        return self.options.get("g")

    @property
    def plain(self) -> bool:
        """Whether nothing holds it up."""
        return goes_straight(self.options, self.wait)

    @property
    def body(self) -> bytes:
        """What Redis keeps of it."""
        return encode_body("job", b"{}", self.options)


def written(specs: Iterable[Spec]) -> list[Any]:
    """Write jobs as the sender does: those that nothing holds up, then the others."""
    plain = [spec for spec in specs if spec.plain]
    others = [spec for spec in specs if not spec.plain]
    args: list[Any] = [len(plain)]
    for spec in plain:
        args += [spec.id, spec.body]
    for spec in others:
        args += [spec.id, spec.body, spec.wait]
    return args


class Held(NamedTuple):
    """What a worker believes."""

    epoch: str | None = None
    runs: tuple[tuple[Claimed, bool], ...] = ()
    plain: tuple[str, ...] = ()
    grouped: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[Any, ...], ...] = ()
    in_doubt: bool = False


class Late(NamedTuple):
    """A request that the network still holds: its arguments, and the run of each job that it speaks of."""

    args: tuple[Any, ...]
    runs: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Facts:
    """What happened, as nobody but the model knows it.

    Attributes:
        accepted: The ids that were accepted, in order.
        over: Those of them that are done, were cancelled, or are in SQL.
        due: When a job that waits may start at the earliest.
        faults: How many faults there were.
        cancels: How many cancellations there were.
        leaves: How often a worker stopped in order.
        late: A request on its way.
    """

    accepted: tuple[str, ...] = ()
    over: frozenset[str] = frozenset()
    due: tuple[tuple[str, int], ...] = ()
    faults: int = 0
    cancels: int = 0
    leaves: int = 0
    late: Late | None = None


class State(NamedTuple):
    """Everything."""

    now: float
    values: dict[bytes, Any]
    workers: tuple[Held, ...]
    facts: Facts


class _Shard(Source):
    """The worker's own shard, without timers."""

    def look_again_in(self, due_ms: int) -> None:
        """Time moves only when the model says so."""


class _Wire:
    """Stands between a shard and the store, loses what it is told to lose, and tells the model what arrived."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.mode = "whole"

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Any] = (), *, retry: bool = False) -> Any:
        mode, self.mode = self.mode, "whole"
        if mode == "late":
            self._model.hold_back(args)
        else:
            answer = await self._model.deliver(script, args)
            if mode == "whole":
                return answer
        if retry:
            return await self._model.deliver(script, args)
        msg = "lost"
        raise RedisOutcomeUnknownError(msg)


@dataclass
class Counts:
    """How much was explored."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    actions: dict[str, int] = field(default_factory=dict)


class Model:
    """Explores the states of a queue with these jobs and workers."""

    def __init__(
        self,
        jobs: Sequence[Spec],
        *,
        workers: int = 2,
        faults: int = 1,
        cancels: int = 1,
        leaves: int = 1,
        max_recoveries: int = 1,
        scripts: Mapping[str, Script] | None = None,
    ) -> None:
        """Say how large the world is.

        Args:
            jobs: The jobs; each is enqueued at most once, but enqueued again where its unique key kept it out.
            workers: How many workers there are.
            faults: How many crashes and lost messages there are at most on the way to a state.
            cancels: How many cancellations.
            leaves: How often a worker stops in order.
            max_recoveries: After how many crashes a job goes to quarantine.
            scripts: Other scripts than the real ones, by name, to see whether a fault in them is found.
        """
        self._scripts = {script.name: script for script in (ENQUEUE, MANAGE, SETTLE, WORKER)} | dict(scripts or {})
        self._specs = {job.id: job for job in jobs}
        self._workers = workers
        self._faults = faults
        self._cancels = cancels
        self._leaves = leaves
        self._most = max_recoveries
        self._clock = ManualClock()
        self._client = MemoryClient(RedisUrl.parse("memory://model"), self._clock)
        self._wire = _Wire(self)
        self._facts = Facts()
        self._held: list[Held] = []
        self._shards = [_Shard(self._wire, "q", BASE, lambda: None) for _ in range(workers)]  # type: ignore[arg-type]
        for shard in self._shards:
            shard._listening = True
        self._sent_runs: dict[str, int] = {}
        self.counts = Counts()

    # -- exploring -------------------------------------------------------------------------------------------------

    async def explore(self, most: int = 10_000_000) -> Counts:
        """Visit every state that can be reached, or the `most` nearest ones.

        Raises:
            ViolationError: An invariant does not hold; the message has the way to it.
        """
        await self._client.open()
        try:
            await self._explore(most)
        finally:
            await self._client.aclose()
        return self.counts

    async def _explore(self, most: int) -> None:
        first = State(self._clock.time(), {}, (Held(),) * self._workers, Facts())
        start = self._canonical(first)
        seen: dict[int, tuple[int, str]] = {start: (0, "")}
        ahead: deque[tuple[State, int, int]] = deque([(first, start, 0)])
        counts = self.counts
        while ahead and len(seen) < most:
            state, name, depth = ahead.popleft()
            counts.depth = depth
            for label, action in self._actions(state):
                self._restore(state)
                try:
                    await action()
                    following = self._take()
                    key = self._canonical(following)
                    if key not in seen:
                        self._check(following)
                except ViolationError as error:
                    msg = f"{error}\nafter: {' > '.join([*_way(seen, name), label])}\nin: {self._show()}"
                    raise ViolationError(msg) from None
                counts.transitions += 1
                kind = label.partition(" ")[0]
                counts.actions[kind] = counts.actions.get(kind, 0) + 1
                if key not in seen:
                    seen[key] = (name, label)
                    ahead.append((following, key, depth + 1))
        counts.states = len(seen)

    def _restore(self, state: State) -> None:
        database = self._client._database
        self._clock._now = state.now
        values = Walkable()
        for key, value in state.values.items():
            values.put(key, _copy(value))
        database.values = values
        database.expires = {}
        self._facts = state.facts
        for shard, held in zip(self._shards, state.workers, strict=True):
            shard.epoch = held.epoch
            shard.runs = {job.id: Run(shard, job, over=over) for job, over in held.runs}
            shard._ended.plain = list(held.plain)
            shard._ended.grouped = list(held.grouped)
            shard._ended.others = list(held.others)
            shard._in_doubt = held.in_doubt

    def _take(self) -> State:
        return State(self._clock.time(), dict(self._client._database.values), self._believed(), self._facts)

    def _believed(self) -> tuple[Held, ...]:
        return tuple(
            Held(
                shard.epoch,
                tuple(sorted((run.job, run.over) for run in shard.runs.values())),
                tuple(shard._ended.plain),
                tuple(shard._ended.grouped),
                tuple(shard._ended.others),
                shard._in_doubt,
            )
            for shard in self._shards
        )

    # -- actions ---------------------------------------------------------------------------------------------------

    def _actions(self, state: State) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        facts = state.facts
        values = state.values
        for spec in self._specs.values():
            if spec.id not in facts.accepted:
                yield f"enqueue {spec.id}", functools.partial(self._enqueue, spec)
                if "u" not in spec.options:
                    break  # in this order; one that is kept out does not hold up the others
        if _value(values, "delayed") or _value(values, "workers"):
            yield "tick", self._tick
        for one in _members(values, "dead"):
            yield f"bury {one}", functools.partial(self._bury, one)
        if facts.cancels < self._cancels:
            for one in facts.accepted:
                if one not in facts.over:
                    yield f"cancel {one}", functools.partial(self._cancel, one)
        if facts.late is not None:
            yield "arrive", self._arrive
        for index, held in enumerate(state.workers):
            if index and held == Held() and state.workers[index - 1] == Held():
                continue  # it is like the one before
            yield from self._worker_actions(state, index, held)

    def _worker_actions(
        self, state: State, index: int, held: Held
    ) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        facts = state.facts
        if held.epoch is None:
            yield f"register {index}", functools.partial(self._register, index)
            return
        yield f"beat {index}", functools.partial(self._beat, index)
        modes = ["whole"]
        if facts.faults < self._faults:
            modes += ["reply"]
            modes += ["late"] if facts.late is None and not held.in_doubt else []  # or it never arrives
            epochs = {worker.epoch for worker in state.workers}
            if all(one in epochs for one in _members(state.values, "workers")):
                yield f"crash {index}", functools.partial(self._crash, index)
        if not held.in_doubt and facts.leaves < self._leaves:
            yield f"leave {index}", functools.partial(self._leave, index)
        ends = [(job.id, outcome) for job, over in held.runs if not over for outcome in ("done", "fail")]
        for mode in modes:
            yield f"exchange {index} {mode}", functools.partial(self._exchange, index, mode)
            for job_id, outcome in [] if held.in_doubt else ends:
                act = functools.partial(self._exchange, index, mode, job_id, outcome)
                yield f"exchange {index} {mode} {job_id} {outcome}", act

    async def _enqueue(self, spec: Spec) -> None:
        before = self._everything()
        standing = await self._push(spec)
        after = self._everything()
        if standing == spec.id:
            facts = self._facts
            due = facts.due
            if spec.wait:
                due = _with(due, spec.id, self._now() + spec.wait)
            self._facts = replace(facts, accepted=(*facts.accepted, spec.id), due=due)
        elif before != after:
            msg = f"I6: {spec.id} was kept out by {standing}, and yet something changed"
            raise ViolationError(msg)
        for _ in range(2):  # once with the mark of the batch, once without
            again = await self._push(spec)
            if again != standing or after != self._everything():
                msg = f"I11: enqueueing {spec.id} again gave {again} after {standing}, or changed something"
                raise ViolationError(msg)

    async def _run(self, script: Script, args: Sequence[Any]) -> Any:
        return await self._client.run(self._scripts[script.name], [BASE], args)

    async def _push(self, spec: Spec) -> str:
        message = ["c", "1", "", "0", *written([spec])]
        found = await self._run(ENQUEUE, message)
        await self._run(ENQUEUE, message)
        await self._client.call("DEL", f"{BASE}:client:c")
        return found[1].decode() if found else spec.id

    async def _tick(self) -> None:
        self._clock.advance(STEP / 1000)

    async def _bury(self, one: str) -> None:
        await self._run(MANAGE, ["bury", one, await self._client.call("ZSCORE", f"{BASE}:dead", one)])
        self._end(one)

    async def _cancel(self, one: str) -> None:
        await self._run(MANAGE, ["cancel", one])
        self._facts = replace(self._facts, cancels=self._facts.cancels + 1)
        self._notice_cancelled()

    async def _register(self, index: int) -> None:
        await self._shards[index].register(STEP)

    def _pass(self) -> None:
        """Let a moment pass, as it does between any two scripts: too short for anything to be due."""
        self._clock.advance(2e-6)

    async def _beat(self, index: int) -> None:
        shard = self._shards[index]
        answer = await self._run(WORKER, ["beat", shard.epoch, STEP, self._most, "0"])
        if answer[0] == 0:
            shard.forfeit()
            return
        self._notice_cancelled()
        for one in answer[5]:
            run = shard.runs.get(one.decode())
            if run is not None and not run.over:
                shard.settle(run, "cancelled")

    async def _crash(self, index: int) -> None:
        shard = self._shards[index]
        shard.forfeit()
        shard._in_doubt = False
        self._facts = replace(self._facts, faults=self._facts.faults + 1)

    async def _leave(self, index: int) -> None:
        shard = self._shards[index]
        await shard.leave()
        shard.forfeit()
        self._facts = replace(self._facts, leaves=self._facts.leaves + 1)
        self._notice_cancelled()

    async def _exchange(self, index: int, mode: str, job_id: str | None = None, outcome: str = "") -> None:
        shard = self._shards[index]
        if job_id is not None:
            self._note(shard, job_id, outcome)
        self._sent_runs = {one: run.job.runs for one, run in shard.runs.items()}
        self._wire.mode = mode
        if mode != "whole":
            self._facts = replace(self._facts, faults=self._facts.faults + 1)
        try:
            for claimed in await shard.exchange(1):
                shard.runs[claimed.id] = Run(shard, claimed)
        except LeaseLost:
            shard.forfeit()
        except RedisOutcomeUnknownError:
            pass

    def _note(self, shard: Source, job_id: str, outcome: str) -> None:
        """Let a handler end, as the worker does."""
        run, spec = shard.runs[job_id], self._specs[job_id]
        if outcome == "fail" and run.job.attempts >= spec.retries:
            shard.settle(run, "dead", "x")
        elif outcome == "fail":
            shard.settle(run, "retry", spec.backoff, "x")
        elif set(spec.options) & {"u", "c", "b", "rs"}:
            shard.settle(run, "done", b"", "")
        elif spec.group:
            shard.settle_grouped(run, spec.group)
        else:
            shard.settle_plain(run)

    def hold_back(self, args: Sequence[Any]) -> None:
        """Keep a request that will arrive late."""
        self._facts = replace(self._facts, late=Late(tuple(args), tuple(sorted(self._sent_runs.items()))))

    async def _arrive(self) -> None:
        late = self._facts.late
        assert late is not None
        self._facts = replace(self._facts, late=None)
        self._sent_runs = dict(late.runs)
        await self.deliver(SETTLE, late.args)

    # -- what reaches the store ------------------------------------------------------------------------------------

    async def deliver(self, script: Script, args: Sequence[Any]) -> Any:
        """Run a script as the server does, and check what it did."""
        self._pass()
        if script is not SETTLE:
            answer = await self._run(script, args)
            self._notice_cancelled()
            return answer
        values = self._client._database.values
        epoch = str(args[0])
        alive = epoch in _members(values, "workers")
        before = self._everything()
        flight = set(_members(values, f"flight:{epoch}"))
        said = dict(_outcomes(args))
        effective = {one for one in said if alive and one in flight and self._runs(one) == self._sent_runs.get(one)}
        stale = {one for one in said if alive and one in flight} - effective
        answer = await self._run(SETTLE, args)
        if not alive and before != self._everything():
            msg = f"I2: epoch {epoch} is over, and its settle changed something"
            raise ViolationError(msg)
        claimed = [answer[at].decode() for at in range(3, len(answer), 3)]
        for one in stale:
            if one not in _members(values, f"flight:{epoch}") or one in claimed:
                msg = f"I2: an outcome of an earlier run of {one} took effect on the run that goes on"
                raise ViolationError(msg)
        for one in effective:
            self._settled(one, *said[one])
        self._notice_cancelled()
        for one in claimed:
            self._claimed(one)
        return answer

    def _settled(self, one: str, outcome: str, delay: int) -> None:
        if outcome in {"done", "cancelled"}:
            self._end(one)
        elif outcome == "retry":
            self._facts = replace(self._facts, due=_with(self._facts.due, one, self._now() + delay))

    def _claimed(self, one: str) -> None:
        facts = self._facts
        if one in facts.over or one not in facts.accepted:
            msg = f"I1: {one} was claimed, and is over or was never accepted"
            raise ViolationError(msg)
        if dict(facts.due).get(one, 0) > self._now():
            msg = f"I4: {one} was claimed before it is due"
            raise ViolationError(msg)
        group = self._specs[one].group
        terminal = facts.over | set(self._at("dead")) | set(self._at("quarantine"))
        for other in facts.accepted:
            if other == one:
                break
            if group and self._specs[other].group == group and other not in terminal:
                msg = f"I3: {one} was claimed before {other}, which was enqueued first in group {group}"
                raise ViolationError(msg)
        self._facts = replace(facts, due=tuple(pair for pair in facts.due if pair[0] != one))

    def _notice_cancelled(self) -> None:
        """Note which jobs are gone because they were cancelled; nothing else may go without being settled."""
        if self._facts.cancels:
            gone = set(self._facts.accepted) - self._facts.over - set(self._at("jobs"))
            for one in gone:
                self._end(one)

    def _end(self, one: str) -> None:
        facts = self._facts
        self._facts = replace(facts, over=facts.over | {one}, due=tuple(pair for pair in facts.due if pair[0] != one))

    def _at(self, name: str) -> Iterator[str]:
        return _members(self._client._database.values, name)

    def _now(self) -> int:
        return self._client._database.now()

    def _runs(self, one: str) -> int:
        raw = (_value(self._client._database.values, "state") or {}).get(one.encode())
        return sum(_counters(raw)) if raw else 0

    # -- invariants ------------------------------------------------------------------------------------------------

    def _check(self, state: State) -> None:
        check_places(state.values, self._specs, state.facts.accepted, state.facts.over)
        check_bounds(state.values, self._specs, self._most)
        self._check_known(state)
        if not set(state.facts.accepted) - state.facts.over:
            left = sorted(key[_PREFIX:].decode() for key in state.values)
            held = any(spec.options.get("gh") for spec in self._specs.values())
            lasting = [one for one in left if one not in {"workers", "epoch"} | ({"heads"} if held else set())]
            if lasting or (not _value(state.values, "workers") and left == ["workers"]):
                msg = f"I9: all jobs are over, and these keys are left: {lasting}"
                raise ViolationError(msg)

    def _check_known(self, state: State) -> None:
        for held in state.workers:
            if held.epoch is None or held.in_doubt:
                continue
            known = {job.id for job, _ in held.runs}
            for one in _members(state.values, f"flight:{held.epoch}"):
                if one not in known:
                    msg = f"I8: {one} is with a living worker that does not know of it, so nobody will run it"
                    raise ViolationError(msg)

    # -- names of states -------------------------------------------------------------------------------------------

    def _canonical(self, state: State) -> int:
        """Name a state so that those which differ only in what nobody can tell have the same name."""
        values, facts, now = state.values, state.facts, round(state.now * 1000)
        believers = sorted(state.workers, key=lambda held: self._signature(held, values, now))
        epochs = {held.epoch: f"w{index}" for index, held in enumerate(believers) if held.epoch}
        leases: list[tuple[str, int]] = []
        workers = _value(values, "workers")
        if workers is not None:
            ghosts = [one.decode() for _, one in workers.order if one.decode() not in epochs]
            epochs |= {one: f"g{index}" for index, one in enumerate(ghosts)}
            leases = sorted((epochs[one.decode()], max(0, int(score) - now)) for score, one in workers.order)
        parts: list[Any] = [tuple(leases)]
        for key in sorted(values):
            name = key[_PREFIX:].decode()
            value = values[key]
            if name in {"workers", "epoch"}:
                continue
            if name == "state":
                parts.append((name, tuple(sorted((one, _counters(raw)) for one, raw in value.items()))))
            elif name == "delayed":
                parts.append((name, tuple((one, max(0, int(score) - now)) for score, one in value.order)))
            elif name == "dead":
                parts.append((name, tuple(sorted(value.scores))))
            elif name.startswith(("flight:", "suspect:")):
                kind, _, epoch = name.partition(":")
                parts.append((kind, epochs.get(epoch, "nobody"), tuple(sorted(value))))
            elif isinstance(value, List):
                parts.append((name, tuple(value)))
            elif isinstance(value, Hash):
                parts.append((name, tuple(sorted(value.items())) if name != "jobs" else tuple(sorted(value))))
            else:
                parts.append((name, tuple(sorted(value)) if isinstance(value, Set) else value))
        late = facts.late
        believed = tuple(held._replace(epoch=epochs.get(held.epoch or "")) for held in believers)
        due = tuple(sorted((one, max(0, when - now)) for one, when in facts.due if when > now))
        told = late and (epochs.get(late.args[0], "nobody"), late.args[1:], late.runs)
        accepted = tuple(
            sorted(facts.accepted, key=lambda one: self._specs[one].group or "")
        )  # stable: order in a group
        spent = (facts.faults, facts.cancels, facts.leaves)
        return hash((tuple(parts), believed, accepted, facts.over, due, spent, told))

    @staticmethod
    def _signature(held: Held, values: dict[bytes, Any], now: int) -> tuple[Any, ...]:
        """Describe a worker without its number: two that are the same in this are the same in all."""
        workers = _value(values, "workers")
        lease = workers.scores.get((held.epoch or "").encode()) if workers is not None else None
        flight = sorted(_members(values, f"flight:{held.epoch}")) if held.epoch else []
        return (held.epoch is not None, *held[1:], -1 if lease is None else max(0, int(lease) - now), flight)

    def _everything(self) -> dict[str, Any]:
        return {key[_PREFIX:].decode(): _plain(value) for key, value in self._client._database.values.items()}

    def _show(self) -> str:
        return f"{self._everything()} {self._believed()} {self._facts}"


# -- what holds in every state -------------------------------------------------------------------------------------


def places_of(values: dict[bytes, Any]) -> dict[str, list[str]]:
    """Find where each id stands."""
    found: dict[str, list[str]] = {}
    for key, value in values.items():
        name = key[_PREFIX:].decode()
        kind = name.partition(":")[0]
        if kind in {"ready", "group", "lane", "flight"} or name.startswith("parked:"):
            ids = [one.decode() for one in value]
        elif name in {"dead", "delayed"}:
            ids = [one.decode()[name == "delayed" :] for one in value.scores]
        elif name == "quarantine":
            ids = [one.decode() for one in value]
        else:
            continue
        for one in ids:
            found.setdefault(one, []).append(name)
    return found


def check_places(
    values: dict[bytes, Any], specs: dict[str, Spec], accepted: Sequence[str], over: frozenset[str] | set[str]
) -> None:
    """Check I1 (each job in one place), I3 (one id of a group outside of its list) and I6 (unique keys).

    Raises:
        ViolationError: One does not hold.
    """
    places = places_of(values)
    bodies = set(_members(values, "jobs"))
    alive = set(accepted) - set(over)
    for one in alive:
        where = places.get(one, [])
        if len(where) != 1 or one not in bodies:
            body = "with" if one in bodies else "without"
            msg = f"I1: {one} is accepted and not over, and in {where or 'no place'}, {body} a body"
            raise ViolationError(msg)
    strange = (set(places) | bodies) - alive
    if strange:
        msg = f"I1: {sorted(strange)} are over or were never accepted, and still there"
        raise ViolationError(msg)
    epochs = set(_members(values, "workers"))
    for one, where in places.items():
        if where[0].startswith("flight:") and where[0].partition(":")[2] not in epochs:
            msg = f"I8: {one} is with an epoch that has no lease, so nobody will take it over"
            raise ViolationError(msg)
    _check_groups(values, specs, places, alive, over)
    settled = set(_members(values, "dead")) | set(_members(values, "quarantine"))
    keys = {spec.options["u"]: one for one, spec in specs.items() if "u" in spec.options and one in alive - settled}
    held = {key.decode(): one.decode().partition(" ")[0] for key, one in (_value(values, "unique") or {}).items()}
    if keys != held:
        msg = f"I6: the unique keys are {held}, and should be {keys}"
        raise ViolationError(msg)


def _check_groups(
    values: dict[bytes, Any],
    specs: dict[str, Spec],
    places: dict[str, list[str]],
    alive: set[str],
    over: frozenset[str] | set[str],
) -> None:
    heads = {group.decode(): head.decode() for group, head in (_value(values, "heads") or {}).items()}
    out: dict[str, list[str]] = {}
    settled = set(_members(values, "dead")) | set(_members(values, "quarantine"))
    delayed = _value(values, "delayed")
    not_yet = {one[1:].decode() for one in delayed.scores if one[:1] == b"0"} if delayed is not None else set()
    for one in alive:
        spec = specs[one]
        outside = spec.group and places[one][0] != f"group:{spec.group}" and one not in not_yet
        if spec.group and outside and (one not in settled or spec.options.get("gh")):
            out.setdefault(spec.group, []).append(one)
    for group, head in list(heads.items()):
        if head in over and specs[head].options.get("gh"):
            del heads[group]  # it is in SQL or was taken out, and those behind it wait to be let go
    for group in set(heads) | set(out) | {spec.group for spec in specs.values() if spec.group}:
        if out.get(group, []) != ([heads[group]] if group in heads else []):
            msg = (
                f"I3: of group {group} {out.get(group, [])} are outside of its list, and its head is {heads.get(group)}"
            )
            raise ViolationError(msg)
        if group.encode() not in (_value(values, "heads") or {}) and _value(values, f"group:{group}"):
            msg = f"I8: group {group} has waiting jobs and no head, so nobody will let them out"
            raise ViolationError(msg)


def check_bounds(values: dict[bytes, Any], specs: dict[str, Spec], most: int) -> None:
    """Check I5 (attempts and recoveries are bounded).

    Raises:
        ViolationError: It does not hold.
    """
    quarantined = set(_members(values, "quarantine"))
    for one, raw in (_value(values, "state") or {}).items():
        attempts, recoveries, _ = _counters(raw)
        spec = specs[one.decode()]
        if attempts > spec.retries + 1 or recoveries > most + (one.decode() in quarantined):
            msg = f"I5: {one.decode()} failed {attempts} times and was recovered {recoveries} times"
            raise ViolationError(msg)


# -- helpers ---------------------------------------------------------------------------------------------------------


def _way(seen: dict[int, tuple[int, str]], name: int) -> list[str]:
    """Walk back to the first state."""
    way: list[str] = []
    while seen[name][1]:
        name, label = seen[name]
        way.append(label)
    return way[::-1]


def _value(values: dict[bytes, Any], name: str) -> Any:
    return values.get(f"{BASE}:{name}".encode())


def _members(values: dict[bytes, Any], name: str) -> Iterator[str]:
    found = _value(values, name)
    for one in found.scores if isinstance(found, SortedSet) else found or ():
        yield one.decode()


def _copy(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    if isinstance(value, SortedSet):
        twin = SortedSet()
        twin.scores, twin.order = dict(value.scores), list(value.order)
        return twin
    if isinstance(value, List):
        return List(value)
    other = type(value)()
    dict.update(other, value)
    return other


def _plain(value: Any) -> Any:
    if isinstance(value, SortedSet):
        return dict(value.scores)
    return value if isinstance(value, bytes) else dict(value) if isinstance(value, Hash) else list(value)


@functools.lru_cache(maxsize=10_000)
def _counters(raw: bytes) -> tuple[int, int, int]:
    found = json.loads(raw)
    return int(found["a"]), int(found["r"]), int(found["x"])


def _with(pairs: tuple[tuple[str, int], ...], one: str, when: int) -> tuple[tuple[str, int], ...]:
    return (*[pair for pair in pairs if pair[0] != one], (one, when))


def _outcomes(args: Sequence[Any]) -> Iterator[tuple[str, tuple[str, int]]]:
    """Read what a settle says of each job: outcome and delay."""
    count = int(args[2])
    for one in args[3 : 3 + count]:
        yield one, ("done", 0)
    at = 3 + count
    count = int(args[at])
    for place in range(at + 1, at + 1 + 2 * count, 2):
        yield args[place], ("done", 0)
    for place in range(at + 1 + 2 * count, len(args), 4):
        outcome = args[place]
        yield args[place + 1], (outcome, int(args[place + 2]) if outcome in {"retry", "snooze"} else 0)
