"""How long an import takes in a new interpreter."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Contender, summarise
from benchmarks.children import ROOT

if TYPE_CHECKING:
    from benchmarks.bench import Bench

STATEMENTS = {
    Contender("redis.asyncio and pydantic", "redis_py", "imports"): "import redis.asyncio, pydantic",
    Contender("rustforge.cache", "rustforge", "imports"): "import rustforge.cache",
    Contender("cashews", "cashews", "imports"): "import cashews",
    Contender("aiocache", "aiocache", "imports"): "import aiocache, aiocache.backends.redis",
}
"""The first one is what the others are compared with: what a service with Redis and pydantic imports anyway."""
PROGRAM = "from time import perf_counter as now; began = now(); {}; print(now() - began)"


async def measure(bench: Bench) -> list[dict[str, Any]]:
    """Import each in turn, in a new interpreter every time; a first round, uncounted, makes the byte code."""
    contenders = bench.take(STATEMENTS)
    found: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    for contender in contenders:
        await _run(PROGRAM.format(STATEMENTS[contender]))
    for _ in bench.rounds("Imports", 30, bench.scale.imports):
        for contender in contenders:
            found[contender].append(await _run(PROGRAM.format(STATEMENTS[contender])))
    baseline = found[contenders[0]]
    return [
        {
            "client": contender.label,
            "key": contender.key,
            "milliseconds": summarise([1000 * value for value in found[contender]], 1),
            "ratio": summarise([own / one for own, one in zip(found[contender], baseline, strict=True)], 3),
        }
        for contender in contenders
    ]


async def _run(program: str) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return float(output)
