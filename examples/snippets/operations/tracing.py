"""One trace from the request to the handler."""

import asyncio

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker

# --8<-- [start:import]
from rustforge.jobs.tracing import trace_enqueueing, trace_runs

# --8<-- [end:import]


class SendReceipt(Job):
    NAME = "order.receipt"

    async def handle(self, ctx: JobContext) -> None: ...


async def main() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    async with boot() as ctx:
        # --8<-- [start:tracing]
        trace_enqueueing()  # where jobs are dispatched
        worker = Worker(ctx, middleware=[trace_runs()])  # where they run
        # --8<-- [end:tracing]
        worker.register(SendReceipt)
        with trace.get_tracer("shop").start_as_current_span("POST /orders"):
            await SendReceipt().dispatch(ctx.queue)
        await worker.run_until_empty()
    spans = exporter.get_finished_spans()
    print(*[span.name for span in spans], sep="\n")
    assert len({span.context.trace_id for span in spans if span.context}) == 1


asyncio.run(main())
