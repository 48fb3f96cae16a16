"""Redis Cluster: routing, redirections while slots move, failover, invalidation, and errors that say what to do."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustforge.errors import (
    InvalidArgumentError,
    RedisAuthenticationError,
    RedisClosedError,
    RedisConnectionError,
    RedisError,
    RedisOutcomeUnknownError,
    RedisReplyError,
    RedisTimeoutError,
)
from rustforge.redis import Script, connect, topology
from rustforge.redis.cluster import ClusterClient
from rustforge.redis.slots import key_slot
from tests.support.proxy import Proxy, until
from tests.support.servers import RedisCluster, RedisServer, free_port, info, talk, wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from rustforge.redis import RedisClient

pytestmark = pytest.mark.timeout(30)

COUNT = Script("count", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
ECHO = Script("echo", "return ARGV[1]")


@pytest.fixture
def cluster(redis_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """Lend the session's cluster of three primaries, and empty it afterwards."""
    yield redis_cluster
    for node in redis_cluster.nodes:
        talk(node.port, "FLUSHALL")


@pytest.fixture
async def client(cluster: RedisCluster) -> AsyncIterator[RedisClient]:
    """Open a client of the cluster."""
    async with connect(cluster.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def fragile_cluster() -> Iterator[RedisCluster]:
    """Run three primaries and a replica of the first, which are quick to replace each other."""
    cluster = RedisCluster(replicas=1, node_timeout=600)
    yield cluster
    cluster.stop()


@pytest.fixture
def fragile(fragile_cluster: RedisCluster) -> RedisCluster:
    """Lend the cluster with the replica, whole and empty."""
    fragile_cluster.heal()
    for node in (*fragile_cluster.nodes, *fragile_cluster.replicas):
        talk(node.port, "FLUSHALL")
    return fragile_cluster


class Move:
    """A slot on its way from one primary of the session's cluster to another; it goes back after the test."""

    def __init__(self, cluster: RedisCluster, tag: str) -> None:
        """Choose the slot of a hash tag."""
        self.cluster = cluster
        self.tag = tag
        self.slot = key_slot(tag)
        self.source = cluster.owner(self.slot)
        self.target = next(node for node in cluster.nodes if node is not self.source)

    def key(self, number: int) -> str:
        """Give a key of the slot."""
        return f"{{{self.tag}}}{number}"

    def begin(self) -> None:
        """Open the slot on both sides."""
        self.cluster.begin_move(self.slot, self.source, self.target)

    def carry(self, count: int = 10_000) -> int:
        """Move so many keys."""
        return self.cluster.move_keys(self.slot, self.source, self.target, count)

    def end(self) -> None:
        """Give the slot to the target."""
        self.cluster.end_move(self.slot, self.target)

    def undo(self) -> None:
        """Bring the slot back, empty."""
        for node in self.cluster.nodes:
            talk(node.port, "FLUSHALL")
        self.end()
        self.cluster.agree()
        self.cluster.begin_move(self.slot, self.target, self.source)
        self.cluster.end_move(self.slot, self.source)
        self.cluster.agree()


@pytest.fixture
def move(cluster: RedisCluster) -> Iterator[Move]:
    """Prepare to move a slot; nothing moves yet."""
    prepared = Move(cluster, "moving")
    yield prepared
    prepared.undo()


def errors_sent(node: RedisServer, code: str) -> int:
    """Count the error replies of that kind that a node has sent."""
    return int(info(node.port, "errorstats", f"errorstat_{code}").partition("=")[2] or 0)


def calls_of(cluster: RedisCluster, command: str) -> int:
    """Count how often the primaries have run a command."""
    fields = [info(node.port, "commandstats", f"cmdstat_{command}") for node in cluster.nodes]
    return sum(int(field.partition("calls=")[2].partition(",")[0] or 0) for field in fields)


def keys_of(cluster: RedisCluster, node: RedisServer, prefix: str, count: int) -> list[str]:
    """Find keys that live on a node."""
    names = (f"{prefix}{number}" for number in itertools.count())
    return list(itertools.islice((name for name in names if cluster.owner(key_slot(name)) is node), count))


# -- routing -----------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.one_of(st.text(alphabet="ab{}", max_size=8), st.text(max_size=20), st.binary(max_size=20)))
def test_slots_are_the_servers(redis_cluster: RedisCluster, key: str | bytes) -> None:
    """Whatever the key, its slot is the one that the server computes."""
    try:
        data = key if isinstance(key, bytes) else key.encode()
    except UnicodeEncodeError:
        return

    async def ask() -> Any:
        """Ask the server."""
        async with connect(redis_cluster.url) as client:
            return await client.call("CLUSTER", "KEYSLOT", data)

    assert asyncio.run(ask()) == key_slot(key)


async def test_every_key_reaches_its_node(client: RedisClient, cluster: RedisCluster, prefix: str) -> None:
    """Commands go straight to the node of their key: all nodes hold some keys and none had to redirect."""
    before = [errors_sent(node, "MOVED") for node in cluster.nodes]
    await asyncio.gather(*[client.call("SET", f"{prefix}{n}", n) for n in range(100)])
    assert await asyncio.gather(*[client.call("GET", f"{prefix}{n}") for n in range(100)]) == [
        str(n).encode() for n in range(100)
    ]
    sizes = [int(talk(node.port, "DBSIZE")[1:]) for node in cluster.nodes]
    assert sum(sizes) == 100
    assert min(sizes) > 10
    assert [errors_sent(node, "MOVED") for node in cluster.nodes] == before


async def test_one_write_a_node_and_tick(client: RedisClient, prefix: str) -> None:
    """Three hundred commands of one tick leave in three writes, single commands, pipelines and scripts together."""
    await client.call("SCRIPT", "LOAD", ECHO.source)
    before = client.statistics()
    singles = [client.call("SET", f"{prefix}{n}", n) for n in range(300)]
    pipeline = client.pipeline([["GET", f"{prefix}{n}"] for n in range(300)])
    values = client.mget([f"{prefix}{n}" for n in range(300)])
    assert await asyncio.gather(*singles) == [b"OK"] * 300
    assert await pipeline == await values == [str(n).encode() for n in range(300)]
    after = client.statistics()
    assert after["writes"] - before["writes"] == 3
    assert after["commands"] - before["commands"] == 300 + 3 + 3
    assert (after["in_flight"], after["queued"], after["connects"]) == (0, 0, 3)


async def test_replies_find_their_callers(client: RedisClient, prefix: str) -> None:
    """With 200 tasks that use every kind of command across all nodes, and give up at times, no reply goes astray."""

    async def work(number: int) -> None:
        """Use keys that nobody else uses."""
        for turn in range(10):
            keys = [f"{prefix}{number}:{turn}:{part}" for part in range(4)]
            texts = [key.encode() for key in keys]
            if number % 10 == 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(client.call("ECHO", "late")), 0.0001 * turn)
            assert await client.pipeline([["SET", key, key] for key in keys]) == [b"OK"] * 4
            assert await client.mget(keys) == texts
            assert await client.call("GET", keys[turn % 4]) == texts[turn % 4]
            assert await client.run(ECHO, [keys[3]], [keys[2]]) == texts[2]
            value, remaining = await client.track(keys[0])
            assert (value, remaining) == (texts[0], -1)
            assert await client.unlink(keys) == 4

    await asyncio.gather(*[work(number) for number in range(200)])


