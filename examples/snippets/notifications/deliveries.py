"""Look at what was delivered, and try again what was not."""

import asyncio
import logging
import sys
from datetime import timedelta

from rustforge.boot import BootContext, boot

# --8<-- [start:import]
from rustforge.jobs import FailedJobs, JobContext, OutboxFlusher, Worker
from rustforge.notify import (
    Deliveries,
    DeliverMail,
    Delivery,
    Mail,
    MailChannel,
    fan_out,
)

# --8<-- [end:import]

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
logging.getLogger("rustforge.job").setLevel("CRITICAL")

down = {"mail server"}


# --8<-- [start:subclass]
class DeliverOrderMail(DeliverMail):
    NAME = "shop.deliver_order_mail"
    QUEUE = "orders"

    def max_retries(self) -> int:
        return 1

    async def failed(self, ctx: JobContext, error: str) -> None:
        await super().failed(ctx, error)  # marks the delivery
        await ctx.alerts.send("An order was not confirmed", error)

    # --8<-- [end:subclass]

    def backoff(self, attempt: int) -> float:
        return 0

    async def send(self, delivery: Delivery, ctx: JobContext) -> None:
        if down and delivery.target == "ben@example.com":
            raise ConnectionError("the mail server is away")
        await super().send(delivery, ctx)


async def announce(ctx: BootContext) -> None:
    mails = [
        Mail(to=to, subject="Your order 7", text="It is paid. Thank you!")
        for to in ("ann@example.com", "ben@example.com")
    ]
    async with ctx.db.transaction() as session:
        # --8<-- [start:use]
        targets = [MailChannel.target(one, job=DeliverOrderMail) for one in mails]
        await fan_out(session, "order.paid", targets, event_id="order-paid:7")
        # --8<-- [end:use]
    await OutboxFlusher(ctx).flush()


async def main() -> None:
    async with boot() as ctx:
        worker = Worker(ctx, ["orders"]).register(DeliverOrderMail)
        await announce(ctx)
        await worker.run_until_empty()
        # --8<-- [start:list]
        deliveries = Deliveries(ctx.db)
        print(await deliveries.count(event_id="order-paid:7"))
        page = await deliveries.list(status="failed", channel="mail", limit=10)
        for one in page.items:
            print(one.event, one.target, one.attempts, one.last_error)
        # --8<-- [end:list]
        down.clear()
        # --8<-- [start:retry]
        for one in page.items:
            await FailedJobs(ctx.db).retry(one.id, ctx.queue)
        await worker.run_until_empty()
        again = await deliveries.get(page.items[0].id)
        print(again and again.status)
        # --8<-- [end:retry]
        # --8<-- [start:prune]
        await deliveries.prune(older_than=timedelta(days=90))
        # --8<-- [end:prune]


asyncio.run(main())
