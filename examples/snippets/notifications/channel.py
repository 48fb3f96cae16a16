"""Send text messages: a channel of the application's own."""

import asyncio
import logging
from typing import ClassVar

from rustforge.boot import BootContext, boot

# --8<-- [start:import]
from rustforge.errors import DeliveryRefusedError
from rustforge.jobs import JobContext, OutboxFlusher, Worker
from rustforge.notify import (
    Deliveries,
    Delivery,
    DeliveryJob,
    SkipDelivery,
    Target,
    fan_out,
)

# --8<-- [end:import]

logging.getLogger("rustforge").setLevel(logging.CRITICAL)


class SmsGateway:
    """What the makers of a gateway give to its users."""

    async def send(self, to: str, text: str, idempotency_key: str) -> int:
        if to == "+0":
            return 404
        print(f"to {to}: {text}")
        return 202


# --8<-- [start:channel]
class DeliverSms(DeliveryJob):
    NAME: ClassVar[str] = "shop.deliver_sms"
    CHANNEL: ClassVar[str] = "sms"

    @classmethod
    def target(cls, number: str, text: str) -> Target:
        return Target(cls.CHANNEL, number, {"text": text}, cls)

    async def send(self, delivery: Delivery, ctx: JobContext) -> int:
        if delivery.target in ctx.extensions["stop_list"]:
            raise SkipDelivery("the customer wants no text messages")
        gateway: SmsGateway = ctx.extensions["sms"]
        text = delivery.message["text"]
        status = await gateway.send(
            delivery.target, text, idempotency_key=delivery.id
        )
        if status == 404:
            raise DeliveryRefusedError("there is no such number", status)
        return status


# --8<-- [end:channel]


async def shipped(ctx: BootContext, order_id: int) -> None:
    # --8<-- [start:use]
    async with ctx.db.transaction() as session:
        await fan_out(
            session,
            "order.shipped",
            [
                DeliverSms.target(number, f"Order {order_id} is on its way.")
                for number in ("+1555", "+0", "+1777")
            ],
            event_id=f"order-shipped:{order_id}",
        )
    # --8<-- [end:use]


async def main() -> None:
    extensions = {"sms": SmsGateway(), "stop_list": {"+1777"}}
    async with boot(extensions=extensions) as ctx:
        await shipped(ctx, 7)
        await OutboxFlusher(ctx).flush()  # by itself it comes a moment later
        await Worker(ctx).register(DeliverSms).run_until_empty()
        # --8<-- [start:look]
        page = await Deliveries(ctx.db).list(channel="sms")
        for one in sorted(page.items, key=lambda one: one.target):
            print(one.target, one.status, one.response_status, one.last_error)
        # --8<-- [end:look]


asyncio.run(main())
