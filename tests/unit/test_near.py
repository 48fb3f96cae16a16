"""The near cache by itself: bounds, eviction, time, and that a late reply brings nothing back."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rustforge.cache import NearCache
from rustforge.cache.near import NearStore
from rustforge.clock import ManualClock
from rustforge.errors import InvalidArgumentError

OVERHEAD = 300


def hold(store: NearStore, key: str, raw: bytes = b"x", remaining: int = -1) -> None:
    """Read a key without anything between."""
    store.finish(key, store.begin(key), raw, remaining)


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_entries": 0},
        {"max_entries": -1},
        {"max_bytes": 0},
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": math.nan},
        {"ttl": math.inf},
        {"ttl": True},
        {"ttl": "60"},
        {"ttl": timedelta(0)},
    ],
)
def test_unusable_bounds(bounds: dict[str, Any]) -> None:
    """Bounds that hold nothing are refused."""
    with pytest.raises(InvalidArgumentError):
        NearCache(**bounds)


def test_what_is_held_is_found() -> None:
    """A value is found until it is thrown out."""
    store = NearStore(NearCache(), ManualClock())
    assert store.get("a") is None
    hold(store, "a", b"1")
    assert store.get("a") == b"1"
    store.discard("a")
    assert store.get("a") is None
    assert (len(store), store.bytes) == (0, 0)


@pytest.mark.parametrize(
    ("remaining", "lives"),
    [(-1, 60.0), (30_000, 30.0), (90_000, 60.0), (1, 0.001)],
    ids=["no expiry", "sooner", "later", "at once"],
)
def test_the_time_bound(remaining: int, lives: float) -> None:
    """A value is held for its own time to live and never longer than the near cache's, counted from before the read."""
    clock = ManualClock()
    store = NearStore(NearCache(ttl=60), clock)
    mark = store.begin("a")
    clock.advance(lives / 2)  # the reply takes its time
    store.finish("a", mark, b"1", remaining)
    clock.advance(lives * 0.499)
    assert store.get("a") == b"1"
    clock.advance(lives * 0.002)
    assert store.get("a") is None
    assert (len(store), store.bytes) == (0, 0)


def test_what_is_left_of_a_life() -> None:
    """The milliseconds left go down with the clock; no expiry stays none."""
    clock = ManualClock()
    store = NearStore(NearCache(), clock)
    hold(store, "a", remaining=5_000)
    hold(store, "b")
    clock.advance(2)
    assert (store.remaining("a"), store.remaining("b")) == (3_000, -1)
    clock.advance(10)
    assert store.remaining("a") == 0


@pytest.mark.parametrize(("raw", "remaining"), [(None, -2), (b"1", -2), (None, -1)])
def test_what_is_missing_is_not_held(raw: bytes | None, remaining: int) -> None:
    """A miss, or a key that ended between the value and its time to live, holds nothing and leaves no mark."""
    store = NearStore(NearCache(), ManualClock())
    store.finish("a", store.begin("a"), raw, remaining)
    assert len(store) == 0
    assert store._reading == {}


def test_a_change_while_a_read_is_under_way() -> None:
    """A notice between request and reply keeps the reply from being held; so does a lost connection."""
    store = NearStore(NearCache(), ManualClock())
    for notice in (b"a", None):
        mark = store.begin("a")
        store.hear(notice)
        store.finish("a", mark, b"old", -1)
        assert store.get("a") is None


def test_a_late_reply_after_a_newer_read() -> None:
    """A read from before the change does not replace what a read from after it brought."""
    store = NearStore(NearCache(), ManualClock())
    old = store.begin("a")
    store.hear(b"a")
    new = store.begin("a")
    store.finish("a", old, b"old", -1)
    assert store.get("a") is None
    store.finish("a", new, b"new", -1)
    store.finish("a", old, b"old", -1)
    assert store.get("a") == b"new"


def test_reads_at_the_same_time() -> None:
    """Concurrent reads share one mark; the first reply is held and the second changes nothing."""
    store = NearStore(NearCache(), ManualClock())
    first, second = store.begin("a"), store.begin("a")
    store.finish("a", first, b"1", -1)
    store.finish("a", second, b"1", -1)
    assert (store.get("a"), len(store), store._reading) == (b"1", 1, {})


def test_a_notice_throws_out_and_a_lost_connection_everything() -> None:
    """The key of a notice goes; `None` means that nothing is known any more. Odd keys are no trouble."""
    store = NearStore(NearCache(), ManualClock())
    for key in ("a", "b", "é"):
        hold(store, key)
    store.hear(b"\xff\xfe")
    store.hear("é".encode())
    assert [store.get(key) for key in ("a", "b", "é")] == [b"x", b"x", None]
    store.hear(None)
    assert (len(store), store.bytes) == (0, 0)


def test_clock_eviction() -> None:
    """The oldest that was not read since its last turn goes first; reading gives one more turn and no more."""
    store = NearStore(NearCache(max_entries=3), ManualClock())
    for key in ("a", "b", "c"):
        hold(store, key)
    store.get("a")
    hold(store, "d")
    assert list(store._entries) == ["c", "a", "d"]
    hold(store, "e")
    assert list(store._entries) == ["a", "d", "e"]
    hold(store, "f")
    assert list(store._entries) == ["d", "e", "f"]


