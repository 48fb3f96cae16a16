"""What the cache does while Redis is away, stalls, is full or read-only."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.cache import Cache, NearCache
from rustforge.cache.store import is_outage
from rustforge.clock import ManualClock
from rustforge.errors import (
    LockLostError,
    RedisClosedError,
    RedisConnectionError,
    RedisError,
    RedisOutOfMemoryError,
    RedisReadOnlyError,
    RedisReplyError,
    RedisTimeoutError,
)
from tests.support.caches import Gate, opened, waiting
from tests.support.proxy import Plan, Proxy
from tests.support.servers import RedisServer, free_port, talk
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """Run a server that the test may hurt."""
    with RedisServer() as own:
        yield own


# What each method does without Redis in the mode "compute": its result, or `RAISES`.
RAISES = object()
METHODS: dict[str, tuple[Callable[[Cache], Awaitable[object]], object]] = {
    "get": (lambda cache: cache.get("a"), None),
    "get_json": (lambda cache: cache.get_json("a", int), None),
    "has": (lambda cache: cache.has("a"), False),
    "ttl": (lambda cache: cache.ttl("a"), None),
    "expires": (lambda cache: cache.expires("a"), None),
    "many": (lambda cache: cache.many(["a", "b"]), [None, None]),
    "many_json": (lambda cache: cache.many_json(["a", "b"], int), [None, None]),
    "set": (lambda cache: cache.set("a", "1"), None),
    "set_ex": (lambda cache: cache.set_ex("a", "1", 60), None),
    "set_json": (lambda cache: cache.set_json("a", 1), None),
    "set_json with tags": (lambda cache: cache.set_json("a", 1, tags=["t"]), None),
    "set_json_ex": (lambda cache: cache.set_json_ex("a", 1, 60), None),
    "put_many": (lambda cache: cache.put_many({"a": "1"}), None),
    "put_many_json": (lambda cache: cache.put_many_json({"a": 1}, 60), None),
    "remember": (lambda cache: cache.remember("a", 60, lambda: 7), 7),
    "remember stale": (lambda cache: cache.remember("a", 60, lambda: 7, stale=60), 7),
    "remember with tags": (lambda cache: cache.remember("a", 60, lambda: 7, tags=["t"]), 7),
    "remember_forever": (lambda cache: cache.remember_forever("a", lambda: 7), 7),
    "delete": (lambda cache: cache.delete("a"), RAISES),
    "forget": (lambda cache: cache.forget("a"), RAISES),
    "pull": (lambda cache: cache.pull("a"), RAISES),
    "add": (lambda cache: cache.add("a", "1"), RAISES),
    "touch": (lambda cache: cache.touch("a", 60), RAISES),
    "increment": (lambda cache: cache.increment("a"), RAISES),
    "decrement": (lambda cache: cache.decrement("a"), RAISES),
    "flush_prefix": (lambda cache: cache.flush_prefix("a"), RAISES),
    "flush_all": (lambda cache: cache.flush_all(), RAISES),
    "invalidate_tags": (lambda cache: cache.invalidate_tags("t"), RAISES),
    "lock": (lambda cache: cache.lock("l").acquire(), RAISES),
    "rate_limit": (lambda cache: cache.rate_limit("r", 1, 60), RAISES),
}


async def test_raise(server: RedisServer, prefix: str) -> None:
    """Every method says that Redis cannot be reached, and where, and works again when Redis is back."""
    async with Cache.connect(server.url, prefix=prefix) as cache:
        server.kill()
        await wait_until(lambda: cache.client.statistics()["lost"] == 1)
        places = await asyncio.gather(*[call(cache) for call, _ in METHODS.values()], return_exceptions=True)
        for method, error in zip(METHODS, places, strict=True):
            assert isinstance(error, RedisConnectionError), method
            assert f"Redis at 127.0.0.1:{server.port} cannot be reached" in str(error)
        assert cache.statistics().unavailable > 0
        server.start()
        await cache.set("a", "1")
        assert await cache.get("a") == "1"


@pytest.mark.parametrize("near", [None, NearCache()], ids=["far", "near"])
async def test_compute(
    server: RedisServer, prefix: str, near: NearCache | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Every method does what it says: reads miss, `remember` computes, writes do nothing, the rest raises.

    The log has one line when the circuit opens, and everything works again when Redis is back and the pause is over.
    """
    clock = ManualClock()
    async with Cache.connect(server.url, prefix=prefix, when_unavailable="compute", near=near) as cache:
        cache._store._breaker._now = clock.monotonic
        await cache.set("a", "1")
        assert await cache.get("a") == "1"
        server.kill()
        await wait_until(lambda: cache.client.statistics()["lost"] == 1)
        found = await asyncio.gather(*[call(cache) for call, _ in METHODS.values()], return_exceptions=True)
        for (method, (_, expected)), result in zip(METHODS.items(), found, strict=True):
            if expected is RAISES:
                assert isinstance(result, RedisConnectionError), method
            else:
                assert result == expected, method
        assert [record.message[:47] for record in caplog.records if record.levelno == logging.ERROR] == [
            "Redis cannot be used; going on without cache: R"
        ]
        server.start()
        assert await cache.get("a") is None  # the circuit is open
        await cache.set("a", "2")
        clock.advance(5)
        assert await cache.get("a") is None  # that one was lost
        await cache.set("a", "3")
        assert await cache.get("a") == "3"
        assert await cache.remember("b", 60, opened(1)) == 1
        assert await cache.has("b") is True


