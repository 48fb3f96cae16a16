"""One connection for all tasks: pipelining, reply matching, cancellation, bounds, closing, scripts, invalidation."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustforge.errors import (
    RedisClosedError,
    RedisConnectionError,
    RedisError,
    RedisOutcomeUnknownError,
    RedisOverloadedError,
    RedisReadOnlyError,
    RedisReplyError,
    RedisTimeoutError,
)
from rustforge.redis import Script, connect
from rustforge.redis.multiplexer import Multiplexer, pack
from tests.support.proxy import Plan, Proxy, serving, until
from tests.support.servers import talk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from rustforge.redis import RedisClient
    from rustforge.redis.url import Address
    from tests.support.servers import RedisServer

pytestmark = pytest.mark.timeout(30)

_LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
on_each_loop = pytest.mark.parametrize("loop_factory", _LOOPS.values(), ids=_LOOPS)
ECHO = Script("echo", "return ARGV[1]")
COUNT = Script("count", "return redis.call('INCRBY', KEYS[1], ARGV[1])")


def run_on(loop_factory: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a new loop of that kind, and fail on what its tasks and callbacks left unheard."""
    with hearing() as unheard:
        run_one(loop_factory, main, unheard)


@contextlib.contextmanager
def hearing() -> Iterator[list[dict[str, Any]]]:
    """Collect what event loops report, the exceptions of forgotten futures included, and fail where there is any."""
    unheard: list[dict[str, Any]] = []
    yield unheard
    gc.collect()
    assert unheard == []


def run_one(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    main: Coroutine[Any, Any, None],
    unheard: list[dict[str, Any]],
) -> None:
    """Run a coroutine on a new loop of that kind."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unheard.append(context))
        runner.run(main)


def url_of(proxy: Proxy, timeout: float = 1.0) -> str:
    """Point a URL at the proxy."""
    return f"redis://127.0.0.1:{proxy.port}/0?timeout={timeout}&connect_timeout={timeout}"


@contextlib.asynccontextmanager
async def multiplexer(port: int, **options: Any) -> AsyncIterator[Multiplexer]:
    """Make a bare multiplexer to a port of this machine."""

    async def resolve() -> Address:
        return ("127.0.0.1", port)

    made = Multiplexer(resolve, place=f"127.0.0.1:{port}", **{"timeout": 1.0, "connect_timeout": 1.0, **options})
    try:
        yield made
    finally:
        await made.aclose()


# -- pipelining and types ----------------------------------------------------------------------------------------


@on_each_loop
def test_one_write_a_tick(
    redis_server: RedisServer, prefix: str, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A hundred tasks' commands leave in one write and arrive in one piece, and each task gets its own reply."""

    async def main() -> None:
        async with Proxy(redis_server.port) as proxy, connect(url_of(proxy)) as client:
            before = client.statistics()
            proxy.up.clear()

            async def work(number: int) -> None:
                assert await client.call("ECHO", f"{prefix}-{number}") == f"{prefix}-{number}".encode()

            await asyncio.gather(*[work(number) for number in range(100)])
            after = client.statistics()
            assert after["commands"] - before["commands"] == 100
            assert after["writes"] - before["writes"] == 1
            assert len(proxy.up) == 1

    run_on(loop_factory, main())


async def test_many_large_ticks_are_cut_into_slices(redis_server: RedisServer, prefix: str) -> None:
    """Under sustained load a tick leaves in slices; every task still gets its own reply, also beside cancelled ones."""
    async with connect(redis_server.url) as client:
        writes: list[int] = []

        async def work(number: int) -> bool:
            for turn in range(20):
                text = f"{prefix}-{number}-{turn}"
                call = asyncio.ensure_future(client.call("ECHO", text))
                if number == turn:
                    call.cancel()
                elif await call != text.encode():
                    return False
                if number == 0:
                    writes.append(client.statistics()["writes"])
            return True

        assert all(await asyncio.gather(*[work(number) for number in range(300)]))
        steps = [after - before for before, after in itertools.pairwise(writes)]
        assert steps[:3] == [1, 1, 1]
        assert max(steps) > 1
        before = client.statistics()["writes"]
        for _ in range(2):  # a small tick, and the next large one leaves whole again
            await client.call("ECHO", prefix)
        await asyncio.gather(*[client.call("ECHO", prefix) for _ in range(300)])
        assert client.statistics()["writes"] - before == 3


async def test_pipeline_and_calls_share_the_write(redis_server: RedisServer, prefix: str) -> None:
    """A pipeline, a script and single commands of a tick leave together, in the order in which they were made."""
    async with connect(redis_server.url) as client:
        await client.run(COUNT, [prefix], [1])
        before = client.statistics()["writes"]
        replies = await asyncio.gather(
            client.call("SET", prefix, 1),
            client.pipeline([["INCR", prefix], ["INCR", prefix]]),
            client.run(COUNT, [prefix], [10]),
            client.call("GET", prefix),
        )
        assert replies == [b"OK", [2, 3], 13, b"13"]
        assert client.statistics()["writes"] - before == 1


