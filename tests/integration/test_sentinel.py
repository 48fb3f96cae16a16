"""Redis Sentinel: the primary is found, replaced and found again, and errors say what is wrong."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from rustforge.errors import (
    RedisAuthenticationError,
    RedisClosedError,
    RedisConnectionError,
    RedisError,
    RedisOutcomeUnknownError,
    RedisReadOnlyError,
    RedisReplyError,
)
from rustforge.redis import Script, connect
from rustforge.redis.sentinel import SentinelClient
from rustforge.redis.url import RedisUrl
from tests.support.proxy import until
from tests.support.servers import RedisServer, SentinelGroup, free_port, info, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(30)

COUNT = Script("count", "return redis.call('INCRBY', KEYS[1], ARGV[1])")


@pytest.fixture
def group() -> Iterator[SentinelGroup]:
    """Run a primary, a replica and three Sentinels for one test that kills some of them."""
    started = SentinelGroup()
    yield started
    started.stop()


class Pair:
    """A primary and a replica that change their roles when a test says so, and a Sentinel that tells who is who."""

    def __init__(self) -> None:
        """Start the three."""
        self.primary = RedisServer()
        self.replica = RedisServer("--replicaof", "127.0.0.1", str(self.primary.port))
        self.sentinel = RedisServer("sentinel resolve-hostnames yes", sentinel=True)
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel.port}/orders"
        self.name(self.primary)

    def name(self, server: RedisServer) -> None:
        """Let the Sentinel name a server as the primary."""
        talk(self.sentinel.port, "SENTINEL", "REMOVE", "orders")
        reply = talk(self.sentinel.port, "SENTINEL", "MONITOR", "orders", "127.0.0.1", server.port, 1)
        assert reply.startswith("+OK"), reply

    def swap(self) -> None:
        """Swap the roles, and leave all connections open."""
        old, new = self.primary, self.replica
        assert talk(new.port, "REPLICAOF", "NO", "ONE").startswith("+OK")
        assert talk(old.port, "REPLICAOF", "127.0.0.1", new.port).startswith("+OK")
        self.primary, self.replica = new, old


@pytest.fixture(scope="module")
def shared_pair() -> Iterator[Pair]:
    """Run the three servers."""
    started = Pair()
    yield started
    for server in (started.sentinel, started.replica, started.primary):
        server.stop()


@pytest.fixture
def pair(shared_pair: Pair) -> Iterator[Pair]:
    """Lend the three servers, and empty them afterwards."""
    yield shared_pair
    talk(shared_pair.primary.port, "FLUSHALL")


# -- failover ----------------------------------------------------------------------------------------------------


async def test_failover_after_a_crash(group: SentinelGroup) -> None:
    """A killed primary is replaced: idempotent calls go on, others may have run, acknowledged data is there."""
    async with connect(f"{group.url}?timeout=10") as client:
        heard: list[bytes | None] = []
        client.add_listener(heard.append)
        await client.pipeline([["SET", f"k{n}", n] for n in range(100)])
        assert await client.track("k1") == (b"1", -1)
        assert await client.call("WAIT", 1, 5000) == 1
        stop = asyncio.Event()
        done = dict.fromkeys(range(10), 0)

        async def work(number: int) -> None:
            """Write and read a key of its own until told to stop."""
            for turn in itertools.count():
                if stop.is_set():
                    return
                assert await client.call("SET", f"w{number}", f"{number}.{turn}", retry=True) == b"OK"
                value, _ = await client.pipeline([["GET", f"w{number}"], ["PING"]], retry=True)
                assert value == f"{number}.{turn}".encode()
                done[number] += 1
                await asyncio.sleep(0.001)

        workers = [asyncio.create_task(work(number)) for number in done]
        await until(lambda: min(done.values()) > 5)

        group.primary.pause()
        unsafe = asyncio.ensure_future(client.call("INCR", "count"))
        safe = asyncio.ensure_future(client.call("SET", "safe", 1, retry=True))
        await asyncio.sleep(0)
        await until(lambda: client.statistics()["queued"] == 0)
        group.primary.kill()
        with pytest.raises(RedisOutcomeUnknownError, match="may have run"):
            await unsafe
        await until(lambda: None in heard)
        late = client.run(COUNT, ["late"], [1])
        before = min(done.values())
        assert await safe == b"OK"
        assert await late == 1
        await until(lambda: min(done.values()) > before + 5)
        stop.set()
        await asyncio.gather(*workers)

        assert await client.mget([f"k{n}" for n in range(100)]) == [str(n).encode() for n in range(100)]
        assert (await client.call("ROLE"))[0] == b"master"
        assert info(group.replica.port, "replication", "role") == "master"
        assert client.statistics()["lost"] == 1


async def test_what_a_demoted_primary_refuses_runs_on_the_new_one(pair: Pair) -> None:
    """Commands that a demoted primary refuses (READONLY) run once on the new one: alone, in pipelines, in scripts."""
    async with connect(pair.url) as client:
        await client.call("SET", "k", 1)
        await client.run(COUNT, ["n"], [1])
        assert await client.call("WAIT", 1, 5000) == 1
        seen = refused(pair.primary)
        pair.swap()
        pair.name(pair.primary)
        replies = await asyncio.gather(
            client.call("INCR", "k"),
            client.run(COUNT, ["n"], [1]),
            client.pipeline([["GET", "k"], ["INCR", "m"], ["MULTI"], ["INCR", "o"], ["EXEC"], ["LPUSH", "k", 1]]),
            *[client.call("SET", f"s{n}", n) for n in range(50)],
        )
        assert replies[:2] == [2, 2]
        assert replies[2][1:5] == [1, b"OK", b"QUEUED", [1]]
        assert isinstance(replies[2][5], RedisReplyError)
        assert replies[2][5].code == "WRONGTYPE"
        assert replies[3:] == [b"OK"] * 50
        assert refused(pair.replica) > seen
        assert await client.pipeline([]) == []
        assert await client.call("GET", "k") == b"2"
        assert await client.mget([f"s{n}" for n in range(50)]) == [str(n).encode() for n in range(50)]


def refused(server: RedisServer) -> int:
    """Count how often a server has refused to write."""
    return int(info(server.port, "errorstats", "errorstat_READONLY").partition("=")[2] or 0)


async def test_a_replica_is_not_taken_for_the_primary(pair: Pair) -> None:
    """While the Sentinel still names a server that is a replica now, commands wait, and at the deadline say why."""
    pair.name(pair.replica)
    with pytest.raises(RedisConnectionError, match="is a slave, not a master"):
        await connect(pair.url).open()
    hasty, patient = connect(f"{pair.url}?timeout=1"), connect(pair.url)
    waiting = asyncio.ensure_future(patient.call("SET", "k", 1))
    with pytest.raises(RedisError, match="is a slave, not a master"):
        await hasty.call("GET", "k", retry=True)
    assert not waiting.done()
    pair.name(pair.primary)
    assert await waiting == b"OK"
    await hasty.aclose()
    await patient.aclose()


async def test_refused_until_the_deadline(pair: Pair) -> None:
    """When no primary is found in time, what a replica refused fails with READONLY, also in a pipeline."""
    async with connect(f"{pair.url}?timeout=0.4") as client:
        await client.call("SET", "k", 1)
        pair.swap()
        try:
            with pytest.raises(RedisReadOnlyError, match="read-only replica"):
                await client.call("SET", "k", 2)
            value, error = await client.pipeline([["GET", "k"], ["SET", "k", 2]])
            assert value == b"1"
            assert isinstance(error, RedisReadOnlyError)
        finally:
            pair.name(pair.primary)


# -- asking the Sentinels ----------------------------------------------------------------------------------------


async def test_sentinels_are_asked_in_turn(pair: Pair) -> None:
    """Sentinels that are dead, hang, or do not know the service are passed over; the one that knew is asked first."""
    with RedisServer(sentinel=True) as ignorant, RedisServer(sentinel=True) as frozen:
        frozen.pause()
        places = [("127.0.0.1", port) for port in (free_port(), ignorant.port, frozen.port, pair.sentinel.port)]
        hosts = ",".join(f"{host}:{port}" for host, port in places)
        client = SentinelClient(RedisUrl.parse(f"redis+sentinel://{hosts}/orders?connect_timeout=2"))
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with client:
            assert 0.3 < loop.time() - started < 1.5
            assert (await client.call("ROLE"))[0] == b"master"
            talk(pair.primary.port, "CLIENT", "KILL", "TYPE", "normal")
            started = loop.time()
            assert await client.call("SET", "k", 1, retry=True) == b"OK"
            assert loop.time() - started < 0.3


async def test_a_service_that_no_sentinel_knows(pair: Pair) -> None:
    """An unknown service is one clear error that names it and the Sentinels, at once and not at the deadline."""
    dead = free_port()
    url = f"redis+sentinel://127.0.0.1:{pair.sentinel.port},127.0.0.1:{dead}/nobody"
    pattern = rf"'nobody'.*127.0.0.1:{pair.sentinel.port} does not know.*127.0.0.1:{dead} cannot be asked"
    with pytest.raises(RedisConnectionError, match=pattern) as failure:
        await connect(url).open()
    assert "\n" not in str(failure.value)
    client = connect(url)
    async with asyncio.timeout(2):
        with pytest.raises(RedisConnectionError, match=pattern):
            await client.call("GET", "k", retry=True)
    await client.aclose()


async def test_the_sentinels_password(pair: Pair) -> None:
    """sentinel_username and sentinel_password go to the Sentinel, user and password of the URL to the primary."""
    assert talk(pair.primary.port, "ACL", "SETUSER", "alice", "on", ">secret", "~*", "+@all").startswith("+OK")
    config = ("requirepass opensesame", f"sentinel monitor orders 127.0.0.1 {pair.primary.port} 1")
    with RedisServer(*config, sentinel=True) as guarded:
        url = f"redis+sentinel://alice:secret@127.0.0.1:{guarded.port}/orders"
        async with connect(f"{url}?sentinel_password=opensesame") as client:
            assert await client.call("ACL", "WHOAMI") == b"alice"
        async with connect(f"{url}?sentinel_username=default&sentinel_password=opensesame") as client:
            assert await client.call("ACL", "WHOAMI") == b"alice"
        for query in ("", "?sentinel_password=wrong"):
            with pytest.raises(RedisAuthenticationError, match="needs another sentinel_username or sentinel_password"):
                await connect(f"{url}{query}").open()
        with pytest.raises(RedisAuthenticationError, match="refused the user or password"):
            await connect(f"{url.replace('secret', 'wrong')}?sentinel_password=opensesame").open()


async def test_closing_while_there_is_no_primary(pair: Pair) -> None:
    """Closing fails the commands that wait for a primary, and leaves no task behind."""
    before = asyncio.all_tasks()
    pair.name(pair.replica)
    client = connect(pair.url)
    calls = [asyncio.ensure_future(call) for call in (client.call("GET", "k"), client.pipeline([["SET", "k", 1]]))]
    await until(lambda: any(task.get_name() == "rustforge-redis-waiting" for task in asyncio.all_tasks()))
    await client.aclose()
    assert calls[0].done()
    pair.name(pair.primary)
    for call in calls:
        with pytest.raises(RedisClosedError, match="is closed"):
            await call
    with pytest.raises(RedisClosedError, match="is closed"):
        await client.call("GET", "k")
    assert asyncio.all_tasks() == before