async def test_the_circuit_leaves_redis_alone(prefix: str, server: RedisServer) -> None:
    """After five failures no call tries to connect until the pause is over; then one does."""
    clock = ManualClock()
    async with Proxy(server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        async with Cache.connect(url, prefix=prefix, when_unavailable="compute") as cache:
            cache._store._breaker._now = clock.monotonic
            proxy.default = Plan(cut_up=0)
            await proxy.cut()
            assert await asyncio.gather(*[cache.get("a") for _ in range(5)]) == [None] * 5
            tries = proxy.accepted
            assert tries > 1
            gets = [cache.get("a"), cache.set("a", "1"), cache.has("a"), cache.ttl("a"), cache.many(["a"])]
            await asyncio.gather(*gets, *[cache.remember(f"a{number}", 60, opened()) for number in range(50)])
            await cache.remember("t", 60, opened(), tags=["t"], stale=60)
            assert proxy.accepted == tries
            clock.advance(5)
            await asyncio.gather(*[cache.get("a") for _ in range(50)])
            assert tries < proxy.accepted <= tries + 6  # one call, and the attempts of its connection
            proxy.default = Plan()
            clock.advance(5)
            await cache.set("a", "1")
            assert await cache.get("a") == "1"


async def test_without_redis_one_process_still_computes_once(server: RedisServer, prefix: str) -> None:
    """Callers of one process share a computation though there is no lease."""
    async with Cache.connect(server.url, prefix=prefix, when_unavailable="compute") as cache:
        server.kill()
        gate = Gate("value")
        callers = [asyncio.create_task(cache.remember("a", 60, gate)) for _ in range(100)]
        await gate.started.wait()
        await waiting(cache, 100)
        gate.open()
        assert set(await asyncio.gather(*callers)) == {"value"}
        assert gate.calls == 1
        with pytest.raises(LookupError):
            await cache.remember("a", 60, opened(LookupError()))


async def test_a_stall_costs_one_time_out(server: RedisServer, prefix: str) -> None:
    """While Redis hangs, a call of `remember` waits for one time-out and not for one for each of its steps."""
    async with Cache.connect(f"{server.url}?timeout=0.3", prefix=prefix, when_unavailable="compute") as cache:
        server.pause()
        started = time.monotonic()
        plain, tagged = cache.remember("a", 60, opened(1)), cache.remember("b", 60, opened(2), tags=["t"])
        assert list(await asyncio.gather(plain, tagged)) == [1, 2]
        assert time.monotonic() - started < 0.55
        server.resume()
    async with Cache.connect(f"{server.url}?timeout=0.1", prefix=prefix) as cache:
        server.pause()
        with pytest.raises(RedisTimeoutError):
            await cache.remember("a", 60, opened(1))
        server.resume()


async def test_starting_without_redis(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    """In the mode "compute" a cache starts without Redis, and uses it once it is there; else it does not start."""
    port = free_port()
    url = f"redis://:secret@127.0.0.1:{port}"
    with pytest.raises(RedisConnectionError, match="cannot be reached"):
        await Cache.connect(url, prefix=prefix)
    async with Cache.connect(url, prefix=prefix, when_unavailable="compute") as cache:
        assert "Redis cannot be used; starting without cache" in caplog.text
        assert await cache.remember("a", 60, opened(1)) == 1
        with RedisServer("--requirepass", "secret", port=port):
            await cache.set("a", "2")
            assert await cache.get("a") == "2"
    assert "secret" not in caplog.text


@pytest.mark.parametrize("mode", ["raise", "compute"])
@pytest.mark.parametrize("options", [{}, {"tags": ["t"], "stale": 60}], ids=["plain", "tagged"])
async def test_redis_restarts_during_a_computation(
    server: RedisServer, prefix: str, mode: Any, options: dict[str, Any]
) -> None:
    """The lease is gone with everything else: callers get their value, once, and the next call stores one."""
    async with (
        Cache.connect(server.url, prefix=prefix, when_unavailable=mode) as one,
        Cache.connect(server.url, prefix=prefix, when_unavailable=mode) as other,
    ):
        gate, elsewhere = Gate("one"), opened("other")
        callers = [asyncio.create_task(one.remember("a", 60, gate, **options)) for _ in range(20)]
        await gate.started.wait()
        await waiting(one, 20)
        server.restart()
        assert await other.remember("a", 60, elsewhere, **options) == "other"
        gate.open()
        assert set(await asyncio.gather(*callers)) == {"other"}  # what is stored is newer than their own
        assert (gate.calls, elsewhere.calls) == (1, 1)


async def test_redis_goes_while_others_wait(server: RedisServer, prefix: str) -> None:
    """Whoever waits for another process when Redis goes computes for itself, or gets the error."""
    async with (
        Cache.connect(server.url, prefix=prefix) as holder,
        Cache.connect(server.url, prefix=prefix) as strict,
        Cache.connect(server.url, prefix=prefix, when_unavailable="compute") as lenient,
    ):
        gate = Gate("holder")
        held = asyncio.create_task(holder.remember("a", 60, gate))
        await gate.started.wait()
        waiters = [asyncio.create_task(cache.remember("a", 60, opened("own"))) for cache in (strict, lenient)]
        await waiting(strict, 1)
        await waiting(lenient, 1)
        server.kill()
        gate.open()
        found = await asyncio.gather(*waiters, held, return_exceptions=True)
        assert found[1] == "own"
        assert [type(result) for result in (found[0], found[2])] == [RedisConnectionError] * 2


async def test_scripts_are_flushed_during_a_computation(server: RedisServer, prefix: str) -> None:
    """SCRIPT FLUSH costs one more round trip and nothing else."""
    async with Cache.connect(server.url, prefix=prefix) as cache:
        gate = Gate("value")
        call = asyncio.create_task(cache.remember("a", 60, gate, tags=["t"], lease=0.15))
        await gate.started.wait()
        talk(server.port, "SCRIPT", "FLUSH")
        await asyncio.sleep(0.2)  # a renewal comes between
        talk(server.port, "SCRIPT", "FLUSH")
        gate.open()
        assert await call == "value"
        assert await cache.remember("a", 60, opened("x"), tags=["t"]) == "value"


async def _refuses_writes(server: RedisServer, how: str) -> RedisServer | None:
    """Make a server refuse writes; return another server that is needed for it."""
    if how == "full":
        talk(server.port, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        talk(server.port, "CONFIG", "SET", "maxmemory", "1")
    elif how == "no replicas":
        talk(server.port, "CONFIG", "SET", "min-replicas-to-write", "1")
    else:
        primary = RedisServer()
        talk(server.port, "REPLICAOF", "127.0.0.1", primary.port)
        return primary
    return None


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("full", RedisOutOfMemoryError, "maxmemory"),
        ("replica", RedisReadOnlyError, "read-only replica"),
        ("no replicas", RedisReplyError, "NOREPLICAS"),
    ],
    ids=lambda value: value if value in {"full", "replica", "no replicas"} else "",
)
async def test_a_server_that_refuses_writes(
    server: RedisServer, prefix: str, how: str, kind: type[RedisError], words: str
) -> None:
    """With "raise" writes say what is wrong; with "compute" `remember` computes, writes do nothing, reads go on."""
    async with (
        Cache.connect(server.url, prefix=prefix) as strict,
        Cache.connect(server.url, prefix=prefix, when_unavailable="compute") as lenient,
    ):
        primary = await _refuses_writes(server, how)
        try:
            for cache in (strict, lenient):
                cache._store._breaker._threshold = 1_000
                for name in (
                    "set",
                    "put_many",
                    "remember",
                    "set_json with tags",
                    "remember stale",
                    "remember with tags",
                ):
                    call, expected = METHODS[name]
                    if cache is strict:
                        with pytest.raises(kind, match=words):
                            await call(cache)
                    else:
                        assert await call(cache) == expected
                for name in ("increment", "add", "lock") if how == "full" else ("increment", "add", "lock", "delete"):
                    with pytest.raises(kind, match=words):
                        await METHODS[name][0](cache)
                assert await cache.get("a") is None
                assert cache.statistics().unavailable == 6
        finally:
            if primary is not None:
                primary.stop()


async def test_a_full_server_does_not_keep_the_lease(server: RedisServer, prefix: str) -> None:
    """When the value cannot be stored, the lease is given back, so others do not wait for it in vain."""
    async with (
        Cache.connect(server.url, prefix=prefix, when_unavailable="compute") as one,
        Cache.connect(server.url, prefix=prefix, when_unavailable="compute") as other,
    ):
        gate = Gate("value")
        call = asyncio.create_task(one.remember("a", 60, gate, lease=60))
        await gate.started.wait()
        waiter = asyncio.create_task(other.remember("a", 60, opened("other"), lease=60))
        await waiting(other, 1)
        await _refuses_writes(server, "full")
        gate.open()
        async with asyncio.timeout(5):
            assert await call == "value"
            assert await waiter == "other"


async def test_a_lease_that_cannot_be_renewed(
    server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """While Redis is away for longer than the lease, the computation goes on and the log says what is wrong."""
    async with Cache.connect(server.url, prefix=prefix) as cache:
        gate = Gate("value")
        call = asyncio.create_task(cache.remember("a", 60, gate, lease=0.15))
        await gate.started.wait()
        server.kill()
        await wait_until(lambda: "the lease on 'a' could not be renewed: Redis at" in caplog.text)
        server.start()
        gate.open()
        assert await call == "value"
        assert await cache.get("a") is None  # the lease was gone, so the value could be outdated


async def test_a_lock_that_cannot_be_given_back(
    server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A waiter that gives up while Redis is away ends all the same, with a line in the log."""
    async with Cache.connect(server.url, prefix=prefix) as owner, Cache.connect(server.url, prefix=prefix) as cache:
        lock = owner.lock("l")
        await lock.acquire()
        waiter = asyncio.create_task(cache.lock("l").acquire())
        await wait_until(lambda: cache.client.statistics()["commands"] >= 2)
        server.kill()
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert "lock 'l' may stay taken for one lease: Redis at" in caplog.text
        server.start()
        with pytest.raises(LockLostError):
            await lock.release()


async def test_giving_up_while_connecting(prefix: str) -> None:
    """A caller that is cancelled while the cache connects leaves nothing open."""
    listening = asyncio.Event()
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listening.set()
        while await reader.read(1_000):  # and never answer
            pass
        writer.close()
        closed.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        for mode in ("raise", "compute"):
            listening.clear()
            closed.clear()

            async def connect(mode: Any = mode) -> Cache:
                return await Cache.connect(f"redis://127.0.0.1:{port}", prefix=prefix, when_unavailable=mode)

            task = asyncio.create_task(connect())
            await listening.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(5):
                await closed.wait()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("rustforge-")]


async def test_a_refresh_while_redis_is_away(
    server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A background refresh that cannot be stored harms nobody, and leaves a line in the log."""
    async with Cache.connect(server.url, prefix=prefix) as cache:
        await cache.remember("a", 0.001, opened("old"), stale=60)
        await wait_until(lambda: _is_over(cache))
        gate = Gate("new")
        assert await cache.remember("a", 60, gate, stale=60) == "old"
        await gate.started.wait()
        server.kill()
        gate.open()
        await wait_until(lambda: not cache._flights._tasks)
        assert "refreshing 'a' failed: RedisConnectionError" in caplog.text
        server.start()
        assert await cache.remember("a", 60, opened("new")) == "new"


async def _is_over(cache: Cache) -> bool:
    return await cache.ttl("a") == 0


async def test_a_closed_cache_is_a_mistake_and_no_outage(server: RedisServer, prefix: str) -> None:
    """Using a cache after it was closed raises in both modes."""
    cache = await Cache.connect(server.url, prefix=prefix, when_unavailable="compute")
    await cache.aclose()
    for name in ("get", "set", "remember", "remember with tags"):
        with pytest.raises(RedisClosedError):
            await METHODS[name][0](cache)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RedisConnectionError("x"), True),
        (RedisTimeoutError("x"), True),
        (RedisClosedError("x"), False),
        (RedisOutOfMemoryError("OOM command not allowed", "OOM"), True),
        (RedisReplyError("LOADING Redis is loading the dataset in memory", "LOADING"), True),
        (RedisReplyError("ERR Error running script: @user_script:5: -OOM command not allowed", "ERR"), True),
        (RedisReplyError("WRONGTYPE Operation against a key", "WRONGTYPE"), False),
        (RedisReplyError("ERR value is not an integer", "ERR"), False),
        (RedisReplyError("NOPERM this user has no permissions", "NOPERM"), False),
    ],
    ids=repr,
)
def test_what_is_an_outage(error: RedisError, expected: bool) -> None:
    """What time or an operator cures is an outage; what the program did wrong is not."""
    assert is_outage(error) is expected