async def test_pipelines_mget_and_unlink(client: RedisClient, prefix: str) -> None:
    """Replies stand in the order of the commands, errors in their place; per node the commands run in order."""
    keys = [f"{prefix}{n}" for n in range(12)]
    commands: list[list[str | int]] = [["RPUSH", key, turn] for turn in range(5) for key in keys]
    assert await client.pipeline(commands) == [turn + 1 for turn in range(5) for _ in keys]
    assert await client.pipeline([["LRANGE", key, 0, -1] for key in keys]) == [[b"0", b"1", b"2", b"3", b"4"]] * 12
    replies = await client.pipeline([["SET", f"{prefix}s", "x"], ["INCR", f"{prefix}s"], ["PING"], ["LLEN", keys[0]]])
    assert isinstance(replies[1], RedisReplyError)
    assert [replies[0], *replies[2:]] == [b"OK", b"PONG", 5]
    assert await client.mget([f"{prefix}s", keys[0], f"{prefix}missing"]) == [b"x", None, None]
    assert await client.unlink([*keys, f"{prefix}s", f"{prefix}missing"]) == 13
    assert (await client.pipeline([]), await client.mget([]), await client.unlink([])) == ([], [], 0)


async def test_transactions_in_a_pipeline(client: RedisClient, prefix: str) -> None:
    """A transaction in a pipeline runs as a whole on its node; keys of several slots are refused."""
    key = f"{{{prefix}}}"
    replies = await client.pipeline([["SET", "other", 1], ["MULTI"], ["INCR", key], ["INCR", f"{key}2"], ["EXEC"]])
    assert replies == [b"OK", b"OK", b"QUEUED", b"QUEUED", [1, 1]]
    with pytest.raises(InvalidArgumentError, match=r"a transaction must be in one slot .*hash tag"):
        await client.pipeline([["MULTI"], ["INCR", f"{prefix}a"], ["INCR", f"{prefix}b"], ["EXEC"]])


async def test_scripts(client: RedisClient, cluster: RedisCluster, prefix: str) -> None:
    """A script runs on its keys' node, survives SCRIPT FLUSH there, and needs its keys in one slot."""
    keys = [f"{prefix}{n}" for n in range(9)]
    assert await asyncio.gather(*[client.run(COUNT, [key], [1]) for key in keys]) == [1] * 9
    talk(cluster.owner(key_slot(keys[0])).port, "SCRIPT", "FLUSH")
    assert await asyncio.gather(*[client.run(COUNT, [key], [1]) for key in keys]) == [2] * 9
    assert await client.run(ECHO, [f"{{{prefix}}}1", f"{{{prefix}}}2"], ["both"]) == b"both"
    with pytest.raises(ValueError, match=rf"script 'echo' must be in one slot .*'{prefix}1' and '{prefix}2'.*hash tag"):
        await client.run(ECHO, [f"{prefix}1", f"{prefix}2"])


