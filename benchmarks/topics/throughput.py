"""How many reads a second: text, models, values in the near cache, and in the process without a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, TypedDict

from benchmarks.bench import Bench, Contender, summarise
from benchmarks.children import Child, ChildError, run
from benchmarks.clients import BASELINE, find
from benchmarks.server import RedisServer, ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.data import Target

BLOCK = 10
"""A task looks at the clock once in so many calls."""


class Measured(TypedDict):
    """What was measured of one client with one number of tasks.

    Attributes:
        speed: Calls a second.
        cpu: Microseconds of processor time that one call takes in the client's process, all its threads together.
    """

    speed: float
    cpu: float


@dataclass(frozen=True)
class Suite:
    """Clients that are measured side by side.

    Attributes:
        groups: A table each, by the number of concurrent tasks.
        seconds: How long all rounds may take.
        contenders: The clients; the ratios are to redis-py's.
    """

    groups: dict[int, str]
    seconds: float
    contenders: tuple[Contender, ...]


SUITES = (
    Suite(
        {1: "GET of 100 bytes, one task", 100: "GET of 100 bytes, 100 tasks"},
        110,
        (
            Contender("redis-py", BASELINE, "get"),
            Contender("Rustforge, bare client", "rustforge", "call"),
            Contender("Rustforge Cache.get", "rustforge", "get"),
            Contender("cashews", "cashews", "get"),
            Contender("aiocache", "aiocache", "get"),
            Contender("valkey-glide", "glide", "get"),
            Contender("coredis", "coredis", "get"),
        ),
    ),
    Suite(
        {100: "A model of 1 KB that is there, 100 tasks"},
        65,
        (
            Contender("redis-py, JSON by hand", BASELINE, "model"),
            Contender("Rustforge remember", "rustforge", "remember"),
            Contender("Rustforge @cached", "rustforge", "decorated"),
            Contender("cashews get_or_set", "cashews", "get_or_set"),
            Contender("cashews @cache", "cashews", "decorated"),
            Contender("aiocache @cached", "aiocache", "decorated"),
        ),
    ),
    Suite(
        {1: "Near cache, one task"},
        60,
        (
            Contender("redis-py, no near cache", BASELINE, "get"),
            Contender("Rustforge Cache.get", "rustforge", "near"),
            Contender("Rustforge remember, model", "rustforge", "remember_near"),
            Contender("cashews get", "cashews", "near"),
            Contender("cashews get_or_set, model", "cashews", "get_or_set_near"),
            Contender("coredis", "coredis", "near"),
        ),
    ),
    Suite(
        {1: "In the process without a server, one task"},
        50,
        (
            Contender("redis-py, with a server", BASELINE, "get"),
            Contender("Rustforge memory://, bare client", "rustforge", "memory_call"),
            Contender("Rustforge memory://, Cache.get", "rustforge", "memory"),
            Contender("fakeredis", "fakeredis", "memory"),
            Contender("burner-redis", "burner_redis", "memory"),
        ),
    ),
)


async def measure(bench: Bench) -> list[dict[str, Any]]:
    """Measure every suite: round after round, one client after the other, each in a new process."""
    with RedisServer() as server:
        return [row for suite in SUITES for row in await _measure_suite(bench, suite, server)]


async def _measure_suite(bench: Bench, suite: Suite, server: RedisServer) -> list[dict[str, Any]]:
    contenders = bench.take(suite.contenders)
    found: dict[Contender, list[dict[str, Measured]]] = {contender: [] for contender in contenders}
    for _ in bench.rounds(next(iter(suite.groups.values())), suite.seconds):
        for contender in tuple(contenders):
            ask(server.port, ("FLUSHALL",))
            options = {
                "module": contender.module,
                "function": contender.function,
                "url": server.url,
                "tasks": list(suite.groups),
                "seconds": bench.scale.seconds,
                "warm_up": bench.scale.warm_up,
            }
            try:
                async with Child("throughput", **options) as child:
                    found[contender].append(await child.result())
            except ChildError as error:
                bench.drop(contenders, contender, error)
    baseline = next(contender for contender in contenders if contender.module == BASELINE)
    return [
        {
            "group": group,
            "client": contender.label,
            "key": contender.key,
            **_row(found, contender, baseline, str(tasks)),
        }
        for tasks, group in suite.groups.items()
        for contender in contenders
    ]


def _row(
    found: dict[Contender, list[dict[str, Measured]]], contender: Contender, baseline: Contender, tasks: str
) -> dict[str, Any]:
    """Sum up the rounds of one client; each is compared with redis-py's in the same round."""
    speeds = [one[tasks]["speed"] for one in found[contender]]
    speed = summarise(speeds)
    ratio = summarise([own / one[tasks]["speed"] for own, one in zip(speeds, found[baseline], strict=True)], 3)
    return {
        "ops_per_second": speed["median"],
        "ratio": ratio["median"],
        "speed": speed,
        "ratios": ratio,
        "cpu_microseconds": summarise([one[tasks]["cpu"] for one in found[contender]], 2),
    }


def work(
    *, module: str, function: str, url: str, tasks: Sequence[int], seconds: float, warm_up: float
) -> dict[int, Measured]:
    """In the child: measure one client with each number of tasks."""

    async def measure_all() -> dict[int, Measured]:
        async with find(module, function)(url) as target:
            found = await target.call(target.arguments[0])
            if found != target.expected:
                msg = f"{module}.{function} returned {found!r}"
                raise AssertionError(msg)
            measured = {}
            for number in tasks:
                await run_tasks(target, number, warm_up)
                measured[number] = await run_tasks(target, number, seconds)
            return measured

    return run(measure_all())


async def run_tasks(target: Target, tasks: int, seconds: float) -> Measured:
    """Call it from so many tasks at once, each with arguments of its own."""
    share = len(target.arguments) // tasks
    call = target.call

    async def one(own: Sequence[Any]) -> int:
        blocks = cycle([own[start : start + BLOCK] for start in range(0, len(own), BLOCK)])
        done = 0
        while perf_counter() < end:
            for argument in next(blocks):
                await call(argument)
            done += BLOCK
        return done

    began, cpu_began = perf_counter(), process_time()
    end = began + seconds
    done = sum(
        await asyncio.gather(
            *[one(target.arguments[start : start + share]) for start in range(0, share * tasks, share)]
        )
    )
    took, cpu = perf_counter() - began, process_time() - cpu_began
    return {"speed": max(done, 1) / took, "cpu": 1e6 * cpu / max(done, 1)}
