"""What the server itself can do: its own benchmark, which is a C program that only counts replies."""

from __future__ import annotations

import asyncio
import csv
import io
import shutil
from typing import TYPE_CHECKING, Any

from benchmarks.bench import summarise
from benchmarks.server import RedisServer, ask

if TYPE_CHECKING:
    from benchmarks.bench import Bench

LIMIT_LABEL = "The limit of the server"
KINDS = (
    ("one", "One connection, one command at a time", 1, 1, 15),
    ("pool", "100 connections, each one command at a time", 100, 1, 50),
    ("pipeline", "One connection, 100 commands at a time", 1, 100, 800),
)
"""Each a name, a label, the connections, the commands under way on each, and its share of the requests."""


async def measure(bench: Bench) -> list[dict[str, Any]]:
    """Run the server's benchmark with one command at a time and with many."""
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if program is None:
        bench.skipped[LIMIT_LABEL] = "neither redis-benchmark nor valkey-benchmark is on PATH"
        return []
    found: dict[str, list[float]] = {name: [] for name, *_ in KINDS}
    with RedisServer() as server:
        ask(server.port, ("SET", "bench:page:0", "x" * 100))
        for _ in bench.rounds(LIMIT_LABEL, 15):
            for name, _, connections, depth, share in KINDS:
                requests = max(bench.scale.limit_requests * share, 2_000)
                command = f"-p {server.port} -c {connections} -P {depth} -n {requests} --csv GET bench:page:0"
                found[name].append(await _run(program, *command.split()))
    return [{"name": name, "label": label, **summarise(found[name])} for name, label, *_ in KINDS]


async def _run(program: str, *arguments: str) -> float:
    """Run it once; return the requests a second."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    [row] = [row for row in csv.reader(io.StringIO(output.decode())) if row and row[0] != "test"]
    return float(row[1])