async def test_commands_without_a_key_and_refused_ones(client: RedisClient, prefix: str) -> None:
    """PING and its like go to any node; SCAN, a shared connection's changes, and keys of two slots are refused."""
    assert await client.call("PING") == b"PONG"
    assert len(await client.call("TIME")) == 2
    assert await client.call("EVAL", "return KEYS[1]", 1, prefix) == prefix.encode()
    assert await client.call("EVAL", "return 7", 0) == 7
    with pytest.raises(InvalidArgumentError, match=r"scan\(\) walks all"):
        await client.call("SCAN", 0)
    with pytest.raises(ValueError, match="would change the connection"):
        await client.call("MULTI")
    with pytest.raises(RedisReplyError, match=r"CROSSSLOT.*one \{tag\}"):
        await client.call("DEL", f"{prefix}1", f"{prefix}2")


async def test_scan_walks_every_primary(client: RedisClient, prefix: str) -> None:
    """A scan finds the matching keys of all primaries, and only those."""
    await client.pipeline([["SET", f"{prefix}[{n}]", str(n)] for n in range(1000)] + [["SET", "other", "1"]])
    found = [key async for slice_ in client.scan(f"{prefix}\\[*".encode(), count=50) for key in slice_]
    assert sorted(set(found)) == sorted(f"{prefix}[{n}]".encode() for n in range(1000))


# -- slots on their way ------------------------------------------------------------------------------------------


async def test_every_kind_of_command_follows_ask_and_moved(client: RedisClient, move: Move) -> None:
    """While a slot is under way each command runs where its key is (ASK), and then at the new owner (MOVED)."""
    heard: list[bytes | None] = []
    client.add_listener(heard.append)
    await client.pipeline([["SET", move.key(n), n] for n in range(20)])
    move.begin()
    assert move.carry(10) == 10

    async def use(turn: int) -> None:
        """Send every kind of command to keys on both sides, and to a new one."""
        asked = [errors_sent(move.source, code) for code in ("ASK", "MOVED")]
        assert await client.mget([move.key(n) for n in range(20)]) == [str(n).encode() for n in range(20)]
        assert await asyncio.gather(*[client.call("GET", move.key(n)) for n in range(20)]) == [
            str(n).encode() for n in range(20)
        ]
        new = move.key(100 + turn)
        assert await client.run(COUNT, [new], [5]) == 5
        assert await client.pipeline([["INCR", new], ["PING"], ["GET", new]]) == [6, b"PONG", b"6"]
        transaction = [["MULTI"], ["INCR", new], ["GET", new], ["EXEC"], ["GET", new]]
        assert (await client.pipeline(transaction))[3:] == [[7, b"7"], b"7"]
        assert await client.track(new) == (b"7", -1)
        heard.clear()
        await client.call("SET", new, "changed")
        await until(lambda: new.encode() in heard)
        with pytest.raises(RedisReplyError, match="not an integer"):
            await client.call("INCR", new)
        assert await client.unlink([new, move.key(500)]) == 1
        assert [errors_sent(move.source, code) for code in ("ASK", "MOVED")][turn] > asked[turn]

    await use(0)
    while move.carry():
        pass
    move.end()
    await use(1)
    assert errors_sent(move.source, "ASK") > 0


async def test_moving_a_slot_under_load_loses_and_doubles_nothing(client: RedisClient, move: Move) -> None:
    """While a slot moves key by key under load, each increment counts exactly once and each reply is its caller's."""
    seen = [errors_sent(move.source, code) for code in ("ASK", "MOVED")]
    keys = [move.key(n) for n in range(60)]
    await client.pipeline([["SET", f"{key}v", key] for key in keys] + [["SET", key, 0] for key in keys])
    increments = dict.fromkeys(keys, 0)
    moved = asyncio.Event()

    async def work(number: int) -> None:
        """Count and read until the slot has moved."""
        turn = 0
        while not moved.is_set() or turn < 20:
            key = keys[(number * 7 + turn) % len(keys)]
            turn += 1
            if turn % 3 == 0:
                await client.call("INCR", key)
            elif turn % 3 == 1:
                await client.run(COUNT, [key], [1])
            else:
                count, value = await client.pipeline([["INCR", key], ["GET", f"{key}v"]])
                assert (type(count), value) == (int, key.encode())
            increments[key] += 1
            assert await client.call("GET", f"{key}v") == key.encode()
            assert await client.mget([f"{key}v", f"elsewhere{key}"]) == [key.encode(), None]

    def carry() -> None:
        """Move the slot in small steps."""
        move.begin()
        while move.carry(3):
            pass
        move.end()

    workers = [asyncio.create_task(work(number)) for number in range(20)]
    await asyncio.to_thread(carry)
    moved.set()
    await asyncio.gather(*workers)
    assert await client.mget(keys) == [str(increments[key]).encode() for key in keys]
    assert [errors_sent(move.source, code) for code in ("ASK", "MOVED")] > [seen[0], seen[1]]
    assert errors_sent(move.source, "ASK") > seen[0]
    assert errors_sent(move.source, "MOVED") > seen[1]
    assert client.statistics()["lost"] == 0


