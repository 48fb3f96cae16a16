"""The client of `memory://`: sharing, closing, event loops, time, fairness, and who hears of what."""

from __future__ import annotations

import asyncio
import enum
import gc
import itertools
import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import hiredis
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from rustforge.clock import ManualClock
from rustforge.errors import InvalidArgumentError, RedisClosedError, RedisReplyError
from rustforge.redis import RedisUrl, Script, connect
from rustforge.redis import memory as module
from rustforge.redis.embedded.registry import COMMANDS, Command, encode
from rustforge.redis.memory import MemoryClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rustforge.types import CommandArgument

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
URL = RedisUrl.parse("memory://unit")
GET = Script("get", "return redis.call('GET', KEYS[1])")


@pytest.fixture
async def client() -> AsyncIterator[MemoryClient]:
    """Open a store of the test's own; afterwards no store is left."""
    async with MemoryClient(URL) as client:
        yield client
    assert module._STORES == {}


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands still."""
    return ManualClock()


@pytest.fixture
async def travel(clock: ManualClock) -> AsyncIterator[MemoryClient]:
    """Open a store whose time is the manual clock's."""
    async with MemoryClient(URL, clock) as client:
        yield client


# -- sharing and closing -----------------------------------------------------------------------------------------


async def test_open_clients_of_one_url_share_one_store() -> None:
    """A cache and a queue with the same URL see the same data; another name is another store."""
    async with connect("memory://") as first, connect("memory://") as second, connect("memory://other") as other:
        await first.call("SET", "key", "value")
        assert await second.call("GET", "key") == b"value"
        assert await other.call("GET", "key") is None


async def test_the_last_client_takes_the_data_with_it() -> None:
    """Closing one of two clients keeps the data, closing both frees it."""
    first, second = await connect("memory://").open(), await connect("memory://").open()
    await first.call("SET", "key", "value")
    await first.aclose()
    assert await second.call("GET", "key") == b"value"
    await second.aclose()
    assert module._STORES == {}
    async with connect("memory://") as third:
        assert await third.call("GET", "key") is None


async def test_a_client_joins_its_store_with_the_first_command() -> None:
    """Making a client opens nothing; its first command does."""
    client = connect("memory://")
    assert module._STORES == {}
    assert client.statistics()["connects"] == 0
    assert await client.call("PING") == b"PONG"
    assert client.statistics()["connects"] == 1
    await client.aclose()
    assert module._STORES == {}


async def test_a_closed_client_refuses_everything() -> None:
    """After closing, opened or not, every use fails at once and says why; closing again does nothing."""
    for opened in (True, False):
        client = connect("memory://")
        if opened:
            await client.open()
        await client.aclose()
        await client.aclose()
        uses: list[Callable[[], Any]] = [
            lambda: client.call("GET", "key"),  # noqa: B023
            lambda: client.pipeline([["GET", "key"]]),  # noqa: B023
            lambda: client.run(GET, ["key"]),  # noqa: B023
            lambda: client.mget(["key"]),  # noqa: B023
            lambda: client.unlink([]),  # noqa: B023
            lambda: client.track("key"),  # noqa: B023
        ]
        for use in uses:
            with pytest.raises(RedisClosedError, match="memory:// is closed"):
                use()
        with pytest.raises(RedisClosedError, match="is closed"):
            await client.open()


async def test_closing_gives_the_answers_that_are_due(client: MemoryClient) -> None:
    """Answers that were put off are given before the client is gone."""
    other = await MemoryClient(URL).open()
    futures = [asyncio.ensure_future(other.call("ECHO", number)) for number in range(300)]
    assert not futures[-1].done()
    assert other.statistics()["in_flight"] > 0
    await other.aclose()
    assert [future.result() for future in futures] == [b"%d" % number for number in range(300)]
    assert other.statistics()["in_flight"] == 0


