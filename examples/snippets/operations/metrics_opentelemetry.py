"""Tell OpenTelemetry how queues stand and what workers do."""

import asyncio

from opentelemetry import metrics as otel
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from rustforge.boot import BootContext, boot

# --8<-- [start:import]
from rustforge.jobs.metrics import JobMetrics, observe_opentelemetry

# --8<-- [end:import]


reader = InMemoryMetricReader()
otel.set_meter_provider(MeterProvider([reader]))


async def report(ctx: BootContext) -> None:
    # --8<-- [start:metrics]
    async with JobMetrics(ctx.queue, ["default"]) as metrics:
        observe_opentelemetry(metrics, otel.get_meter("shop"))
        # --8<-- [end:metrics]
        assert reader.get_metrics_data()


async def main() -> None:
    async with boot() as ctx:
        await report(ctx)


asyncio.run(main())