async def test_a_script_that_the_target_does_not_know_follows_ask(client: RedisClient, move: Move) -> None:
    """An ASK to a node that lacks the script runs it there by its source."""
    script = Script("fresh", f"return redis.call('INCRBY', KEYS[1], ARGV[1]) -- {move.tag}")
    assert await client.run(script, [move.key(1)], [1]) == 1
    talk(move.target.port, "SCRIPT", "FLUSH")
    move.begin()
    while move.carry():
        pass
    assert await client.run(script, [move.key(1)], [1]) == 2
    assert await client.run(script, [move.key(1)], [1]) == 3


async def test_keys_of_one_command_on_both_sides_are_waited_for(
    client: RedisClient, cluster: RedisCluster, move: Move
) -> None:
    """A command whose keys are apart while their slot moves (TRYAGAIN) waits until they are together, or too late."""
    await client.pipeline([["SET", move.key(n), n] for n in range(2)])
    move.begin()
    assert move.carry(1) == 1
    async with connect(f"{cluster.url}/?timeout=0.3") as hasty:
        with pytest.raises(RedisReplyError, match="TRYAGAIN"):
            await hasty.call("MGET", move.key(0), move.key(1))
        pong, error = await hasty.pipeline([["PING"], ["MGET", move.key(0), move.key(1)]])
        assert (pong, error.code) == (b"PONG", "TRYAGAIN")
    before = errors_sent(move.source, "TRYAGAIN")
    call = asyncio.ensure_future(client.call("MGET", move.key(0), move.key(1)))
    pipeline = asyncio.ensure_future(client.pipeline([["MGET", move.key(0), move.key(1)], ["PING"]]))
    await until(lambda: errors_sent(move.source, "TRYAGAIN") >= before + 4)
    assert not call.done()
    move.carry()
    move.end()
    assert await call == [b"0", b"1"]
    assert await pipeline == [[b"0", b"1"], b"PONG"]


async def test_many_redirections_renew_the_map_once(client: RedisClient, cluster: RedisCluster, move: Move) -> None:
    """Five hundred commands that are redirected at once make the client ask for the map once."""
    move.begin()
    move.end()
    before = calls_of(cluster, "cluster|slots"), errors_sent(move.source, "MOVED")
    await asyncio.gather(*[client.call("SET", move.key(n), n) for n in range(500)])
    assert errors_sent(move.source, "MOVED") - before[1] == 500
    await asyncio.gather(*[client.call("GET", move.key(n)) for n in range(500)])
    assert errors_sent(move.source, "MOVED") - before[1] == 500
    assert calls_of(cluster, "cluster|slots") - before[0] <= 1


async def test_redirections_are_remembered_and_not_stormed(
    client: RedisClient, cluster: RedisCluster, move: Move
) -> None:
    """A redirected slot is known from then on, and a redirection a slot does not make a renewed map a slot."""
    assert isinstance(client, ClusterClient)
    move.begin()
    move.end()
    seen = errors_sent(move.source, "MOVED")
    assert await client.call("SET", move.key(1), 1) == b"OK"
    assert await client.call("SET", move.key(2), 2) == b"OK"
    assert errors_sent(move.source, "MOVED") == seen + 1
    map_ = client._topology
    known = list(map_.slots)
    before = calls_of(cluster, "cluster|slots")
    started = time.monotonic()
    for number in range(40):
        slot = key_slot(f"k{number}")
        map_.slots[slot] = next(node for node in map_.nodes if node is not known[slot])
        assert await client.call("SET", f"k{number}", number) == b"OK"
    assert calls_of(cluster, "cluster|slots") - before <= 1 + (time.monotonic() - started)


async def test_an_asked_node_that_hangs(cluster: RedisCluster, move: Move) -> None:
    """A command keeps its deadline when an ASK sends it to another node."""
    async with connect(f"{cluster.url}/?timeout=0.4") as client:
        await client.call("SET", move.key(1), 1)
        move.begin()
        assert move.carry() == 1
        assert await client.call("GET", move.key(1)) == b"1"
        move.target.pause()
        try:
            for awaitable in (client.call("GET", move.key(1)), client.pipeline([["GET", move.key(1)]])):
                started = time.monotonic()
                with pytest.raises(RedisTimeoutError, match=f"127.0.0.1:{move.target.port} did not answer"):
                    await awaitable
                assert time.monotonic() - started < 1
            given_up = asyncio.ensure_future(client.call("GET", move.key(1)))
            await until(lambda: client.statistics()["in_flight"] + client.statistics()["queued"] > 0)
            given_up.cancel()
        finally:
            move.target.resume()
        assert await client.mget([move.key(1), move.key(2)]) == [b"1", None]


