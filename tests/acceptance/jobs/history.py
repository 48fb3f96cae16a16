"""What happened to jobs, in order, and whether it may have happened.

Every process appends to one file, a line of JSON for each event, with the time of the machine's monotonic clock, which
all of its processes share. At the end the events and what is left in Redis and SQL are held against the guarantees.
The history knows nothing of scripts and leases: it sees what a handler and a caller see.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Final", "History", "Log"]

_SLACK = 0.005
"""Seconds by which two clocks of the machine may differ."""


class Log:
    """Appends events to a file; several processes may do so at the same time."""

    def __init__(self, path: Path) -> None:
        """Say to which file."""
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, **facts: Any) -> None:
        """Append an event with the time of now; once this returns, no crash of the process takes it back."""
        os.write(self._file, json.dumps({"t": time.monotonic(), "what": what, **facts}).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@dataclass
class Run:
    """One run of a job: from the call of its handler to its end, if it came to one."""

    id: str
    attempt: int
    fence: int
    worker: str
    begin: float
    end: float | None = None
    outcome: str | None = None
    delay: float = 0.0

    @property
    def terminal(self) -> bool:
        """Whether the job need not run again after it."""
        return self.outcome in {"done", "dead", "cancelled"}


@dataclass
class Final:
    """What is left at the end.

    Attributes:
        places: Where each id stands that is still in Redis.
        rows: The ids in `failed_jobs`.
        told: The ids that `failed()` wrote to the database.
        keys: The keys that are left, but for those that go by themselves.
    """

    places: dict[str, str] = field(default_factory=dict[str, str])
    rows: set[str] = field(default_factory=set[str])
    told: set[str] = field(default_factory=set[str])
    keys: list[str] = field(default_factory=list[str])


class History:
    """The events of a test, and the checks of their order.

    An event has `what` happened: `enqueuing` (id, group, retries, tells) before and `enqueued` (id) after a job was
    accepted, `rolled_back` (id), `started` (id, attempt, fence, worker), `ended` (id, fence, outcome, delay), `failed`
    (id), `refused` (id) where `failed()` found the database away, and `outage` (seconds, worker) for the time in which
    no lease could be kept, or one worker stood still.
    """

    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        """Sort events by time and find the runs."""
        self.events = sorted(events, key=lambda event: float(event["t"]))
        self.runs: dict[str, list[Run]] = defaultdict(list)
        self.offered: dict[str, dict[str, Any]] = {}
        self.accepted: dict[str, float] = {}
        self.failures: dict[str, float] = {}
        self.refused: set[str] = set()
        self.rolled_back: set[str] = set()
        self._outages: list[tuple[float, float, str | None]] = []
        for event in self.events:
            self._read(event)

    @classmethod
    def load(cls, path: Path) -> History:
        """Read a file; a line that a crash cut off at the end does not count."""
        found: list[dict[str, Any]] = []
        for line in path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return cls(found)

    def _read(self, event: dict[str, Any]) -> None:
        what, when = event["what"], float(event["t"])
        if what == "outage":
            self._outages.append((when - float(event["seconds"]), when, event.get("worker")))
            return
        one = event["id"]
        if what == "enqueuing":
            self.offered[one] = event
        elif what == "enqueued":
            self.accepted.setdefault(one, when)
        elif what == "rolled_back":
            self.rolled_back.add(one)
        elif what == "failed":
            self.failures.setdefault(one, when)
        elif what == "refused":
            self.refused.add(one)
        elif what == "started":
            self.runs[one].append(Run(one, event["attempt"], event["fence"], event["worker"], when))
        elif what == "ended":
            for run in reversed(self.runs[one]):
                if run.fence == event["fence"] and run.end is None:
                    run.end, run.outcome, run.delay = when, event["outcome"], float(event.get("delay", 0))
                    break

    def problems(self, final: Final, *, lease: float, exact: bool = False) -> list[str]:
        """Hold the history against the guarantees; return what is wrong, in words.

        Args:
            final: What is left.
            lease: Seconds of a lease of the workers.
            exact: No process was lost, so no attempt may have run twice either.
        """
        found = [
            *self._conserved(final),
            *self._fenced(final, lease),
            *self._ordered(),
            *self._patient(),
            *self._bounded(),
        ]
        found += [*self._buried(final), *(self._once() if exact else ())]
        found += [f"I9: the key {key} is left" for key in final.keys]
        return found

    # -- the guarantees --------------------------------------------------------------------------------------------

    def _conserved(self, final: Final) -> Iterator[str]:
        """I1, I10: what was accepted came to an end or is still there; what was rolled back never ran."""
        for one in self.accepted:
            runs = self.runs.get(one, [])
            ended = any(run.terminal for run in runs)
            if not ended and one not in final.places and one not in final.rows:
                yield f"I1: {one} was accepted and is lost: it has {len(runs)} runs, none to an end, and is nowhere"
            if one in final.places and final.places[one] not in {"dead", "quarantine"}:
                yield f"I8: {one} is stuck in {final.places[one]}"
        for one in set(self.runs) - set(self.offered):
            yield f"I1: {one} ran, and nobody enqueued it"
        for one in self.rolled_back & set(self.runs):
            yield f"I10: {one} was rolled back, and ran"

    def _fenced(self, final: Final, lease: float) -> Iterator[str]:
        """I2: each run has a fence of its own, no run begins beside one with a lease, and the last one decides."""
        for one, runs in self.runs.items():
            seen: dict[int, Run] = {}
            for run in runs:
                if run.fence in seen:
                    by = f"{seen[run.fence].worker} and {run.worker}"
                    yield f"I2: two runs of {one} have the fence {run.fence}, by {by}"
                seen[run.fence] = run
            for before, after in itertools.pairwise(runs):
                beside = before.end is None or before.end > after.begin
                waited = after.begin - before.begin
                if beside and waited < lease / 2 and not self._excused(before, after, lease):
                    yield f"I2: {one} was begun again after {waited:.3f} s, within the lease of a run that goes on"
            last = max(runs, key=lambda run: run.fence)
            if not last.terminal and any(run.terminal for run in runs) and one not in final.places:
                yield (
                    f"I2: the last run of {one} (fence {last.fence}) did not come to an end, and the job is over: "
                    "the result of an earlier run took effect"
                )

    def _ordered(self) -> Iterator[str]:
        """I3: the jobs of a group begin in the order in which they were accepted, each after the one before."""
        groups: dict[str, list[str]] = defaultdict(list)
        for one, event in self.offered.items():
            if event.get("group") is not None and one in self.runs:
                groups[event["group"]].append(one)
        for group, ids in groups.items():
            ids.sort(key=lambda one: (self.offered[one].get("seq", 0), self.offered[one]["t"]))
            for place, one in enumerate(ids[1:], start=1):
                begin = self.runs[one][0].begin
                before = ids[place - 1]
                alive = [run for run in self._living(before) if run.begin < begin]
                if not alive:
                    yield f"I3: in group {group} {one} began before {before}, which was enqueued first"
                elif not alive[-1].terminal or (alive[-1].end or 0) > begin:
                    yield f"I3: in group {group} {one} began while {before} was not over"
                if any(run.begin > begin for run in self._living(before)):
                    yield f"I3: in group {group} {before} began again after {one}, which was enqueued later"

    def _living(self, one: str) -> list[Run]:
        """Leave out the runs that were begun by a worker whose lease was over: a later run had begun by then."""
        found: list[Run] = []
        for run in self.runs[one]:
            if not found or run.fence > found[-1].fence:
                found.append(run)
        return found

    def _patient(self) -> Iterator[str]:
        """I4: no attempt begins before the backoff of the one before is over."""
        for one, runs in self.runs.items():
            for run in runs:
                earlier = [
                    before.end + before.delay
                    for before in runs
                    if before.outcome == "retry" and before.attempt == run.attempt - 1 and before.end is not None
                ]
                if run.attempt and earlier and run.begin < min(earlier) - _SLACK:
                    yield f"I4: attempt {run.attempt} of {one} began {min(earlier) - run.begin:.3f} s before it was due"

    def _bounded(self) -> Iterator[str]:
        """I5: no more attempts than the job allows."""
        for one, runs in self.runs.items():
            allowed = self.offered.get(one, {}).get("retries")
            most = max(run.attempt for run in runs)
            if allowed is not None and most > allowed:
                yield f"I5: {one} had {most + 1} attempts, and may have {allowed + 1}"

    def _buried(self, final: Final) -> Iterator[str]:
        """I12: every dead job has its row, and had its `failed()` before, to its end if it waited for the database."""
        for one, runs in self.runs.items():
            last = max(runs, key=lambda run: run.fence)
            dead = last.outcome == "dead" and one not in final.places
            if dead and one not in final.rows:
                yield f"I12: {one} is dead, and has no row"
            if one in final.rows and one not in self.failures:
                yield f"I12: {one} has a row, and its failed() was never called"
            if one in final.rows and one not in final.told and self.offered.get(one, {}).get("tells", 0) > 1:
                yield f"I12: {one} has a row, and its failed() never reached the database, and did not give up"
            if one in final.rows and last.outcome == "done":
                yield f"I12: {one} has a row, and ended well"

    def _once(self) -> Iterator[str]:
        """I11: where no process was lost, each attempt ran once."""
        for one, runs in self.runs.items():
            attempts = [run.attempt for run in runs if run.outcome != "snooze"]
            if len(attempts) != len(set(attempts)):
                yield f"I11: {one} ran {len(runs)} times, some attempts more than once: {attempts}"

    def _excused(self, before: Run, after: Run, lease: float) -> bool:
        """Tell whether a lease may have ended; who stood still may have been given the job long before it began it."""
        pids = {run.worker.partition(":")[0] for run in (before, after)}
        return any(
            first < after.begin and (before.begin < last if worker is None else before.begin - lease / 2 < last)
            for first, last, worker in self._outages
            if worker is None or worker in pids
        )