async def test_values_come_as_resp3_types(redis_server: RedisServer, prefix: str) -> None:
    """Replies keep the types of RESP3: bytes, int, float, None, list, dict."""
    async with connect(redis_server.url) as client:
        await client.pipeline(
            [["HSET", f"{prefix}h", "a", 1], ["ZADD", f"{prefix}z", 1.5, "m"], ["SADD", f"{prefix}s", 1]]
        )
        assert await client.call("HGETALL", f"{prefix}h") == {b"a": b"1"}
        assert await client.call("ZSCORE", f"{prefix}z", "m") == 1.5
        assert await client.call("SMEMBERS", f"{prefix}s") == [b"1"]
        assert await client.call("GET", f"{prefix}missing") is None
        assert await client.call("STRLEN", f"{prefix}missing") == 0
        assert await client.mget([f"{prefix}missing"]) == [None]
        assert await client.mget([]) == []
        assert await client.unlink([]) == 0
        assert await client.unlink([f"{prefix}h", f"{prefix}z", f"{prefix}s", f"{prefix}missing"]) == 3


async def test_pipeline_keeps_order_and_errors_in_place(redis_server: RedisServer, prefix: str) -> None:
    """Each command of a pipeline has its reply at its place, an error included, and the others still run."""
    async with connect(redis_server.url) as client:
        replies = await client.pipeline([["SET", prefix, "x"], ["INCR", prefix], ["GET", prefix]])
        assert (replies[0], replies[2]) == (b"OK", b"x")
        assert isinstance(replies[1], RedisReplyError)
        assert await client.pipeline([]) == []


async def test_transaction_in_one_pipeline(redis_server: RedisServer, prefix: str) -> None:
    """MULTI and EXEC of one pipeline stay together while other tasks use the connection."""
    async with connect(redis_server.url) as client:
        transaction = [["MULTI"], ["INCR", prefix], ["INCR", prefix], ["EXEC"]]
        results = await asyncio.gather(
            *[client.pipeline(transaction) for _ in range(20)], *[client.call("ECHO", n) for n in range(20)]
        )
        assert [result[3] for result in results[:20]] == [[2 * n + 1, 2 * n + 2] for n in range(20)]
        assert results[20:] == [str(n).encode() for n in range(20)]


@pytest.mark.parametrize("command", ["MULTI", "select", "SUBSCRIBE", "MONITOR", "hello"])
async def test_commands_that_change_the_connection_are_refused(redis_server: RedisServer, command: str) -> None:
    """A command that would change the connection under every other task is refused before it is sent."""
    async with connect(redis_server.url) as client:
        with pytest.raises(ValueError, match="would change the connection"):
            await client.call(command, "x")
        assert await client.call("ECHO", "still mine") == b"still mine"


async def test_a_smuggled_subscription_mixes_up_nothing(redis_server: RedisServer) -> None:
    """A SUBSCRIBE inside a pipeline has no reply in RESP3; the connection is dropped and no reply goes astray."""
    async with connect(redis_server.url) as client:
        results = await asyncio.gather(
            client.call("ECHO", "before", retry=True),
            client.pipeline([["SUBSCRIBE", "news"]]),
            *[client.call("ECHO", n, retry=True) for n in range(10)],
            return_exceptions=True,
        )
        assert isinstance(results[1], RedisOutcomeUnknownError)
        assert "SUBSCRIBE needs a connection of its own" in str(results[1].__cause__)
        assert [results[0], *results[2:]] == [b"before", *[str(n).encode() for n in range(10)]]


# -- scripts -----------------------------------------------------------------------------------------------------


async def test_script_survives_script_flush(redis_server: RedisServer, prefix: str) -> None:
    """A script runs before and after SCRIPT FLUSH, and then by its digest again."""
    async with connect(redis_server.url) as client:
        assert [await client.run(COUNT, [prefix], [1]) for _ in range(2)] == [1, 2]
        await client.call("SCRIPT", "FLUSH")
        assert [await client.run(COUNT, [prefix], [1]) for _ in range(2)] == [3, 4]
        assert await client.call("SCRIPT", "EXISTS", COUNT.digest) == [1]


async def test_script_flush_amid_concurrency(redis_server: RedisServer, prefix: str) -> None:
    """While SCRIPT FLUSH comes again and again, each script run counts exactly once and gets its own reply."""
    async with connect(redis_server.url) as client:

        async def work(number: int) -> list[int]:
            counts = []
            for turn in range(20):
                assert await client.run(ECHO, [prefix], [f"{number}.{turn}"]) == f"{number}.{turn}".encode()
                counts.append(await client.run(COUNT, [prefix], [1]))
            return counts

        async def flush() -> None:
            for _ in range(20):
                await client.call("SCRIPT", "FLUSH")

        flushing = asyncio.create_task(flush())
        counts = await asyncio.gather(*[work(number) for number in range(10)])
        await flushing
        assert sorted(itertools.chain.from_iterable(counts)) == list(range(1, 201))


async def test_scripts_that_the_server_forgot_keep_their_order(redis_server: RedisServer, prefix: str) -> None:
    """Scripts made one after the other run in that order, also when the server knows none of them any more."""
    push = Script("push", "return redis.call('RPUSH', KEYS[1], ARGV[1])")
    async with connect(redis_server.url) as client:
        await client.call("SCRIPT", "FLUSH")
        await asyncio.gather(*[client.run(push, [prefix], [n]) for n in range(10)])
        assert await client.call("LRANGE", prefix, 0, -1) == [str(n).encode() for n in range(10)]


async def test_script_arguments_are_taken_when_called(redis_server: RedisServer, prefix: str) -> None:
    """What the caller does to its lists afterwards does not change the script's arguments, sent again or not."""
    async with connect(redis_server.url) as client:
        await client.call("SCRIPT", "FLUSH")
        arguments = ["as called"]
        running = client.run(ECHO, [prefix], arguments)
        arguments[0] = "changed"
        assert await running == b"as called"