async def test_nodes_that_disagree_are_not_stormed(client: RedisClient, cluster: RedisCluster, move: Move) -> None:
    """Two nodes that send each other a slot's commands (MOVED) are tried with pauses until they agree."""
    nodes = (move.source, move.target)
    cluster.set_slot(move.source, move.slot, "NODE", move.target)
    before = sum(errors_sent(node, "MOVED") for node in nodes)
    call = asyncio.ensure_future(client.call("SET", move.key(1), 1))
    pipeline = asyncio.ensure_future(client.pipeline([["SET", move.key(2), 2]]))
    await until(lambda: sum(errors_sent(node, "MOVED") for node in nodes) >= before + 6)
    async with asyncio.timeout(5):
        await asyncio.wait([call, pipeline], timeout=0.3)
    assert not call.done()
    assert sum(errors_sent(node, "MOVED") for node in nodes) - before < 60
    move.end()
    assert (await call, await pipeline) == (b"OK", [b"OK"])


@pytest.mark.parametrize("from_begun", [True, False], ids=["from the node it is at", "from a node to come"])
async def test_scan_finds_keys_that_move_behind_its_back(
    client: RedisClient, cluster: RedisCluster, from_begun: bool
) -> None:
    """A key that moves to a node that the scan has done already is found there."""
    keys = {node.port: keys_of(cluster, node, "s", 100) for node in cluster.nodes}
    await client.pipeline([["SET", key, 1] for group in keys.values() for key in group])
    places = {key.encode(): port for port, group in keys.items() for key in group}
    nodes = {node.port: node for node in cluster.nodes}
    found: set[bytes] = set()
    move: Move | None = None
    try:
        async for slice_ in client.scan(b"s*", count=10):
            found.update(slice_)
            begun = {places[key] for key in found}
            if len(begun) == 2 and move is None:
                [current] = {places[key] for key in slice_}
                [done] = begun - {current}
                [to_come] = set(nodes) - begun
                source = current if from_begun else to_come
                move = Move(cluster, next(key for key in keys[source] if key.encode() not in found))
                move.target = nodes[done]
                move.begin()
                assert move.carry() == 1
                move.end()
    finally:
        if move is not None:
            move.undo()
    assert move is not None
    assert found == set(places)


async def test_a_slot_without_a_node_is_waited_for(cluster: RedisCluster) -> None:
    """Commands for a slot that nobody serves wait, in order, until someone does, and fail clearly at their deadline."""
    slot = key_slot("orphan")
    owner = cluster.owner(slot)
    async with connect(f"{cluster.url}/?timeout=0.3") as hasty, connect(cluster.url) as patient:
        try:
            assert talk(owner.port, "CLUSTER", "DELSLOTS", slot).startswith("+OK")
            calls = [asyncio.ensure_future(patient.call("RPUSH", "orphan", n)) for n in range(50)]
            pipeline = asyncio.ensure_future(patient.pipeline([["PING"], ["SET", "{orphan}2", 2]]))
            with pytest.raises(RedisError, match=r"CLUSTERDOWN|no node of the Redis Cluster .* serves"):
                await hasty.call("GET", "orphan")
            await until(lambda: patient.statistics()["queued"] == 50)
            assert not any(call.done() for call in calls)
        finally:
            talk(owner.port, "CLUSTER", "ADDSLOTS", slot)
            wait_for(lambda: all("cluster_state:ok" in talk(n.port, "CLUSTER", "INFO") for n in cluster.nodes), "ok")
        assert await pipeline == [b"PONG", b"OK"]
        assert await asyncio.gather(*calls) == list(range(1, 51))
        assert await patient.call("LRANGE", "orphan", 0, -1) == [str(n).encode() for n in range(50)]


# -- failover ----------------------------------------------------------------------------------------------------


def primary_and_replica(cluster: RedisCluster) -> tuple[RedisServer, RedisServer]:
    """Find the primary that has the replica now, and the replica."""
    pair = (cluster.nodes[0], cluster.replicas[0])
    roles = [info(node.port, "replication", "role") for node in pair]
    return pair if roles == ["master", "slave"] else (pair[1], pair[0])


async def acknowledge(client: RedisClient, primary: RedisServer) -> None:
    """Wait until the replica has everything that the primary has."""
    offset = info(primary.port, "replication", "master_repl_offset")
    await until(lambda: f"offset={offset}" in info(primary.port, "replication", "slave0"))