# -- event loops -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS)
def test_a_client_belongs_to_one_event_loop(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """A client that is used in another loop says so, and the loop it belongs to can still close it."""
    with asyncio.Runner(loop_factory=factory) as first, asyncio.Runner(loop_factory=factory) as second:
        client = MemoryClient(URL)
        first.run(client.open())

        async def use() -> None:
            with pytest.raises(RedisClosedError, match="belongs to another event loop"):
                _ = client.call("GET", "key")
            with pytest.raises(RedisClosedError, match="belongs to another event loop"):
                await client.open()

        second.run(use())
        first.run(client.aclose())


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS)
def test_a_store_belongs_to_one_event_loop_at_a_time(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """While a store is open another loop cannot join it; after it was closed, one can start anew."""
    with asyncio.Runner(loop_factory=factory) as first, asyncio.Runner(loop_factory=factory) as second:
        client = MemoryClient(URL)
        first.run(client.open())
        first.run(_set(client))
        other = MemoryClient(URL)
        with pytest.raises(RedisClosedError, match="memory://unit is in use by another event loop"):
            second.run(other.open())
        first.run(client.aclose())
        second.run(other.open())
        assert second.run(_get(other)) is None
        second.run(other.aclose())


def test_threads_do_not_share_a_store() -> None:
    """A thread with a loop of its own gets the same clear refusal."""
    refused: list[str] = []

    async def main() -> None:
        async with MemoryClient(URL):

            def elsewhere() -> None:
                try:
                    asyncio.run(MemoryClient(URL).open())
                except RedisClosedError as error:
                    refused.append(str(error))

            thread = threading.Thread(target=elsewhere)
            thread.start()
            await asyncio.to_thread(thread.join)

    asyncio.run(main())
    assert len(refused) == 1


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS)
def test_a_store_whose_loop_ended_makes_room(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Clients that were never closed do not block the next loop, and cannot hurt what it opened."""
    forgotten = MemoryClient(URL)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_set(forgotten, "PX", 50_000))
    with asyncio.Runner(loop_factory=factory) as runner:
        client = MemoryClient(URL)
        assert runner.run(_get(client)) is None
        runner.run(_set(client))
        runner.run(forgotten.aclose())
        assert runner.run(_get(client)) == b"value"
        runner.run(client.aclose())
    assert module._STORES == {}


async def _set(client: MemoryClient, *options: CommandArgument) -> None:
    await client.call("SET", "key", "value", *options)


async def _get(client: MemoryClient) -> Any:
    return await client.call("GET", "key")


# -- answers -----------------------------------------------------------------------------------------------------


async def test_an_error_is_raised_where_it_is_awaited(client: MemoryClient) -> None:
    """A command that fails gives a failed awaitable, as a server's would be; the call itself succeeds."""
    await client.call("RPUSH", "list", "x")
    for awaitable in (client.call("GET", "list"), client.call("NONSENSE"), client.track("list")):
        with pytest.raises(RedisReplyError):
            await awaitable


async def test_awaitables_work_with_gather_and_wait(client: MemoryClient) -> None:
    """They are futures of the running loop."""
    answers: list[Any] = await asyncio.gather(*[client.call("SET", "a", 1), client.call("GET", "a")])
    assert answers == [b"OK", b"1"]
    futures = [asyncio.ensure_future(client.call("INCR", "n")) for _ in range(3)]
    done, pending = await asyncio.wait(futures)
    assert len(done) == 3
    assert pending == set()
    assert await asyncio.wait_for(client.call("GET", "n"), 1) == b"3"


async def test_a_task_that_only_calls_does_not_starve_the_others(client: MemoryClient) -> None:
    """Awaiting an answer that is there never gives way, so every 128th answer comes with the next tick."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0)
    start = ticks
    for _ in range(128 * 10):
        await client.call("GET", "key")
    assert 10 <= ticks - start <= 30
    for _ in range(128 * 10):
        await client.mget(["key"])
    assert 20 <= ticks - start <= 60
    ticker.cancel()


async def test_answers_come_in_the_order_of_the_calls(client: MemoryClient) -> None:
    """An answer that was put off holds back those after it."""
    order: list[int] = []
    futures = []
    for number in range(1000):
        future = asyncio.ensure_future(client.call("ECHO", number))
        future.add_done_callback(lambda done: order.append(int(done.result())))
        futures.append(future)
    await asyncio.wait(futures)
    assert order == list(range(1000))


async def test_a_caller_that_gives_up_disturbs_nobody(client: MemoryClient) -> None:
    """A cancelled call that was put off is left out; all others get their own answers."""
    futures = [asyncio.ensure_future(client.call("ECHO", number)) for number in range(300)]
    futures[200].cancel()
    await asyncio.wait(futures)
    answers = [None if future.cancelled() else int(future.result()) for future in futures]
    assert answers == [None if number == 200 else number for number in range(300)]


async def test_commands_run_in_the_order_of_the_calls(client: MemoryClient) -> None:
    """A command takes effect when it is called, whenever its answer is looked at."""
    first, second = client.call("SET", "a", "1"), client.call("GET", "a")
    third, fourth = client.call("SET", "a", "2"), client.call("GET", "a")
    assert await fourth == b"2"
    assert await second == b"1"
    assert await first == await third == b"OK"


async def test_statistics_count_calls_and_commands(client: MemoryClient) -> None:
    """A pipeline is one write of several commands; nothing is ever lost or late."""
    await client.call("PING")
    await client.pipeline([["PING"], ["PING"], ["PING"]])
    with pytest.raises(RedisReplyError):
        await client.call("INCR")
    await client.run(GET, ["a"])
    assert client.statistics() == {
        "commands": 6,
        "writes": 4,
        "connects": 1,
        "timeouts": 0,
        "lost": 0,
        "in_flight": 0,
        "queued": 0,
    }


async def test_a_defect_in_a_command_is_not_hidden(client: MemoryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is no Redis error reaches the caller, through a script too, and the next script works."""

    def broken(_: object) -> None:
        msg = "a defect"
        raise RuntimeError(msg)

    monkeypatch.setitem(COMMANDS, b"PING", Command("ping", broken, fewest=1, in_script=True))
    with pytest.raises(RuntimeError, match="a defect"):
        await client.call(b"PING")
    script = Script("defect", "local ok = pcall(redis.call, 'PING') redis.pcall('PING') return 'swallowed'")
    with pytest.raises(RuntimeError, match="a defect"):
        await client.run(script, ["a"])
    assert await client.run(GET, ["a"]) is None


# -- arguments ---------------------------------------------------------------------------------------------------


class _Number(enum.IntEnum):
    """An `int` that is more than an `int`."""

    ONE = 1


class _Text(str):
    """A `str` that is more than a `str`."""

    __slots__ = ()


@given(
    st.one_of(st.integers(), st.floats(), st.text(), st.binary(), st.just(_Text("text")), st.just(memoryview(b"view")))
)
def test_arguments_look_as_they_do_on_the_wire(argument: Any) -> None:
    """Text, bytes and numbers become the bytes that a server would get."""
    expected = hiredis.pack_command((argument,)).split(b"\r\n", 2)[2][:-2]
    assert encode(argument) == expected


@pytest.mark.parametrize("argument", [None, True, _Number.ONE, bytearray(b"x"), [b"x"], object()])
def test_other_arguments_are_refused(argument: Any) -> None:
    """What a server's client refuses is refused here, too."""
    with pytest.raises(TypeError):
        hiredis.pack_command((argument,))
    with pytest.raises(TypeError):
        encode(argument)


# -- time --------------------------------------------------------------------------------------------------------


async def test_time_comes_from_the_clock(travel: MemoryClient, clock: ManualClock) -> None:
    """A test can travel in time: TTL, expiry and TIME follow the clock, to the millisecond."""
    await travel.call("SET", "key", "value", "PX", 1500)
    assert await travel.call("PTTL", "key") == 1500
    assert await travel.call("TTL", "key") == 2
    assert await travel.call("TIME") == [b"1700000000", b"0"]
    clock.advance(1.499)
    assert await travel.call("GET", "key") == b"value"
    assert await travel.call("PTTL", "key") == 1
    assert await travel.call("TIME") == [b"1700000001", b"499000"]
    clock.advance(0.001)
    assert await travel.call("GET", "key") is None
    assert await travel.call("PTTL", "key") == -2


@pytest.mark.parametrize("step", [0.1, 0.3, 0.7, 1.1, 33.3])
async def test_time_is_over_when_it_is_over(travel: MemoryClient, clock: ManualClock, step: float) -> None:
    """A life of n seconds ends after n seconds, though binary fractions are not exact."""
    for number in range(1, 30):
        await travel.call("SET", "key", "value", "PX", round(step * 1000) * number)
        for _ in range(number - 1):
            clock.advance(step)
        assert await travel.call("EXISTS", "key") == 1
        clock.advance(step)
        assert await travel.call("EXISTS", "key") == 0


LOOKS = """
    GET key; EXISTS key; TYPE key; TTL key; KEYS *; DBSIZE; MGET key; SCAN 0; GETDEL key; DEL key; PERSIST key
    EXPIRE key 5; APPEND key x; SET key x XX; SETNX key x; INCR key; RENAME key new; TOUCH key
"""


def commands(text: str) -> list[tuple[str, ...]]:
    """Read commands, parted by semicolons and line ends."""
    return [tuple(words) for line in text.split("\n") for part in line.split(";") if (words := part.split())]


@pytest.mark.parametrize("look", commands(LOOKS), ids="-".join)
async def test_an_expired_key_is_gone_for_every_command(
    travel: MemoryClient, clock: ManualClock, look: tuple[CommandArgument, ...]
) -> None:
    """Whatever command looks first, it sees no expired key."""

    async def answer() -> Any:
        try:
            return await travel.call(*look)
        except RedisReplyError as error:
            return str(error)

    without = await answer()
    await travel.call("FLUSHALL")
    await travel.call("SET", "key", "1", "EX", 10)
    clock.advance(10)
    assert await answer() == without


async def test_clients_of_a_store_have_the_same_clock(travel: MemoryClient) -> None:
    """Two clocks in one store would contradict each other, so the second is refused."""
    with pytest.raises(InvalidArgumentError, match="another clock"):
        await connect("memory://unit").open()


async def _until_left(client: MemoryClient, keys: set[bytes]) -> None:
    """Wait until the store holds no other keys, without looking at one."""
    async with asyncio.timeout(5):
        while set(client._database.values) != keys:  # noqa: ASYNC110 - nothing announces what nobody tracks
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS)
def test_an_expired_key_is_freed_without_being_looked_at(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The timer frees what expires, the nearest first, whatever order it was written in."""

    async def main() -> None:
        async with MemoryClient(URL) as client:
            await client.call("SET", "far", "x", "PX", 100_000)
            await client.call("SET", "late", "x", "PX", 60)
            await client.call("SET", "early", "x", "PX", 5)
            await client.call("SET", "moved", "x", "PX", 100_000)
            await client.call("PEXPIRE", "moved", 20)
            await client.call("SET", "later", "x", "PX", 5)
            await client.call("PEXPIRE", "later", 40)
            await _until_left(client, {b"far"})
            assert list(client._database.expires) == [b"far"]
            await client.call("PEXPIRE", "far", 10)
            await _until_left(client, set())
            assert client._database.expires == {}
            assert client._database._due == []

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


async def test_many_keys_that_expire_at_once_are_freed_in_slices(travel: MemoryClient, clock: ManualClock) -> None:
    """No tick frees more than a thousand keys."""
    await travel.pipeline([["SET", f"key:{number}", "x", "PX", 10] for number in range(5000)])
    clock.advance(1)
    sizes = [len(travel._database.values)]
    async with asyncio.timeout(5):
        while sizes[-1]:
            await asyncio.sleep(0)
            sizes.append(len(travel._database.values))
    assert sizes[0] == 5000
    assert max(before - after for before, after in itertools.pairwise(sizes)) == 1000


async def test_the_line_of_what_expires_stays_short(client: MemoryClient) -> None:
    """Writing the same keys again and again, or removing them, leaves nothing behind in the line."""
    for number in range(3000):
        await client.call("SET", f"key:{number % 10}", "x", "PX", 100_000 - number)
        await client.call("DEL", f"key:{number % 7}")
    assert len(client._database._due) <= 2 * 10 + 64 + 1


async def test_no_timer_outlives_the_clients() -> None:
    """Closing the last client cancels the timer, so nothing holds the store or wakes the loop."""
    client = await MemoryClient(URL).open()
    await client.call("SET", "key", "x", "EX", 1000)
    timer = module._STORES["unit"]._timer
    assert timer is not None
    assert not timer.cancelled()
    await client.aclose()
    assert timer.cancelled()


# -- hearing of changes ------------------------------------------------------------------------------------------

CHANGES = """
    SET key 1; SET key 1 EX 5; SETNX new 1; SETEX key 5 1; PSETEX key 5 1; MSET a 1 key 2; APPEND key 1
    SETRANGE key 0 1
    INCR key; DECR key; INCRBY key 2; INCRBYFLOAT key 2; GETSET key 1; GETDEL key; GETEX key EX 5; DEL key; UNLINK key
    EXPIRE key 5; PEXPIREAT key 5; RENAME key other; RENAME other key; HSET new f v; HINCRBY new f 1; HSETNX new f 1
    LPUSH new x; SADD new x; ZADD new 1 x; LMOVE list new LEFT LEFT; SMOVE set new x; FLUSHALL
    EVAL redis.call('SET','key',1) 0
"""
NO_CHANGES = """
    GET key; SET other 1; SET key 1 NX; SET new 1 XX; SETNX key 1; EXPIRE new 5; PERSIST key; DEL new; TTL key
    INCRBY key x; LPUSH key x; GETEX key; TOUCH key; RENAME new x; RENAME key key; MGET key new; HDEL new f; SREM new x
    ZREM new x; LREM new 0 x; ZADD new XX 1 x; EVAL redis.call('GET','key') 0
"""


@pytest.mark.parametrize("command", commands(CHANGES), ids="-".join)
async def test_every_change_is_heard_of_before_its_answer(
    client: MemoryClient, command: tuple[CommandArgument, ...]
) -> None:
    """Each command that changes a tracked key announces it, once, and before its caller goes on."""
    heard: list[bytes | None] = []
    await client.pipeline([["SET", "key", "1"], ["SET", "other", "1"], ["RPUSH", "list", "x"], ["SADD", "set", "x"]])
    client.add_listener(heard.append)
    await client.track("key")
    await client.track("new")
    answer = client.call(*command)
    assert heard in ([b"key"], [b"new"], [None])
    await answer
    for _ in range(2):
        await client.call("DEL", "key", "new", "list", "set")
    assert len(heard) <= 2


@pytest.mark.parametrize("command", commands(NO_CHANGES), ids="-".join)
async def test_what_changes_nothing_is_not_heard_of(client: MemoryClient, command: tuple[CommandArgument, ...]) -> None:
    """A command that leaves a tracked key as it is announces nothing."""
    heard: list[bytes | None] = []
    await client.pipeline([["SET", "key", "1"], ["SET", "other", "1"]])
    client.add_listener(heard.append)
    await client.track("key")
    await client.track("new")
    await asyncio.gather(client.call(*command), return_exceptions=True)
    assert heard == []


async def test_containers_announce_what_leaves_them(client: MemoryClient) -> None:
    """Taking members out announces the key, and so does taking the last."""
    steps = [
        "HSET k a 1 b 2; HDEL k a; HDEL k b",
        "RPUSH k a b c d e f; LPOP k; RPOP k; LREM k 1 b; LSET k 0 z; LTRIM k 0 1; RPOPLPUSH k o; LPOP k",
        "SADD k a b c; SREM k a; SMOVE k t b; SPOP k",
        "ZADD k 1 a 2 b 3 c 4 d 5 e; ZINCRBY k 1 a; ZREM k a; ZPOPMIN k; ZREMRANGEBYRANK k 0 -1",
        "ZADD k 1 a 2 b; ZREMRANGEBYSCORE k 1 1; ZREM k b",
        "ZADD k 1 a; ZPOPMAX k",
    ]
    for first, *rest in map(commands, steps):
        await client.call(*first)
        for step in rest:
            heard: list[bytes | None] = []
            client._database.watch(b"k", client._announce)
            client.add_listener(heard.append)
            await client.call(*step)
            client.remove_listener(heard.append)
            assert heard == [b"k"], step
        assert await client.call("EXISTS", "k") == 0


async def test_an_expiry_is_heard_of_at_its_time(client: MemoryClient) -> None:
    """Nobody needs to look: the timer announces a tracked key when it expires."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()
    client.add_listener(heard.put_nowait)
    await client.call("SET", "key", "x", "PX", 30)
    await client.track("key")
    start = asyncio.get_running_loop().time()
    assert await asyncio.wait_for(heard.get(), 5) == b"key"
    assert 0.02 <= asyncio.get_running_loop().time() - start < 1


async def test_a_lazy_expiry_is_heard_of(travel: MemoryClient, clock: ManualClock) -> None:
    """With a clock of the test's own, whoever looks first finds the key expired, and it is announced."""
    heard: list[bytes | None] = []
    travel.add_listener(heard.append)
    await travel.call("SET", "key", "x", "PX", 1000)
    await travel.track("key")
    clock.advance(1)
    assert await travel.call("GET", "key") is None
    assert heard == [b"key"]


async def test_each_tracking_client_hears(client: MemoryClient) -> None:
    """Every client that read the key hears of its change; one that was closed or did not read it does not."""
    heard: dict[str, list[bytes | None]] = {"a": [], "b": [], "c": []}
    clients = {name: await MemoryClient(URL).open() for name in heard}
    for name, other in clients.items():
        other.add_listener(heard[name].append)
    await clients["a"].track("key")
    await clients["b"].track("key")
    await clients["b"].aclose()
    await client.call("SET", "key", "1")
    assert heard == {"a": [b"key"], "b": [None], "c": []}
    await client.call("FLUSHALL")
    assert heard == {"a": [b"key", None], "b": [None], "c": [None]}
    assert client._database._watchers == {}
    await clients["a"].aclose()
    await clients["c"].aclose()


async def test_a_listener_may_call_and_may_fail(client: MemoryClient, caplog: pytest.LogCaptureFixture) -> None:
    """A listener that uses the client sees the change; one that fails disturbs neither the command nor the others."""
    seen: list[Any] = []

    def fails(_: bytes | None) -> None:
        msg = "a listener's defect"
        raise RuntimeError(msg)

    def reads(key: bytes | None) -> None:
        assert key is not None
        seen.append(client.call("GET", key))

    client.add_listener(fails)
    client.add_listener(reads)
    await client.track("key")
    with caplog.at_level(logging.ERROR):
        assert await client.call("SET", "key", "new") == b"OK"
    assert [await future for future in seen] == [b"new"]
    assert "a listener's defect" in caplog.text


async def test_a_script_is_heard_of_when_it_is_done(client: MemoryClient) -> None:
    """A listener never sees the middle of a script."""
    seen: list[Any] = []
    client.add_listener(lambda key: seen.append((key, client.call("MGET", "a", "b"))))
    await client.track("a")
    await client.track("b")
    await client.run(Script("both", "redis.call('SET', 'a', 1) redis.call('SET', 'b', 2)"), ["a"])
    assert [key for key, _ in seen] == [b"a", b"b"]
    assert [await future for _, future in seen] == [[b"1", b"2"]] * 2


# -- what is loaded, what is kept --------------------------------------------------------------------------------


def test_lua_is_loaded_with_the_first_script_only() -> None:
    """A program that runs no script does not load the Lua runtime."""
    program = """
import asyncio, sys
from rustforge.redis import connect
async def main():
    async with connect("memory://") as client:
        await client.call("SET", "a", 1)
        print("lupa" in sys.modules)
        await client.call("EVAL", "return 1", 0)
        print("lupa" in sys.modules)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


async def test_a_closed_store_is_freed() -> None:
    """Neither the registry nor a script engine keeps the data of a closed store."""
    client = await MemoryClient(URL).open()
    await client.run(GET, ["a"])
    await client.call("SET", "key", "x", "EX", 1000)
    database = client._database
    await client.aclose()
    assert not database.values
    gc.collect()
    assert [found for found in gc.get_referrers(database) if isinstance(found, module._Store)] == []
