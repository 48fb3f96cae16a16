"""Show the counters of a cache to Prometheus."""

import asyncio

# --8<-- [start:import]
from prometheus_client import CollectorRegistry, generate_latest

from rustforge.cache import Cache
from rustforge.cache.metrics import prometheus_collector

# --8<-- [end:import]


async def load() -> str:
    return "hello"


async def main() -> None:
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:prometheus]
        registry = CollectorRegistry()  # or prometheus_client.REGISTRY
        registry.register(prometheus_collector(cache, "shop"))

        for _ in range(10):
            await cache.remember("greeting", 60, load)
        for line in generate_latest(registry).decode().splitlines():
            if line.startswith(("rustforge_cache_hits", "rustforge_cache_misses")):
                print(line)
        # --8<-- [end:prometheus]


asyncio.run(main())