async def test_failover_after_a_crash(fragile: RedisCluster) -> None:
    """A killed primary is replaced: idempotent commands go on, others say that they may have run, data is kept."""
    primary, replica = primary_and_replica(fragile)
    async with connect(f"{fragile.url},127.0.0.1:{fragile.replicas[0].port}/?timeout=10") as client:
        keys = keys_of(fragile, fragile.nodes[0], "k", 50)
        others = keys_of(fragile, fragile.nodes[1], "k", 50)
        await client.pipeline([["SET", key, key] for key in [*keys, *others]])
        await client.track(keys[0])
        heard: list[bytes | None] = []
        client.add_listener(heard.append)
        await acknowledge(client, primary)
        scan = client.scan(b"k*", count=10)
        found: set[bytes] = set()
        while not found & {key.encode() for key in keys}:
            found.update(await anext(scan))

        primary.pause()
        before = client.statistics()["in_flight"]
        unsafe = asyncio.ensure_future(client.call("INCR", f"{{{keys[0]}}}count"))
        unsafe_pipeline = asyncio.ensure_future(client.pipeline([["GET", others[0]], ["INCR", f"{{{keys[0]}}}count"]]))
        safe = asyncio.ensure_future(client.call("SET", keys[1], "again", retry=True))
        safe_pipeline = asyncio.ensure_future(client.pipeline([["GET", others[0]], ["GET", keys[0]]], retry=True))
        await until(lambda: client.statistics()["in_flight"] >= before + 4)
        primary.kill()

        for lost in (unsafe, unsafe_pipeline):
            with pytest.raises(RedisOutcomeUnknownError, match="may have run"):
                await lost
        await until(lambda: None in heard)
        late = [client.call("INCR", f"{{{keys[0]}}}late"), client.pipeline([["INCR", f"{{{keys[0]}}}later"]])]
        assert await client.call("GET", others[0]) == others[0].encode()
        values = asyncio.ensure_future(client.mget([*keys, *others]))
        run = client.run(COUNT, [f"{{{keys[0]}}}run"], [1])
        assert [await call for call in late] == [1, [1]]
        assert (await safe, await run) == (b"OK", 1)
        assert await safe_pipeline == [others[0].encode(), keys[0].encode()]
        await values
        async for slice_ in scan:
            found.update(slice_)
        assert found >= {key.encode() for key in [*keys, *others]}
        assert await client.call("GET", keys[1]) == b"again"
        assert await client.mget(keys[2:]) == [key.encode() for key in keys[2:]]
        assert info(replica.port, "replication", "role") == "master"
        assert client.statistics()["lost"] >= 1


async def test_failover_of_a_frozen_node(fragile: RedisCluster) -> None:
    """A primary that hangs is replaced, and what it was sent and is idempotent runs on its successor in time."""
    primary, _ = primary_and_replica(fragile)
    async with connect(f"{fragile.url},127.0.0.1:{fragile.replicas[0].port}/?timeout=10") as client:
        key = keys_of(fragile, fragile.nodes[0], "k", 1)[0]
        await client.call("SET", key, 0)
        primary.pause()
        safe = asyncio.ensure_future(client.call("SET", key, 1, retry=True))
        unsafe = asyncio.ensure_future(client.call("INCR", key))
        pipeline = asyncio.ensure_future(client.pipeline([["SETNX", key, 2]], retry=True))
        await until(lambda: client.statistics()["in_flight"] == 3)
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await safe == b"OK"
        assert (await pipeline)[0] == 0
        with pytest.raises(RedisOutcomeUnknownError):
            await unsafe
        assert loop.time() - started < 9
        assert await client.call("GET", key) == b"1"


async def test_a_dead_node_without_replica(fragile: RedisCluster) -> None:
    """Without a successor a command fails at its deadline and names the node; afterwards the cluster works again."""
    node = fragile.nodes[1]
    [key] = keys_of(fragile, node, "k", 1)
    async with connect(f"{fragile.url}/?timeout=1") as client:
        await client.call("SET", key, 1)
        node.kill()
        with pytest.raises(RedisError, match=rf"127.0.0.1:{node.port}.*cannot be reached|CLUSTERDOWN") as failure:
            await client.call("GET", key, retry=True)
        assert not isinstance(failure.value, RedisOutcomeUnknownError)
        with pytest.raises(RedisError, match=rf"127.0.0.1:{node.port}.*cannot be reached|CLUSTERDOWN"):
            await client.mget([key])
        fragile.heal()
        assert await client.call("SET", key, 2) == b"OK"


# -- invalidation ------------------------------------------------------------------------------------------------


async def test_changes_on_every_node_are_heard(client: RedisClient, cluster: RedisCluster, prefix: str) -> None:
    """A tracked key's change is announced by whichever node has it, and a node's lost connection voids everything."""
    heard: list[bytes | None] = []
    client.add_listener(heard.append)
    keys = [key for node in cluster.nodes for key in keys_of(cluster, node, prefix, 2)]
    assert client.tracking
    assert await asyncio.gather(*[client.track(key) for key in keys]) == [(None, -2)] * 6
    async with connect(cluster.url) as other:
        await asyncio.gather(*[other.call("SET", key, 1, "EX", 60) for key in keys])
    await until(lambda: len(heard) == 6)
    assert {key.encode() for key in keys} == set(heard)
    for key in keys:
        value, remaining = await client.track(key)
        assert value == b"1"
        assert 0 < remaining <= 60_000
    heard.clear()
    talk(cluster.nodes[1].port, "CLIENT", "KILL", "TYPE", "normal")
    await until(lambda: None in heard)
    await client.call("RPUSH", f"{prefix}list", 1)
    with pytest.raises(RedisReplyError, match="WRONGTYPE"):
        await client.track(f"{prefix}list")