async def test_a_failing_script_names_its_error(redis_server: RedisServer, prefix: str) -> None:
    """A script's own error reaches its caller, with the code, whatever bytes are in it."""
    fail = Script("fail", "return redis.error_reply('MYCODE \\255 went wrong')")
    async with connect(redis_server.url) as client:
        with pytest.raises(RedisReplyError, match="went wrong") as caught:
            await client.run(fail, [prefix])
        assert caught.value.code == "MYCODE"


# -- cancellation ------------------------------------------------------------------------------------------------


async def test_cancelled_before_sending_is_not_sent(redis_server: RedisServer, prefix: str) -> None:
    """A command whose caller gave up in the same tick never leaves."""
    async with connect(redis_server.url) as client:
        before = client.statistics()["commands"]
        task = asyncio.ensure_future(client.call("INCR", prefix))
        task.cancel()
        assert await client.call("GET", prefix) is None
        assert client.statistics()["commands"] - before == 1


async def test_cancelled_while_connecting_is_not_sent(redis_server: RedisServer, prefix: str) -> None:
    """A command whose caller gave up while the connection was being made never leaves."""
    async with Proxy(redis_server.port) as proxy:
        proxy.stall()
        client = connect(url_of(proxy))
        given_up = asyncio.ensure_future(client.call("INCR", prefix))
        kept = asyncio.ensure_future(client.call("GET", prefix))
        await until(lambda: proxy.up)
        given_up.cancel()
        proxy.flow()
        assert await kept is None
        assert client.statistics()["commands"] == 1
        await client.aclose()


