"""Report the counters of a cache to OpenTelemetry."""

import asyncio

from opentelemetry.metrics import get_meter, set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from rustforge.cache import Cache
from rustforge.cache.metrics import observe_opentelemetry


async def load() -> str:
    return "hello"


async def main() -> None:
    reader = InMemoryMetricReader()
    set_meter_provider(MeterProvider([reader]))
    async with Cache.connect("memory://", prefix="shop") as cache:
        # --8<-- [start:observe]
        observe_opentelemetry(cache, get_meter("shop"), "shop")
        # --8<-- [end:observe]
        for _ in range(10):
            await cache.remember("greeting", 60, load)

        data = reader.get_metrics_data()
        assert data is not None
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            for point in metric.data.data_points:
                assert isinstance(point, NumberDataPoint)
                if metric.name in {
                    "rustforge.cache.hits",
                    "rustforge.cache.misses",
                }:
                    print(metric.name, dict(point.attributes or {}), point.value)


asyncio.run(main())