# -- opening and closing -----------------------------------------------------------------------------------------


async def test_opening_what_is_not_there() -> None:
    """Without a node that answers, open() and the first command fail with one line that names the seeds."""
    url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    with pytest.raises(RedisConnectionError, match=r"no node of the Redis Cluster at .*cannot be reached") as failure:
        await connect(url).open()
    assert "\n" not in str(failure.value)
    client = connect(url)
    for awaitable in (client.call("GET", "k"), client.mget(["k"])):
        async with asyncio.timeout(3):
            with pytest.raises(RedisConnectionError, match=r"no node of the Redis Cluster at .*cannot be reached"):
                await awaitable
    await client.aclose()


async def test_opening_what_is_no_cluster(redis_server: RedisServer) -> None:
    """A single server behind redis+cluster:// is refused with the URL to write instead, and so is an empty node."""
    with pytest.raises(RedisConnectionError, match=r"is not part of a cluster; write redis://"):
        await connect(f"redis+cluster://127.0.0.1:{redis_server.port}").open()
    with (
        RedisServer("--cluster-enabled", "yes") as lonely,
        pytest.raises(RedisConnectionError, match="knows of no node"),
    ):
        await connect(f"redis+cluster://127.0.0.1:{lonely.port}").open()


async def test_seeds_that_hang(redis_server: RedisServer) -> None:
    """While every seed hangs, open() fails after the time to connect, and commands at their deadline."""
    with RedisServer("--cluster-enabled", "yes") as hanging:
        hanging.pause()
        seeds = f"redis+cluster://127.0.0.1:{hanging.port},127.0.0.1:{free_port()}"
        with pytest.raises(RedisConnectionError, match="no node of the Redis Cluster at"):
            await connect(f"{seeds}/?connect_timeout=0.3").open()
        client = connect(f"{seeds}/?timeout=0.3&connect_timeout=10")
        for awaitable in (client.call("GET", "k"), client.mget(["k"])):
            started = time.monotonic()
            with pytest.raises(RedisConnectionError, match="no node of the Redis Cluster at"):
                await awaitable
            assert time.monotonic() - started < 0.6
        await client.aclose()


async def test_one_seed_is_enough(cluster: RedisCluster, prefix: str) -> None:
    """A client that knows one living node and a dead one finds all others, with its first command."""
    client = connect(f"redis+cluster://127.0.0.1:{free_port()},localhost:{cluster.nodes[2].port}")
    assert await asyncio.gather(*[client.call("SET", f"{prefix}{n}", n) for n in range(30)]) == [b"OK"] * 30
    assert await client.mget([f"{prefix}{n}" for n in range(30)]) == [str(n).encode() for n in range(30)]
    await client.aclose()


async def test_user_and_password_apply_to_every_node(cluster: RedisCluster, prefix: str) -> None:
    """The URL's user is used with every node; a wrong password, or a missing right, is one clear error."""
    for node in cluster.nodes:
        talk(node.port, "ACL", "SETUSER", "alice", "on", ">secret", "~*", "+@all")
    places = cluster.url.partition("//")[2]
    async with connect(f"redis+cluster://alice:secret@{places}") as client:
        await asyncio.gather(*[client.call("SET", f"{prefix}{n}", n) for n in range(30)])
        users = [talk(node.port, "CLIENT", "LIST").count("user=alice") for node in cluster.nodes]
        assert users == [1, 1, 1]
    with pytest.raises(RedisAuthenticationError, match="refused the user or password"):
        await connect(f"redis+cluster://alice:wrong@{places}").open()
    client = connect(f"redis+cluster://alice:wrong@{places}")
    with pytest.raises(RedisAuthenticationError, match="refused the user or password"):
        await client.call("GET", "k")
    await client.aclose()


async def test_a_user_with_few_rights(cluster: RedisCluster) -> None:
    """What the user may not do is refused with a reply error, whatever the way it is asked for."""
    for node in cluster.nodes:
        talk(node.port, "ACL", "SETUSER", "bob", "on", ">secret", "~*", "+@connection", "+cluster|slots")
        talk(node.port, "ACL", "SETUSER", "carol", "on", ">secret", "~*", "+@connection")
    places = cluster.url.partition("//")[2]
    async with connect(f"redis+cluster://bob:secret@{places}") as client:
        for awaitable in (client.call("GET", "k"), client.mget(["k"]), client.unlink(["k"]), anext(client.scan(b"*"))):
            with pytest.raises(RedisReplyError, match=r"NOPERM.*ACL SETUSER"):
                await awaitable
    with pytest.raises(RedisConnectionError, match=r"does not tell who serves its slots: NOPERM"):
        await connect(f"redis+cluster://carol:secret@{places}").open()


