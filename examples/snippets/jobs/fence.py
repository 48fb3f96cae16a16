"""Make a handler idempotent: a key for other services, a fence for your rows."""

import asyncio

# --8<-- [start:fence]
from sqlalchemy import text

from rustforge.boot import BootContext, boot
from rustforge.jobs import Job, JobContext, Worker

CREATE = "CREATE TABLE orders (id INTEGER, receipt TEXT, fence BIGINT DEFAULT 0)"
UPDATE = text(
    "UPDATE orders SET receipt = :receipt, fence = :fence"
    " WHERE id = :id AND fence < :fence"
)


class ChargeOrder(Job):
    NAME = "order.charge"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        # The bank sees the same key in every run of this job, and charges once.
        receipt = await charge(self.order_id, idempotency_key=ctx.job_id)

        # A run that was given up, and wakes up late, finds a higher fence here.
        row = {"id": self.order_id, "receipt": receipt, "fence": ctx.fence}
        async with ctx.db.transaction() as session:
            changed = (await session.execute(UPDATE, row)).rowcount
        print("run", ctx.fence, "wrote" if changed else "came too late")


# --8<-- [end:fence]

charged: dict[str, str] = {}


async def charge(order_id: int, *, idempotency_key: str) -> str:
    return charged.setdefault(idempotency_key, f"receipt of order {order_id}")


async def prepare(ctx: BootContext) -> None:
    async with ctx.db.transaction() as session:
        await session.execute(text(CREATE))
        await session.execute(text("INSERT INTO orders (id) VALUES (7)"))


async def main() -> None:
    async with boot() as ctx:
        await prepare(ctx)
        await Worker(ctx).register(ChargeOrder).run_until_empty()
        job = ChargeOrder(order_id=7)
        for fence in (1, 2, 1):  # the first run, a second one, and the first again
            run = JobContext(
                ctx,
                job_id="a1",
                job_name=job.NAME,
                queue_name="default",
                fence=fence,
            )
            await job.handle(run)
        assert len(charged) == 1


asyncio.run(main())
