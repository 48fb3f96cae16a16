"""What removing many keys does to everybody else: another client asks all the time how long the server takes."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.bench import Bench, Contender, summarise
from benchmarks.children import Child, ChildError, run, say
from benchmarks.clients import find
from benchmarks.data import TEXT
from benchmarks.server import RedisServer, ask

if TYPE_CHECKING:
    from benchmarks.scale import Scale

START = "page:"
PROBE_PAUSE = 0.0005
SETTLE = 0.1
"""How long the probe goes on before and after."""
QUIET = 1.0
"""How long the probe runs where nothing is flushed."""

WEIGHED = 9
"""For each key that is flushed, so many others are there while the memory is looked at."""

NOTHING = Contender("No flush", "rustforge", "nothing")
CONTENDERS = (
    NOTHING,
    Contender("Rustforge flush_prefix", "rustforge", "flush"),
    Contender("redis-py KEYS, DEL", "redis_py", "flush_keys"),
    Contender("redis-py scan_iter, DEL", "redis_py", "flush_scan"),
    Contender("cashews delete_match", "cashews", "flush"),
    Contender("aiocache clear(namespace)", "aiocache", "flush"),
)
"""The first one is how the machine behaves when nothing is removed."""


async def measure(bench: Bench) -> list[dict[str, Any]]:
    """Flush the same keys by each client in turn, and by none, while another process asks the server."""
    scale = bench.scale
    contenders = bench.take(CONTENDERS)
    found: dict[Contender, list[dict[str, Any]]] = {contender: [] for contender in contenders}
    heap: dict[Contender, int] = {}
    with RedisServer() as server:
        _pin(0, server.pid)
        with suppress(OSError, AttributeError):  # so that other programs of the machine disturb it less
            os.setpriority(os.PRIO_PROCESS, server.pid, -10)
        ask(
            server.port,
            ("CONFIG", "SET", "slowlog-log-slower-than", 50),
            ("CONFIG", "SET", "slowlog-max-len", 100_000),
            ("DEBUG", "POPULATE", scale.keys - scale.flushed, "other", 100),
        )
        for _ in bench.rounds("Flush", 85):
            for contender in tuple(contenders):
                try:
                    found[contender].append(await _flush_once(scale, contender, server))
                except ChildError as error:
                    bench.drop(contenders, contender, error)
        ask(server.port, ("FLUSHALL",), ("DEBUG", "POPULATE", scale.flushed * WEIGHED, "other", 100))
        for contender in tuple(contenders):
            try:
                heap[contender] = await _weigh(scale, contender, server)
            except ChildError as error:
                bench.drop(contenders, contender, error)
    return [
        {
            "client": contender.label,
            "key": contender.key,
            "heap_bytes": heap[contender],
            **{name: summarise([one[name] for one in found[contender]], 3) for name in found[contender][0]},
        }
        for contender in contenders
    ]


def _fill(scale: Scale, server: RedisServer) -> None:
    """Put the keys there that will be flushed; the server forgets what was slow before."""
    pairs = [word for number in range(scale.flushed) for word in (f"bench:{START}{number}", TEXT)]
    ask(server.port, ("MSET", *pairs), ("SLOWLOG", "RESET"))


def _check(scale: Scale, server: RedisServer) -> None:
    [left] = ask(server.port, ("DBSIZE",))
    if left != scale.keys - scale.flushed:
        msg = f"{left} keys are left, not {scale.keys - scale.flushed}"
        raise ChildError(msg)


async def _flush_once(scale: Scale, contender: Contender, server: RedisServer) -> dict[str, float]:
    """Probe the server while one client flushes."""
    _fill(scale, server)
    child = {"module": contender.module, "function": contender.function}
    async with Child("flush", url=server.url) as prober, Child("flush", url=server.url, **child) as flusher:
        await asyncio.gather(prober.wait_for("ready"), flusher.wait_for("ready"))
        prober.send("go")
        await asyncio.sleep(SETTLE)
        flusher.send("go")
        flushed = await flusher.result()
        await asyncio.sleep(SETTLE)
        prober.send("stop")
        samples = await prober.result()
    if contender is not NOTHING:
        _check(scale, server)
    [slow] = ask(server.port, ("SLOWLOG", "GET", -1))
    during = [1000 * took for began, took in samples if began + took > flushed["began"] and began < flushed["ended"]]
    cuts = quantiles(during, n=1000, method="inclusive") if len(during) > 1 else during * 999
    return {
        "seconds": flushed["ended"] - flushed["began"],
        "p50_ms": cuts[499],
        "p99_ms": cuts[989],
        "p999_ms": cuts[998],
        "max_ms": max(during),
        "over_5_ms": sum(took > 5 for took in during),
        "probes": len(during),
        "longest_command_ms": max((entry[2] for entry in slow), default=0) / 1000,
        "memory_bytes": flushed["memory"],
    }


async def _weigh(scale: Scale, contender: Contender, server: RedisServer) -> int:
    """Flush once more, counting the memory that Python objects take at most, which would slow a measured flush."""
    if contender is NOTHING:
        return 0
    _fill(scale, server)
    async with Child(
        "flush", url=server.url, module=contender.module, function=contender.function, trace=True
    ) as child:
        await child.wait_for("ready")
        child.send("go")
        flushed = await child.result()
    return int(flushed["heap"])


def work(url: str, module: str = "", function: str = "", *, trace: bool = False) -> Any:
    """In a child: flush if a client is named, else probe."""
    port = urlsplit(url).port
    if not module:
        return _probe(port)
    return run(_flush(url, module, function, trace=trace))


def _probe(port: int | None) -> list[tuple[float, float]]:
    """Ask PING and GET in turn, and note when and how long each took."""
    samples: list[tuple[float, float]] = []
    questions = (b"PING\r\n", b"GET bench:probe\r\n")
    _pin(1)
    _be_first()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        say("ready")
        sys.stdin.readline()
        while not select.select([sys.stdin], [], [], 0)[0]:
            began = time.monotonic()
            connection.sendall(questions[len(samples) % 2])
            connection.recv(256)
            samples.append((began, time.monotonic() - began))
            time.sleep(PROBE_PAUSE)
    return samples


async def _flush(url: str, module: str, function: str, *, trace: bool) -> dict[str, float]:
    """Flush when told to, and say when that was and how much memory it took."""
    _pin(1)
    flush = find(module, function) if function != NOTHING.function else None
    start = await flush(url, START) if flush else None
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    before = _begin_peak()
    if trace:
        tracemalloc.start()
    began = time.monotonic()
    if start is None:
        await asyncio.sleep(QUIET)
    else:
        await start()
    ended = time.monotonic()
    heap = tracemalloc.get_traced_memory()[1] if trace else 0
    return {"began": began, "ended": ended, "memory": max(0, _peak() - before), "heap": heap}


def _pin(core: int, process: int = 0) -> None:
    """Keep a process on one core where there are several; the server has one, those who ask have the other."""
    if hasattr(os, "sched_setaffinity"):
        available = sorted(os.sched_getaffinity(0))
        if len(available) > core:
            os.sched_setaffinity(process, {available[core]})


def _be_first() -> None:
    """Run before others on this core, as far as the system lets us, so that the probe waits for the server only."""
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        return
    with suppress(OSError):
        os.nice(-10)


def _begin_peak() -> int:
    """Let the peak of this process's memory start anew where the system can; return the memory in use now."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _peak() -> int:
    return _memory("VmHWM")


def _memory(field: str) -> int:
    """Read a line of the system's account of this process; 0 where it keeps none."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0