@on_each_loop
def test_cancelled_after_sending_keeps_its_place(
    redis_server: RedisServer, prefix: str, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A command given up after it was sent runs once, and its reply goes to nobody else."""

    async def main() -> None:
        async with Proxy(redis_server.port) as proxy, connect(url_of(proxy)) as client:
            proxy.stall()
            given_up = [
                asyncio.ensure_future(client.call("INCR", prefix)),
                asyncio.ensure_future(client.pipeline([["INCR", prefix], ["ECHO", "lost"]])),
                asyncio.ensure_future(client.run(ECHO, [prefix], ["lost"])),
            ]
            kept = asyncio.ensure_future(client.call("ECHO", "kept"))
            await until(lambda: client.statistics()["in_flight"] == 4)
            for task in given_up:
                task.cancel()
            proxy.flow()
            assert await kept == b"kept"
            assert await client.call("GET", prefix) == b"2"
            assert client.statistics()["in_flight"] == 0

    run_on(loop_factory, main())


# -- the property ------------------------------------------------------------------------------------------------


@dataclass
class Scenario:
    """Workers, what the network does to them, and when they are given up.

    Attributes:
        timeout: Seconds a command may take.
        plans: What happens to the first connections.
        workers: What each worker does, one thing after the other.
        cancels: Workers to cancel, and after how many bytes on the wire.
    """

    timeout: float
    plans: list[Plan]
    workers: list[list[str]]
    cancels: list[tuple[int, int]]


_CUTS = st.none() | st.integers(min_value=0, max_value=2_500)
_PACES = st.sampled_from([(65_536, 0.0), (64, 0.0), (7, 0.0), (2, 0.0), (1, 0.0), (4_096, 0.0005), (512, 0.01)])
_PLANS = st.builds(
    lambda up, down, pace, reset: Plan(up, down, pace[0], pace[1], reset), _CUTS, _CUTS, _PACES, st.booleans()
)
_KINDS = st.sampled_from(["echo", "get", "incr", "pipeline", "atomic", "script", "flush", "big"])
_SCENARIOS = st.builds(
    Scenario,
    timeout=st.sampled_from([2.0, 2.0, 0.1]),
    plans=st.lists(_PLANS, max_size=4),
    workers=st.lists(st.lists(_KINDS, min_size=1, max_size=6), min_size=1, max_size=12),
    cancels=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 6_000)), max_size=6),
)
_EXAMPLES = 45
_runs = itertools.count()


class _Ledger:
    """What the workers were told, to be compared with what Redis did."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.ambiguous = 0

    async def count(self, reply: Any, size: int = 1) -> None:
        """Await so many increments and note whether they certainly ran, may have run, or did not."""
        try:
            answer = await reply
        except (RedisOutcomeUnknownError, RedisTimeoutError, asyncio.CancelledError):
            self.ambiguous += size
            raise
        self.acknowledged += answer[:size] if isinstance(answer, list) else [answer]


async def _work(client: RedisClient, key: str, ledger: _Ledger, name: str, kinds: list[str]) -> None:
    for turn, kind in enumerate(kinds):
        value = f"{name}.{turn}"
        with contextlib.suppress(RedisConnectionError, RedisTimeoutError):
            if kind == "echo":
                assert await client.call("ECHO", value, retry=True) == value.encode()
            elif kind == "get":
                assert await client.call("SET", f"{key}:{value}", value, retry=True) == b"OK"
                assert await client.call("GET", f"{key}:{value}", retry=True) == value.encode()
            elif kind == "big":
                assert await client.call("ECHO", value * 500, retry=True) == value.encode() * 500
            elif kind == "script":
                assert await client.run(ECHO, [key], [value], retry=True) == value.encode()
            elif kind == "flush":
                assert await client.call("SCRIPT", "FLUSH", retry=True) == b"OK"
            elif kind == "incr":
                await ledger.count(client.call("INCR", key))
            elif kind == "atomic":
                await ledger.count(client.run(COUNT, [key], [1]))
            else:
                pipeline = client.pipeline([["INCR", key], ["INCR", key], ["ECHO", value]])
                echo = asyncio.ensure_future(pipeline)
                await ledger.count(echo, 2)
                assert echo.result()[2] == value.encode()


async def _play(port: int, prefix: str, scenario: Scenario) -> None:
    key = f"{prefix}run{next(_runs)}"
    ledger = _Ledger()
    async with asyncio.timeout(8), Proxy(port, *scenario.plans) as proxy, connect(redis_url(port)) as judge:
        client = connect(url_of(proxy, scenario.timeout))
        tasks = [
            asyncio.create_task(_work(client, key, ledger, f"{key}-{number}", kinds))
            for number, kinds in enumerate(scenario.workers)
        ]

        def cancel(passed: int) -> None:
            for number, after in scenario.cancels:
                if after <= passed and number < len(tasks):
                    tasks[number].cancel()

        proxy.on_pass = cancel
        results = await asyncio.gather(*tasks, return_exceptions=True)
        proxy.on_pass = lambda _: None
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result
        proxy.plans.clear()
        await proxy.cut()
        assert await _well_again(client) == b"well again"
        statistics = client.statistics()
        assert (statistics["in_flight"], statistics["queued"]) == (0, 0)
        await client.aclose()
        await proxy.cut()
        count = int(await judge.call("GET", key) or 0)
        assert len(set(ledger.acknowledged)) == len(ledger.acknowledged), "two callers got one reply"
        assert len(ledger.acknowledged) <= count <= len(ledger.acknowledged) + ledger.ambiguous
        assert max(ledger.acknowledged, default=0) <= count
        async for keys in judge.scan(key.encode() + b"*"):
            await judge.unlink(keys)


async def _well_again(client: RedisClient) -> Any:
    while True:
        with contextlib.suppress(RedisTimeoutError, RedisConnectionError):
            return await client.call("ECHO", "well again", retry=True)


def redis_url(port: int) -> str:
    """Point a URL at the server itself."""
    return f"redis://127.0.0.1:{port}/0"


@on_each_loop
def test_replies_never_go_to_the_wrong_caller(
    redis_server: RedisServer,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Under cuts at any byte, dribbles, slow replies and cancellations, each caller gets its own reply or an error.

    Every non-idempotent increment is counted exactly once if it was acknowledged, and at most once if its outcome
    is unknown; nothing hangs, and afterwards the client works and holds nothing.
    """
    monkeypatch.setattr("rustforge.redis.multiplexer._BACKOFF", (0.0, 0.001, 0.001, 0.001, 0.001))

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(scenario=_SCENARIOS)
    def example(scenario: Scenario) -> None:
        run_one(loop_factory, _play(redis_server.port, prefix, scenario), unheard)

    with hearing() as unheard:
        example()


# -- losing the connection ---------------------------------------------------------------------------------------


async def test_lost_connection_repeats_only_the_idempotent(redis_server: RedisServer, prefix: str) -> None:
    """After a cut, idempotent commands are sent again in order; the others fail and tell that they may have run."""
    async with Proxy(redis_server.port) as proxy, connect(url_of(proxy)) as client:
        proxy.stall()
        calls = [
            client.call("SET", prefix, "a", retry=True),
            client.call("INCR", f"{prefix}n"),
            client.pipeline([["GET", prefix], ["SET", prefix, "b"]], retry=True),
            client.call("GET", prefix, retry=True),
        ]
        results = asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: client.statistics()["in_flight"] == 4)
        await proxy.cut()
        proxy.flow()
        first, second, third, fourth = await results
        assert [first, third, fourth] == [b"OK", [b"a", b"OK"], b"b"]
        assert isinstance(second, RedisOutcomeUnknownError)
        assert client.statistics()["lost"] == 1
        assert client.statistics()["connects"] == 2


async def test_pipeline_cut_in_the_middle_starts_over(redis_server: RedisServer) -> None:
    """An idempotent pipeline that was cut between its replies gets a full set of replies from the next connection."""
    cut = len(await _greeting(redis_server)) + 80
    async with Proxy(redis_server.port, Plan(cut_down=cut)) as proxy, connect(url_of(proxy)) as client:
        replies = asyncio.ensure_future(client.pipeline([["ECHO", "a" * 50], ["ECHO", "b" * 50]], retry=True))
        assert await replies == [b"a" * 50, b"b" * 50]
        assert client.statistics()["connects"] == 2


@contextlib.asynccontextmanager
async def hanging_up(redis_server: RedisServer, *, after_greeting: bool) -> AsyncIterator[tuple[int, list[int]]]:
    """Serve the greeting of a real server, then hang up: with the greeting, or at the first command after it."""
    greeting = await _greeting(redis_server)
    served: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(1)
        await reader.read(65_536)
        writer.write(greeting)
        if after_greeting:
            await reader.read(65_536)

    async with serving(serve) as port:
        yield port, served


async def _greeting(redis_server: RedisServer) -> bytes:
    """Record what a real server answers to the client's first write."""
    async with Proxy(redis_server.port) as proxy:
        async with multiplexer(proxy.port) as client:
            await client.open()
        return bytes(proxy.down)


@on_each_loop
def test_connection_that_dies_at_birth_is_not_kept(
    redis_server: RedisServer, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A server that closes together with its greeting leaves no dead connection behind on which commands wait."""

    async def main() -> None:
        async with (
            hanging_up(redis_server, after_greeting=False) as (port, served),
            multiplexer(port, timeout=0.5) as client,
        ):
            for _ in range(2):
                with pytest.raises((RedisConnectionError, RedisTimeoutError)):
                    await client.send(pack("PING"), True)
            assert 3 <= len(served) <= 14, "neither wedged nor storming"

    run_on(loop_factory, main())


async def test_a_command_that_kills_the_connection_stops_at_its_deadline(redis_server: RedisServer) -> None:
    """An idempotent command on which the server hangs up every time fails at its deadline, without a storm."""
    async with (
        hanging_up(redis_server, after_greeting=True) as (port, served),
        multiplexer(port, timeout=0.8) as client,
    ):
        async with asyncio.timeout(1):
            with pytest.raises((RedisTimeoutError, RedisConnectionError)):
                await client.send(pack("GET", "poison"), True)
        assert 3 <= len(served) <= 8
        with pytest.raises(RedisOutcomeUnknownError):
            await client.send(pack("INCR", "poison"))


async def test_waiting_commands_follow_a_lost_connection(redis_server: RedisServer, prefix: str) -> None:
    """Commands that waited for room when the connection was lost get the next one, though nothing is sent again."""
    async with Proxy(redis_server.port) as proxy, multiplexer(proxy.port, max_in_flight=1) as client:
        await client.open()
        proxy.stall()
        sent, waiting = client.send(pack("INCR", prefix)), client.send(pack("ECHO", "waited"))
        await until(lambda: client.in_flight == 1)
        await proxy.cut()
        proxy.flow()
        with pytest.raises(RedisOutcomeUnknownError):
            await sent
        assert await waiting == b"waited"


async def test_commands_wait_out_a_dying_connection(redis_server: RedisServer, prefix: str) -> None:
    """A command made in the tick that learns of the connection's end is not written into the void, but runs."""
    async with connect(redis_server.url) as client:
        for _ in range(3):
            await client.call("PING", retry=True)
            talk(redis_server.port, "CLIENT", "KILL", "TYPE", "normal")
            time.sleep(0.01)  # noqa: ASYNC251 - the loop must not see the end before the next line has run
            await asyncio.sleep(0)
            await client.call("INCR", prefix)
        assert await client.call("GET", prefix) == b"3"


@on_each_loop
def test_half_closed_connection_is_dropped_at_once(
    redis_server: RedisServer, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A server that ends its side while much is still to be written to it is not waited for."""

    async def main() -> None:
        greeting = await _greeting(redis_server)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65_536)
            writer.write(greeting)
            await reader.readexactly(1)
            writer.write_eof()
            await asyncio.Event().wait()

        async with serving(serve) as port, multiplexer(port, timeout=3.0) as client:
            await client.open()
            with pytest.raises(RedisOutcomeUnknownError):
                async with asyncio.timeout(1):
                    await client.send(pack("APPEND", "k", "v" * (16 << 20)))

    run_on(loop_factory, main())


async def test_retired_connection_answers_what_it_got(redis_server: RedisServer, prefix: str) -> None:
    """Retiring a connection loses nothing: the old one answers what it was sent, the new one takes the rest."""
    lost: list[int] = []
    async with (
        Proxy(redis_server.port) as proxy,
        multiplexer(proxy.port, max_in_flight=2, on_lost=lambda: lost.append(1)) as client,
    ):
        await client.open()
        proxy.stall()
        replies = [client.send(pack("INCR", prefix)) for _ in range(3)]
        await until(lambda: client.in_flight == 2)
        client.retire()
        proxy.flow()
        assert sorted(await asyncio.gather(*replies)) == [1, 2, 3]
        await until(lambda: len(lost) == 2)
        assert client.statistics["connects"] == 2
        assert client.in_flight == 0


# -- time-outs ---------------------------------------------------------------------------------------------------


async def test_late_replies_go_to_nobody(redis_server: RedisServer) -> None:
    """Replies that come after their callers timed out are thrown away; the same connection goes on."""
    async with Proxy(redis_server.port) as proxy, connect(url_of(proxy, 0.3)) as client:
        proxy.stall()
        late = asyncio.gather(*[client.call("ECHO", f"late{n}") for n in range(5)], return_exceptions=True)
        await until(lambda: client.statistics()["in_flight"] == 5)
        assert all(isinstance(error, RedisTimeoutError) for error in await late)
        proxy.flow()
        fresh = await asyncio.gather(*[client.call("ECHO", n, retry=True) for n in range(20)])
        assert fresh == [str(n).encode() for n in range(20)]
        assert client.statistics()["timeouts"] == 5
        assert client.statistics()["in_flight"] == 0


async def test_silent_connection_is_replaced(redis_server: RedisServer) -> None:
    """A connection on which nothing came for a whole time-out is cut, also when all its callers had given up."""
    async with Proxy(redis_server.port) as proxy, connect(url_of(proxy, 0.3)) as client:
        proxy.stall()
        given_up = asyncio.ensure_future(client.call("ECHO", "x"))
        await until(lambda: client.statistics()["in_flight"] == 1)
        given_up.cancel()
        await until(lambda: client.statistics()["lost"] == 1, 2)
        assert client.statistics()["in_flight"] == 0


async def test_resent_command_keeps_its_deadline(redis_server: RedisServer) -> None:
    """A command handed to an idle multiplexer that hangs times out at its own deadline, though nothing else runs."""
    async with (
        Proxy(redis_server.port) as proxy,
        multiplexer(redis_server.port) as first,
        multiplexer(proxy.port) as second,
    ):
        await second.open()
        proxy.stall()
        reply = first.send(pack("ECHO", "x"))
        reply.cancel()
        moved = first.send(pack("ECHO", "moved"))
        await moved
        moved = type(moved)(loop=first.loop)
        moved.payload, moved.retry, moved.parts = pack("ECHO", "moved"), True, None
        moved.expected, moved.fallback, moved.deadline = 0, None, first.loop.time() + 0.2
        second.resend(moved)
        async with asyncio.timeout(1):
            with pytest.raises(RedisTimeoutError):
                await moved


async def test_resent_deadline_counts_behind_younger_commands(redis_server: RedisServer) -> None:
    """A resent command with an early deadline times out then, also when it stands behind commands with a later one."""
    async with Proxy(redis_server.port) as proxy, multiplexer(proxy.port, timeout=2.0) as client:
        await client.open()
        proxy.stall()
        younger = client.send(pack("ECHO", "younger"))
        await until(lambda: client.in_flight == 1)
        older = type(younger)(loop=client.loop)
        older.payload, older.retry, older.parts = pack("ECHO", "older"), True, None
        older.expected, older.fallback, older.deadline = 0, None, client.loop.time() + 0.2
        client.resend(older)
        async with asyncio.timeout(1):
            with pytest.raises(RedisTimeoutError):
                await older
        proxy.flow()
        assert await younger == b"younger"


async def test_each_tick_has_a_deadline_of_its_own(redis_server: RedisServer) -> None:
    """A command of a tick that began with other work (a reconnection, room to write) gets its full time-out."""
    async with multiplexer(redis_server.port, timeout=0.4) as client:
        await client.send(pack("PING"))
        await asyncio.sleep(0.5)
        client.schedule_flush()
        reply = client.send(pack("ECHO", "x"))
        assert reply.deadline > client.loop.time() + 0.3
        assert await reply == b"x"


@on_each_loop
def test_blocked_event_loop_does_not_cut_the_connection(
    redis_server: RedisServer, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """When the program itself blocked the loop past a deadline, the command still has a moment to be answered."""

    async def main() -> None:
        async with multiplexer(redis_server.port, timeout=0.3) as client:
            await client.open()
            reply = client.send(pack("ECHO", "in time"))
            time.sleep(0.5)  # noqa: ASYNC251 - blocking is the point
            assert await reply == b"in time"
            assert client.statistics["lost"] == client.statistics["timeouts"] == 0

    run_on(loop_factory, main())


# -- bounds and back-pressure ------------------------------------------------------------------------------------


async def test_queue_is_bounded_in_commands(redis_server: RedisServer) -> None:
    """The command over the bound is refused at once and the waiting ones are sent when there is room."""
    async with (
        Proxy(redis_server.port) as proxy,
        multiplexer(proxy.port, max_in_flight=5, max_queued=10) as client,
    ):
        await client.open()
        proxy.stall()
        sent = [client.send(pack("ECHO", n)) for n in range(5)]
        await until(lambda: client.in_flight == 5)
        sent += [client.send(pack("ECHO", n)) for n in range(5, 15)]
        with pytest.raises(RedisOverloadedError, match="10 commands"):
            await client.send(pack("ECHO", "too many"))
        assert (client.in_flight, client.queued) == (5, 10)
        proxy.flow()
        assert await asyncio.gather(*sent) == [str(n).encode() for n in range(15)]
        assert await client.send(pack("ECHO", "room again")) == b"room again"


async def test_queue_is_bounded_in_bytes(redis_server: RedisServer) -> None:
    """Bytes over the bound are refused, the bound frees itself, and given-up commands do not hold it."""
    async with Proxy(redis_server.port) as proxy, multiplexer(proxy.port, max_queued_bytes=10_000) as client:
        proxy.stall()
        waiting = [client.send(pack("ECHO", "x" * 4_000)) for _ in range(2)]
        with pytest.raises(RedisOverloadedError, match="10,000 bytes"):
            await client.send(pack("ECHO", "x" * 4_000))
        for reply in waiting:
            reply.cancel()
        proxy.flow()
        await until(lambda: client.queued == 0)
        for _ in range(5):
            assert await client.send(pack("ECHO", "y" * 9_000)) == b"y" * 9_000
        with pytest.raises(RedisOverloadedError):
            await client.send(pack("ECHO", "z" * 11_000))


async def test_given_up_commands_leave_the_queue(redis_server: RedisServer) -> None:
    """Commands that were given up before they were sent are let go within the time-out."""
    async with Proxy(redis_server.port) as proxy, multiplexer(proxy.port, timeout=0.3) as client:
        proxy.stall()
        for _ in range(100):
            client.send(pack("ECHO", "x")).cancel()
        await until(lambda: client.queued == 0, 2)
        assert client._queued_bytes == 0


async def test_slow_server_holds_back_writes(redis_server: RedisServer, prefix: str) -> None:
    """Big values wait in the bounded queue while the server does not read; the socket's buffer stays small."""
    value = b"v" * (1 << 20)
    async with Proxy(redis_server.port) as proxy, connect(url_of(proxy, 10)) as client:
        proxy.stall()
        writing = [client.call("SET", f"{prefix}{n}", value, "EX", 60, retry=True) for n in range(40)]
        link = client._multiplexer._link  # type: ignore[attr-defined]
        await until(lambda: not link.writable)
        assert link.transport.get_write_buffer_size() < 4 << 20
        assert client.statistics()["queued"] > 20
        proxy.flow()
        assert await asyncio.gather(*writing) == [b"OK"] * 40
        assert await client.mget([f"{prefix}{n}" for n in range(40)]) == [value] * 40


# -- closing -----------------------------------------------------------------------------------------------------


async def test_close_waits_for_answers(redis_server: RedisServer) -> None:
    """Commands in flight are answered before the client closes; commands after that are refused with one error."""
    async with Proxy(redis_server.port) as proxy:
        client = await connect(url_of(proxy)).open()
        replies = [client.call("ECHO", n) for n in range(10)]
        closing = asyncio.ensure_future(client.aclose())
        assert await asyncio.gather(*replies) == [str(n).encode() for n in range(10)]
        await closing
        await client.aclose()
        for attempt in (lambda: client.call("PING"), lambda: client.run(ECHO, ["k"]), client.open):
            with pytest.raises(RedisClosedError, match="is closed"):
                await attempt()
        assert client.statistics()["lost"] == 0
        assert proxy.accepted == 1


async def test_scripts_are_answered_while_closing(redis_server: RedisServer, prefix: str) -> None:
    """A script that the server does not know is still run by its source while the client closes."""
    client = await connect(redis_server.url).open()
    await client.call("SCRIPT", "FLUSH")
    reply = client.run(ECHO, [prefix], ["last words"])
    await client.aclose()
    assert await reply == b"last words"


async def test_close_does_not_wait_for_ever(redis_server: RedisServer, prefix: str) -> None:
    """Closing while the server hangs ends at the time-out, and everything in flight or waiting gets an error."""
    async with Proxy(redis_server.port) as proxy, multiplexer(proxy.port, max_in_flight=1, timeout=0.3) as client:
        await client.open()
        proxy.stall()
        replies = [client.send(pack("INCR", prefix)), client.send(pack("INCR", prefix), True)]
        async with asyncio.timeout(2):
            await client.aclose()
        errors = await asyncio.gather(*replies, return_exceptions=True)
        assert all(isinstance(error, RedisError) for error in errors)
        assert (client.in_flight, client.queued) == (0, 0)


async def test_close_while_connecting(redis_server: RedisServer) -> None:
    """Closing while the connection is being made ends at once and tells the waiting commands."""
    async with Proxy(redis_server.port) as proxy:
        proxy.stall()
        client = connect(url_of(proxy))
        waiting, opening = client.call("PING", retry=True), asyncio.ensure_future(client.open())
        await until(lambda: len(proxy.up) == 2)
        async with asyncio.timeout(0.5):
            await client.aclose()
        with pytest.raises(RedisClosedError):
            await waiting
        proxy.flow()
        with pytest.raises(RedisClosedError):
            await opening


async def test_connection_lost_while_closing(redis_server: RedisServer, prefix: str) -> None:
    """A connection lost while the client closes gives its commands an error and is not made again."""
    async with Proxy(redis_server.port) as proxy:
        client = await connect(url_of(proxy)).open()
        proxy.stall()
        replies = [client.call("GET", prefix, retry=True), client.call("INCR", prefix)]
        closing = asyncio.ensure_future(client.aclose())
        await until(lambda: client.statistics()["in_flight"] == 2)
        await proxy.cut()
        async with asyncio.timeout(0.5):
            errors = await asyncio.gather(*replies, return_exceptions=True)
            await closing
        assert all(isinstance(error, RedisOutcomeUnknownError) for error in errors)
        assert proxy.accepted == 1


async def test_cancelled_close_still_closes(redis_server: RedisServer) -> None:
    """A close that is itself cancelled leaves no open connection behind."""
    async with Proxy(redis_server.port) as proxy:
        client = await connect(url_of(proxy)).open()
        proxy.stall()
        reply = client.call("PING", retry=True)
        closing = asyncio.ensure_future(client.aclose())
        await until(lambda: client.statistics()["in_flight"] == 1)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        with pytest.raises(RedisConnectionError):
            await reply
        proxy.flow()
        await until(lambda: not proxy._connections)


def test_another_event_loop_is_refused(redis_server: RedisServer) -> None:
    """A client used from another event loop, or outside of any, says so."""
    with asyncio.Runner() as first, asyncio.Runner() as second:
        client = first.run(_opened(redis_server.url))

        async def use() -> None:
            await client.call("PING")

        with pytest.raises(RedisClosedError, match="another event loop"):
            second.run(use())
        with pytest.raises(RedisClosedError, match="event loop"):
            _ = client.call("PING")
        first.run(client.aclose())


async def _opened(url: str) -> RedisClient:
    return await connect(url).open()


def test_nothing_is_left_behind(redis_server: RedisServer, prefix: str) -> None:
    """After losses, time-outs, cancellations and a close, no task, timer, socket or unheard exception remains."""

    async def main() -> None:
        async with Proxy(redis_server.port) as proxy, connect(url_of(proxy, 0.2)) as client:
            proxy.stall()
            calls = [client.call("INCR", prefix), client.call("GET", prefix, retry=True)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(result, RedisTimeoutError) for result in results)
            proxy.flow()
            await client.call("GET", prefix, retry=True)
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    run_on(asyncio.new_event_loop, main())


# -- invalidation ------------------------------------------------------------------------------------------------


async def test_track_tells_of_a_change_by_another_client(redis_server: RedisServer, prefix: str) -> None:
    """A tracked key's change by another client, and by this one, is told once."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    async with connect(redis_server.url) as client, connect(redis_server.url) as other:
        client.add_listener(heard.put_nowait)
        assert client.tracking
        await other.call("SET", prefix, "v", "PX", 60_000)
        value, remaining = await client.track(prefix)
        assert value == b"v"
        assert 0 < remaining <= 60_000
        await other.call("SET", prefix, "w")
        async with asyncio.timeout(2):
            assert await heard.get() == prefix.encode()
        await other.call("SET", prefix, "x")
        assert await client.track(prefix) == (b"x", -1)
        await client.call("DEL", prefix)
        async with asyncio.timeout(2):
            assert await heard.get() == prefix.encode()
        assert await client.track(prefix) == (None, -2)
        client.remove_listener(heard.put_nowait)
        assert heard.empty()


async def test_track_tells_of_an_expiry(redis_server: RedisServer, prefix: str) -> None:
    """A tracked key that expires is told."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    async with connect(redis_server.url) as client:
        client.add_listener(heard.put_nowait)
        await client.call("SET", prefix, "v", "PX", 30)
        await client.track(prefix)
        async with asyncio.timeout(3):
            assert await heard.get() == prefix.encode()


async def test_track_tells_that_all_is_void(redis_server: RedisServer, prefix: str) -> None:
    """FLUSHALL and a lost connection void all knowledge, and tracking works on the next connection."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    async with Proxy(redis_server.port) as proxy, connect(url_of(proxy)) as client:
        client.add_listener(heard.put_nowait)
        await client.track(prefix)
        await client.call("FLUSHALL")
        async with asyncio.timeout(2):
            assert await heard.get() is None
        await client.track(prefix)
        await proxy.cut()
        async with asyncio.timeout(2):
            assert await heard.get() is None
        await client.track(prefix)
        await client.call("SET", prefix, 1)
        async with asyncio.timeout(2):
            assert await heard.get() == prefix.encode()


async def test_a_failing_listener_hurts_nobody(
    redis_server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A listener that raises is logged; the other listeners hear, and the connection and its replies go on."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()

    def fail(_: bytes | None) -> None:
        raise IndexError

    async with connect(redis_server.url) as client:
        client.add_listener(fail)
        client.add_listener(heard.put_nowait)
        await client.track(prefix)
        with caplog.at_level(logging.ERROR):
            await client.call("SET", prefix, 1)
            async with asyncio.timeout(2):
                assert await heard.get() == prefix.encode()
        assert "listener" in caplog.text
        assert client.statistics()["lost"] == 0
        client.remove_listener(fail)


# -- taking errors over ------------------------------------------------------------------------------------------


async def test_failing_takeover_still_answers(redis_server: RedisServer, prefix: str) -> None:
    """When the handler that may take a command over fails itself, the caller gets the error and nobody hangs."""

    def fail(*_: object) -> bool:
        raise ValueError(prefix)

    async with Proxy(redis_server.port) as proxy, multiplexer(proxy.port, on_error=fail, on_unsent=fail) as client:
        with pytest.raises(RedisReplyError, match="unknown command"):
            await client.send(pack("NONSENSE"))
        assert await client.send(pack("ECHO", "next")) == b"next"
        proxy.refuse()
        await proxy.cut()
        unsent = [client.send(pack("ECHO", n), True) for n in range(3)]
        errors = await asyncio.gather(*unsent, return_exceptions=True)
        assert all(isinstance(error, RedisConnectionError) for error in errors)


async def test_whatever_fails_while_connecting_reaches_the_callers() -> None:
    """An error that nobody foresaw, while the address is looked up, reaches the waiting callers as our own."""

    async def resolve() -> Address:
        raise LookupError(place)

    place = "nobody foresaw this"
    client = Multiplexer(resolve, place="nowhere")
    with pytest.raises(RedisConnectionError, match=place):
        await client.send(pack("PING"))
    await client.aclose()


async def test_read_only_replies_of_the_past_do_not_cut_the_present(redis_server: RedisServer, prefix: str) -> None:
    """READONLY makes the client connect anew once, not once for each such reply, and not within a second."""
    read_only = Script("ro", "return redis.error_reply('READONLY You can not write against a read only replica.')")
    async with connect(redis_server.url) as client:
        await asyncio.gather(*[client.run(read_only, [prefix]) for _ in range(50)], return_exceptions=True)
        assert client.statistics()["connects"] == 1
        client._multiplexer._link.made_at -= 2  # type: ignore[attr-defined]
        errors = await asyncio.gather(*[client.run(read_only, [prefix]) for _ in range(50)], return_exceptions=True)
        assert all(isinstance(error, RedisReadOnlyError) for error in errors)
        await client.call("PING")
        assert client.statistics()["connects"] == 2
        client._multiplexer._link.made_at -= 2  # type: ignore[attr-defined]
        await client.pipeline([["EVAL", read_only.source, 0]])
        await client.call("PING")
        assert client.statistics()["connects"] == 3
