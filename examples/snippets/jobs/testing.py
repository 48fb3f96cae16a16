"""Test a handler, what a function dispatches, and what happens in time."""

import asyncio
from datetime import timedelta

# --8<-- [start:import]
from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Queue
from rustforge.notify import Mail, MailChannel
from rustforge.testing import job_context, run_job, time_travel

# --8<-- [end:import]

sent: list[str] = []


class SendReceipt(Job):
    NAME = "order.receipt"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        mail = Mail(
            to="ann@example.com",
            subject=f"Receipt {self.order_id}",
            text="Thank you!",
        )
        await ctx.mailer.send(mail)


class SendReminder(Job):
    NAME = "order.reminder"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        sent.append(f"reminder {self.order_id}")


async def place_order(queue: Queue, order_id: int) -> None:
    await SendReceipt(order_id=order_id).dispatch(queue)
    await SendReminder(order_id=order_id).dispatch(queue, timedelta(days=3))


# --8<-- [start:handler]
async def test_the_receipt_is_sent() -> None:
    ctx = job_context(mailer=MailChannel("memory:"))
    await run_job(SendReceipt(order_id=7), ctx)
    ctx.mailer.kept.assert_sent(to="ann@example.com", subject="Receipt 7")


# --8<-- [end:handler]
# --8<-- [start:pushed]
async def test_an_order_brings_its_jobs() -> None:
    async with boot() as ctx:
        with ctx.queue.fake() as queue:
            await place_order(ctx.queue, 7)
        queue.assert_pushed(
            SendReceipt, times=1, where=lambda job: job.order_id == 7
        )


# --8<-- [end:pushed]
# --8<-- [start:time]
async def test_the_reminder_comes_after_three_days() -> None:
    async with time_travel(registry=[SendReminder]) as time:
        await SendReminder(order_id=7).dispatch(time.ctx.queue, timedelta(days=3))
        await time.travel(timedelta(days=2))
        assert "reminder 7" not in sent
        await time.travel(timedelta(days=1))
        assert "reminder 7" in sent


# --8<-- [end:time]


async def main() -> None:
    await test_the_receipt_is_sent()
    await test_an_order_brings_its_jobs()
    await test_the_reminder_comes_after_three_days()


asyncio.run(main())
