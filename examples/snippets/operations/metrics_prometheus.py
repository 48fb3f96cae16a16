"""Tell Prometheus how queues stand and what workers do."""

import asyncio

# --8<-- [start:import]
from prometheus_client import REGISTRY, generate_latest

from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker
from rustforge.jobs.metrics import JobMetrics, prometheus_collector

# --8<-- [end:import]


class CheckFeed(Job):
    NAME = "feed.check"

    async def handle(self, ctx: JobContext) -> None: ...


async def main() -> None:
    async with boot() as ctx:
        worker = Worker(ctx).register(CheckFeed)
        await ctx.queue.push_many([CheckFeed(), CheckFeed()])
        # --8<-- [start:metrics]
        async with JobMetrics(ctx.queue) as metrics:
            metrics.watch(worker)
            REGISTRY.register(prometheus_collector(metrics))
            await worker.run_until_empty()
            # --8<-- [end:metrics]
            await metrics.refresh()
            for line in generate_latest(REGISTRY).decode().splitlines():
                if line.startswith(
                    ("rustforge_jobs_runs_total", "rustforge_jobs_depth")
                ):
                    print(line)


asyncio.run(main())
