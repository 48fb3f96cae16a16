"""The processes that send: a bare loop of httpx2, and a worker of ours."""

from __future__ import annotations

import asyncio
import gc
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Self

from benchmarks.children import run

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT = "order.placed"
DATA = {"id": "2f8c1a34-6b1e-4c53-9a27-0d6b1f0c9e55", "total_cents": 4999, "currency": "EUR", "items": ["A-1", "B-22"]}


def bare(*, port: int, endpoints: int, events: int, concurrency: int) -> dict[str, Any]:
    """In a child: post the same body with the same headers to each endpoint, by so many tasks."""

    async def go() -> dict[str, Any]:
        import httpx2  # noqa: PLC0415 - of the children only

        from rustforge.notify.webhook import new_secret, sign  # noqa: PLC0415

        body = b'{"type":"order.placed","timestamp":"2026-11-29T12:00:00.000Z","data":' + _json(DATA) + b"}"
        secret = new_secret()

        async def work(client: httpx2.AsyncClient, urls: Iterator[str], headers: dict[str, str]) -> None:
            for url in urls:
                answer = await client.post(url, content=body, headers=headers)
                answer.raise_for_status()

        async def send(client: httpx2.AsyncClient, count: int, first: int) -> None:
            for event in range(first, first + count):
                headers = sign(body, secret, webhook_id=f"evt_{event}")
                headers |= {"x-idempotency-key": f"evt_{event}", "content-type": "application/json"}
                urls = iter([f"http://127.0.0.1:{port}/hooks/{number}" for number in range(endpoints)])
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(concurrency):
                        tasks.create_task(work(client, urls, headers))

        limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx2.AsyncClient(limits=limits, headers={"user-agent": "Rustforge-Webhooks/1"}) as client:
            await send(client, 1, 0)
            with _Watch() as watch:
                await send(client, events, 1)
        return watch.result(endpoints * events)

    return run(go())


def ours(*, port: int, endpoints: int, events: int, concurrency: int, redis: str, database: str) -> dict[str, Any]:
    """In a child: fan events out, then let a worker deliver them."""

    async def go() -> dict[str, Any]:
        from rustforge.boot import boot  # noqa: PLC0415
        from rustforge.jobs import OutboxFlusher, Worker  # noqa: PLC0415
        from rustforge.notify import Deliveries, DeliverWebhook, WebhookEndpoints, fan_out  # noqa: PLC0415
        from rustforge.settings import Settings  # noqa: PLC0415

        settings = Settings(redis_url=redis, database_url=database, webhook_allow_private=True)
        async with boot(settings) as ctx:
            await ctx.db.upgrade()
            async with ctx.db.transaction() as session:
                known = WebhookEndpoints(session, allow_private=True)
                for number in range(endpoints):
                    await known.add(f"http://127.0.0.1:{port}/hooks/{number}")
            worker = Worker(ctx, concurrency=concurrency, registry=[DeliverWebhook])

            async def announce(count: int) -> float:
                began = perf_counter()
                for _ in range(count):
                    async with ctx.db.transaction() as session:
                        targets = await WebhookEndpoints(session).targets(EVENT, DATA)
                        await fan_out(session, EVENT, targets)
                seconds = perf_counter() - began
                await OutboxFlusher(ctx).flush()
                return seconds / count

            await announce(1)
            await worker.run_until_empty()
            seconds = await announce(events)
            worker = Worker(ctx, concurrency=concurrency, registry=[DeliverWebhook])
            with _Watch() as watch:
                await worker.run_until_empty()
            sent = (await Deliveries(ctx.db).count())["sent"]
        return watch.result(endpoints * events) | {"fan_out_ms": 1000 * seconds, "sent": sent}

    return run(go())


class _Watch:
    """Takes the time of a block, and the processor time of this process."""

    def __enter__(self) -> Self:
        gc.collect()
        self._cpu, self._began = process_time(), perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds, self._cpu = perf_counter() - self._began, process_time() - self._cpu

    def result(self, count: int) -> dict[str, Any]:
        """Count by the second, and the microseconds of each."""
        return {"speed": count / self._seconds, "cpu": 1e6 * self._cpu / count}


def _json(value: object) -> bytes:
    from rustforge import codec  # noqa: PLC0415

    return codec.encode(value)


def work(*, way: str, **options: Any) -> dict[str, Any]:
    """In a child: send in one of the ways."""
    return bare(**options) if way == "bare" else ours(**options)
