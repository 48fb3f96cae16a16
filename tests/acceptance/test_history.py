"""The checker of histories finds what it is there for: each kind of bad history, made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.jobs.history import Final, History, Log

if TYPE_CHECKING:
    from pathlib import Path

Event = dict[str, Any]
LEASE = 1.0


def enqueued(t: float, one: str, **facts: Any) -> list[Event]:
    """Enqueue a job at a time."""
    return [{"t": t, "what": "enqueuing", "id": one, **facts}, {"t": t + 0.001, "what": "enqueued", "id": one}]


def ran(
    begin: float, end: float | None, one: str, outcome: str = "done", *, attempt: int = 0, fence: int = 1, **facts: Any
) -> list[Event]:
    """Run a job from a time to a time, or without end."""
    found: list[Event] = [
        {"t": begin, "what": "started", "id": one, "attempt": attempt, "fence": fence, "worker": f"w{fence}"}
    ]
    if end is not None:
        found.append({"t": end, "what": "ended", "id": one, "fence": fence, "outcome": outcome, **facts})
    return found


GOOD: dict[str, tuple[list[Event], Final]] = {
    "one run": ([*enqueued(0, "a"), *ran(1, 2, "a")], Final()),
    "a crash, then a run": ([*enqueued(0, "a"), *ran(1, None, "a"), *ran(2.5, 3, "a", fence=2)], Final()),
    "a retry": (
        [*enqueued(0, "a"), *ran(1, 2, "a", "retry", delay=1), *ran(3, 4, "a", attempt=1, fence=2)],
        Final(),
    ),
    "a dead job": (
        [*enqueued(0, "a"), *ran(1, 2, "a", "dead"), {"t": 1.9, "what": "failed", "id": "a"}],
        Final(rows={"a"}),
    ),
    "a group": (
        [*enqueued(0, "a", group="g"), *enqueued(1, "b", group="g"), *ran(2, 3, "a"), *ran(3.1, 4, "b")],
        Final(),
    ),
    "a stopped worker that goes on": (
        [
            *enqueued(0, "a", group="g"),
            *enqueued(0.1, "b", group="g"),
            *ran(1, 5, "a"),
            *ran(2.5, 3, "a", fence=2),
            *ran(3.5, 4, "b"),
        ],
        Final(),
    ),
    "a stopped worker that begins late": (
        [
            *enqueued(0, "a", group="g"),
            *enqueued(0.1, "b", group="g"),
            *ran(2.5, 3, "a", fence=2),
            *ran(3.5, 4, "b"),
            *ran(3.6, 5, "a", fence=1),
        ],
        Final(),
    ),
    "an enqueue without an answer": ([{"t": 0, "what": "enqueuing", "id": "a"}], Final()),
}

BAD: dict[str, tuple[list[Event], Final, str]] = {
    "lost": (enqueued(0, "a"), Final(), "I1: a was accepted and is lost"),
    "lost after a crash": ([*enqueued(0, "a"), *ran(1, None, "a")], Final(), "I1: a was accepted and is lost"),
    "from nowhere": (ran(1, 2, "a"), Final(), "I1: a ran, and nobody enqueued it"),
    "doubled within the lease": (
        [*enqueued(0, "a"), *ran(1, 2, "a"), *ran(1.3, 2, "a", fence=2)],
        Final(),
        "I2: a was begun again after 0.300 s",
    ),
    "the same fence twice": (
        [*enqueued(0, "a"), *ran(1, None, "a"), *ran(3, 4, "a")],
        Final(),
        "I2: two runs of a have the fence 1",
    ),
    "a stale result": (
        [*enqueued(0, "a"), *ran(1, 4, "a"), *ran(2.5, None, "a", fence=2)],
        Final(),
        "I2: the last run of a .* did not come to an end",
    ),
    "reordered": (
        [*enqueued(0, "a", group="g"), *enqueued(1, "b", group="g"), *ran(2, 3, "b"), *ran(3.1, 4, "a")],
        Final(),
        "I3: in group g b began before a",
    ),
    "side by side": (
        [*enqueued(0, "a", group="g"), *enqueued(1, "b", group="g"), *ran(2, 3, "a"), *ran(2.5, 4, "b")],
        Final(),
        "I3: in group g b began while a was not over",
    ),
    "past a retry": (
        [
            *enqueued(0, "a", group="g"),
            *enqueued(1, "b", group="g"),
            *ran(2, 2.1, "a", "retry", delay=1),
            *ran(2.5, 2.6, "b"),
            *ran(3.1, 4, "a", attempt=1, fence=2),
        ],
        Final(),
        "I3: in group g b began while a was not over",
    ),
    "a retry too early": (
        [*enqueued(0, "a"), *ran(1, 2, "a", "retry", delay=1), *ran(2.5, 4, "a", attempt=1, fence=2)],
        Final(),
        "I4: attempt 1 of a began 0.500 s before it was due",
    ),
    "too many attempts": (
        [
            *enqueued(0, "a", retries=1),
            *ran(1, 2, "a", "retry"),
            *ran(3, 4, "a", "retry", attempt=1, fence=2),
            *ran(5, 6, "a", attempt=2, fence=3),
        ],
        Final(),
        "I5: a had 3 attempts, and may have 2",
    ),
    "stuck": ([*enqueued(0, "a")], Final(places={"a": "flight:7"}), "I8: a is stuck in flight:7"),
    "a key left": ([*enqueued(0, "a"), *ran(1, 2, "a")], Final(keys=["x:state"]), "I9: the key x:state is left"),
    "rolled back": (
        [{"t": 0, "what": "enqueuing", "id": "a"}, {"t": 1, "what": "rolled_back", "id": "a"}, *ran(1, 2, "a")],
        Final(),
        "I10: a was rolled back, and ran",
    ),
    "doubled": (
        [*enqueued(0, "a"), *ran(1, 2, "a"), *ran(3, 4, "a", fence=2)],
        Final(),
        "I11: a ran 2 times",
    ),
    "no row": (
        [*enqueued(0, "a"), *ran(1, 2, "a", "dead"), {"t": 1.9, "what": "failed", "id": "a"}],
        Final(),
        "I12: a is dead, and has no row",
    ),
    "no call of failed()": ([*enqueued(0, "a"), *ran(1, 2, "a", "dead")], Final(rows={"a"}), "I12: .* never called"),
    "a call of failed() that was given up": (
        [*enqueued(0, "a", tells=9), *ran(1, 2, "a", "dead"), {"t": 2.1, "what": "failed", "id": "a"}],
        Final(rows={"a"}),
        "I12: a has a row, and its failed\\(\\) never reached the database",
    ),
    "a row of a job that ended well": (
        [*enqueued(0, "a"), *ran(1, 2, "a"), {"t": 1.9, "what": "failed", "id": "a"}],
        Final(rows={"a"}),
        "I12: a has a row, and ended well",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_may_happen_is_no_problem(name: str) -> None:
    """Crashes, retries and workers that stand still leave histories that are in order."""
    events, final = GOOD[name]

    assert History(events).problems(final, lease=LEASE) == []


@pytest.mark.parametrize("name", BAD)
def test_what_may_not_happen_is_found(name: str) -> None:
    """Each kind of bad history has its message."""
    events, final, message = BAD[name]

    found = History(events).problems(final, lease=LEASE, exact=name == "doubled")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError("\n".join(found))


def test_an_outage_excuses_an_early_start() -> None:
    """While the server is away leases end unseen, so a second run may begin early."""
    events = [*enqueued(0, "a"), *ran(1, None, "a"), {"t": 1.2, "what": "outage", "seconds": 0.1}]
    events += ran(1.3, 2, "a", fence=2)

    assert History(events).problems(Final(), lease=LEASE) == []


@pytest.mark.parametrize(("worker", "excused"), [("w1", True), ("w3", False)])
def test_a_worker_that_stood_still_may_begin_late(worker: str, excused: bool) -> None:
    """It was given the job before, and begins it beside the one that has it now."""
    events = [*enqueued(0, "a"), {"t": 2, "what": "outage", "worker": worker, "seconds": 1.5}]
    events += [*ran(2.1, 4, "a"), *ran(2.2, 3, "a", fence=2)]

    found = History(events).problems(Final(), lease=LEASE)

    assert [problem[:2] for problem in found] == ([] if excused else ["I2"])


def test_a_log_survives_a_cut_off_line(tmp_path: Path) -> None:
    """Events come back as they were noted; what a crash left of a last line does not count."""
    log = Log(tmp_path / "log")
    log.note("enqueuing", id="a")
    log.note("enqueued", id="a")
    log.close()
    with log.path.open("ab") as file:
        file.write(b'{"t": 1, "wh')

    assert list(History.load(log.path).accepted) == ["a"]