def test_when_all_were_read_the_oldest_goes() -> None:
    """Everything read means nothing spared: eviction ends."""
    store = NearStore(NearCache(max_entries=3), ManualClock())
    for key in ("a", "b", "c"):
        hold(store, key)
        store.get(key)
    hold(store, "d")
    assert list(store._entries) == ["b", "c", "d"]


def test_the_bound_in_bytes() -> None:
    """Keys, values and what they cost beside count; what is bigger than the bound is not held at all."""
    store = NearStore(NearCache(max_bytes=2 * (OVERHEAD + 11)), ManualClock())
    hold(store, "a", b"x" * 10)
    hold(store, "b", b"x" * 10)
    assert store.bytes == 2 * (OVERHEAD + 11)
    hold(store, "c", b"x")
    assert (store.get("a"), store.bytes) == (None, 2 * OVERHEAD + 11 + 2)
    hold(store, "d", b"x" * 1000)
    assert store.get("d") is None
    assert store.get("b") == b"x" * 10
    hold(store, "b", b"y")
    assert store.bytes == 2 * OVERHEAD + 2 + 2


def test_eviction_does_not_slow_down() -> None:
    """Replacing a hundred thousand values in a full near cache takes the same time for each."""
    store = NearStore(NearCache(max_entries=50_000), ManualClock())
    for number in range(50_000):
        hold(store, str(number))
    started = time.perf_counter()
    for number in range(50_000, 100_000):
        hold(store, str(number))
    assert time.perf_counter() - started < 2
    assert len(store) == 50_000


class Coherence(RuleBasedStateMachine):
    """Interleavings of reads, writes by others, notices and lost connections, against what the server holds.

    The server's promise: after a key was read, its next change is told once, in the order of the replies.
    """

    keys = st.sampled_from(["a", "b"])

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = NearStore(NearCache(max_entries=2), self.clock)
        self.server: dict[str, int] = {"a": 0, "b": 0}
        self.tracked: set[str] = set()
        self.wire: list[tuple[str, str, Any]] = []  # replies and notices on their way, in order
        self.marks: list[tuple[str, Any]] = []  # reads that were sent and not yet seen by the server
        self.arrived: list[tuple[str, Any, int]] = []  # replies that arrived; their tasks did not run yet
        self.told: dict[str, int] = {"a": 0, "b": 0}  # the newest version whose notice arrived

    @rule(key=keys)
    def send_read(self, key: str) -> None:
        """Begin a read."""
        if len(self.marks) < 4:
            self.marks.append((key, self.store.begin(key)))

    @rule()
    def server_answers(self) -> None:
        """The server reads, remembers who did, and answers."""
        if self.marks:
            key, mark = self.marks.pop(0)
            self.tracked.add(key)
            self.wire.append(("reply", key, (mark, self.server[key])))

    @rule(key=keys)
    def somebody_writes(self, key: str) -> None:
        """Another client writes; the notice goes out if the key was read."""
        self.server[key] += 1
        if key in self.tracked:
            self.tracked.discard(key)
            self.wire.append(("notice", key, self.server[key]))

    @rule()
    def something_arrives(self) -> None:
        """The oldest message on the wire arrives; a notice is heard at once, a reply's task runs later."""
        if self.wire:
            kind, key, content = self.wire.pop(0)
            if kind == "notice":
                self.told[key] = content
                self.store.hear(key.encode())
            else:
                self.arrived.append((key, *content))

    @rule(data=st.data())
    def a_task_runs(self, data: st.DataObject) -> None:
        """One of the tasks whose reply arrived goes on, in any order."""
        if self.arrived:
            key, mark, version = self.arrived.pop(data.draw(st.integers(0, len(self.arrived) - 1)))
            self.store.finish(key, mark, str(version).encode(), -1)

    @rule(key=keys)
    def this_process_writes(self, key: str) -> None:
        """This process writes: it throws its own out first, so it never reads what it replaced."""
        self.store.discard(key)
        self.somebody_writes(key)

    @rule()
    def the_connection_is_lost(self) -> None:
        """What is on the wire is gone, and so is all that was held; reads are sent again."""
        self.store.hear(None)
        self.wire.clear()
        self.tracked.clear()
        self.told = dict(self.server)

    @invariant()
    def nothing_older_than_the_last_notice(self) -> None:
        """What is held is never older than the last change that this process was told of."""
        for key, told in self.told.items():
            held = self.store.get(key)
            assert held is None or int(held) >= told

    def teardown(self) -> None:
        """When everything has arrived, what is held is what the server holds."""
        while self.marks or self.wire:
            self.server_answers()
            self.something_arrives()
        for key, mark, version in self.arrived:
            self.store.finish(key, mark, str(version).encode(), -1)
        for key, version in self.server.items():
            held = self.store.get(key)
            assert held is None or int(held) == version
        assert self.store._reading == {}


test_coherence = Coherence.TestCase
test_coherence.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 600), st.booleans()), max_size=60))
def test_the_bounds_hold(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever is read, neither bound is passed, and the count of bytes is that of what is held."""
    options = NearCache(max_entries=4, max_bytes=2_000)
    store = NearStore(options, ManualClock())
    for number, size, read in steps:
        hold(store, str(number), b"x" * size)
        if read:
            store.get(str(number))
        assert len(store) <= options.max_entries
        assert store.bytes <= options.max_bytes
        assert store.bytes == sum(len(held.raw) + len(key) + OVERHEAD for key, held in store._entries.items())