async def test_the_map_is_renewed_without_a_reason(cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client looks for changes of the cluster from time to time even when nothing seems wrong."""
    monkeypatch.setattr(topology, "_PERIOD", 0.1)
    monkeypatch.setattr(topology, "_CALM", 0.05)
    async with connect(cluster.url):
        before = calls_of(cluster, "cluster|slots")
        await until(lambda: calls_of(cluster, "cluster|slots") >= before + 3)


@pytest.mark.parametrize(
    ("settings_", "place"),
    [
        ({"cluster-preferred-endpoint-type": "unknown-endpoint"}, "localhost"),
        ({"cluster-preferred-endpoint-type": "hostname"}, "127.0.0.1"),
        ({"cluster-preferred-endpoint-type": "hostname", "cluster-announce-hostname": "localhost"}, "127.0.0.1"),
    ],
)
async def test_announced_hosts(move: Move, settings_: dict[str, str], place: str) -> None:
    """Nodes that announce no host, an unknown one or a name are found: by CLUSTER SLOTS, by MOVED and by ASK."""
    nodes = move.cluster.nodes
    try:
        for node, (name, value) in itertools.product(nodes, settings_.items()):
            assert talk(node.port, "CONFIG", "SET", name, value).startswith("+OK")
        if "cluster-announce-hostname" in settings_:
            wait_for(
                lambda: all(talk(n.port, "CLUSTER", "SLOTS").count("localhost") == 3 for n in nodes), "names known"
            )
        async with connect(f"redis+cluster://{place}:{nodes[0].port}") as client:
            await asyncio.gather(*[client.call("SET", move.key(n), n) for n in range(30)])
            move.begin()
            move.carry(10)
            assert await client.mget([move.key(n) for n in range(30)]) == [str(n).encode() for n in range(30)]
            move.carry()
            move.end()
            assert await client.call("GET", move.key(1)) == b"1"
    finally:
        for node, name in itertools.product(nodes, settings_):
            talk(node.port, "CONFIG", "SET", name, "ip" if name.endswith("type") else '""')


async def test_tls_applies_to_every_node(cluster: RedisCluster, prefix: str, tmp_path: Path) -> None:
    """With rediss+cluster:// the connections to all nodes are encrypted and their certificates checked."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", f"{tmp_path}/key", "-out", f"{tmp_path}/crt", "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    async with contextlib.AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(Proxy(node.port, tls=tls)) for node in cluster.nodes]
        announce(cluster, [proxy.port for proxy in proxies])
        try:
            seed = f"rediss+cluster://127.0.0.1:{proxies[0].port}"
            async with connect(f"{seed}/?ssl_ca_certs={tmp_path}/crt") as client:
                await asyncio.gather(*[client.call("SET", f"{prefix}{n}", n) for n in range(30)])
                assert [proxy.accepted for proxy in proxies] == [1, 1, 1]
            with pytest.raises(RedisConnectionError, match="not trusted"):
                await connect(seed).open()
        finally:
            announce(cluster, [node.port for node in cluster.nodes])


def announce(cluster: RedisCluster, ports: list[int]) -> None:
    """Let the nodes name other ports than their own, and wait until all know of all."""
    for node, port in zip(cluster.nodes, ports, strict=True):
        talk(node.port, "CONFIG", "SET", "cluster-announce-port", port)
    wait_for(
        lambda: all(f":{port}\r" in talk(node.port, "CLUSTER", "SLOTS") for node in cluster.nodes for port in ports),
        "all nodes knew the announced ports",
    )


async def test_closing(cluster: RedisCluster) -> None:
    """Closing fails what waits for a slot, answers what is under way, leaves no task, and refuses what comes later."""
    before = asyncio.all_tasks()
    client = connect(cluster.url)
    await client.open()
    under_way = asyncio.ensure_future(client.call("ECHO", "yes"))
    try:
        for node in cluster.nodes:
            node.pause()
        frozen = connect(cluster.url)
        waiting, pipeline = asyncio.ensure_future(frozen.call("GET", "k")), asyncio.ensure_future(frozen.mget(["k"]))
        await until(lambda: frozen.statistics()["queued"] == 1)
        await frozen.aclose()
    finally:
        for node in cluster.nodes:
            node.resume()
    assert waiting.done()
    for call in (waiting, pipeline):
        with pytest.raises(RedisClosedError, match="is closed"):
            await call
    await client.aclose()
    await client.aclose()
    assert await under_way == b"yes"
    for use in (lambda: client.call("GET", "k"), lambda: client.call("PING"), lambda: client.pipeline([["PING"]])):
        with pytest.raises(RedisClosedError, match="is closed"):
            await use()
    with pytest.raises(RedisClosedError):
        await client.open()
    assert asyncio.all_tasks() == before


async def test_another_event_loop_is_refused(cluster: RedisCluster) -> None:
    """A client used from another event loop says so, connected or not."""
    client = connect(cluster.url)

    async def call() -> None:
        """Use the client."""
        await client.call("GET", "k")

    for use in (lambda: asyncio.run(call()), lambda: client.call("GET", "k")):
        with pytest.raises(RedisClosedError, match="another event loop"):
            await asyncio.to_thread(use)
    await client.open()
    with pytest.raises(RedisClosedError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, call())
    await client.aclose()
