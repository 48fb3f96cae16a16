"""Tell all who want to know, in the transaction in which it happens."""

import asyncio

# --8<-- [start:fan-out]
from rustforge.boot import BootContext, boot
from rustforge.jobs import OutboxFlusher, Worker
from rustforge.notify import Deliveries, DeliverWebhook, WebhookEndpoints, fan_out


async def place_order(ctx: BootContext, order_id: int, customer: str) -> None:
    async with ctx.db.transaction() as session:
        # ... insert the order ...
        endpoints = WebhookEndpoints(session)
        targets = await endpoints.targets(
            "order.placed", {"id": order_id}, owner=customer
        )
        await fan_out(
            session, "order.placed", targets, event_id=f"order-placed:{order_id}"
        )


# --8<-- [end:fan-out]
async def main() -> None:
    async with boot() as ctx:
        async with ctx.db.transaction() as session:
            endpoints = WebhookEndpoints(session)
            for name in ("shop", "gone"):
                url = f"https://{name}.example.com/hooks"
                await endpoints.add(url, owner="customer:7")
        # --8<-- [start:work]
        await place_order(ctx, 7, "customer:7")
        await OutboxFlusher(ctx).flush()
        await Worker(ctx).register(DeliverWebhook).run_until_empty()
        for one in (await Deliveries(ctx.db).list(channel="webhook")).items:
            print(one.status, one.response_status, one.last_error)
        # --8<-- [end:work]
        # --8<-- [start:disabled]
        async with ctx.db.reading() as session:
            for endpoint in await WebhookEndpoints(session).list(enabled=False):
                print(endpoint.url, endpoint.disabled_reason)
        # --8<-- [end:disabled]


from rustforge.testing import OutboundHttp  # noqa: E402 - there are no such shops

http = OutboundHttp()
http.respond("POST", "https://shop.example.com/*")
http.respond("POST", "https://gone.example.com/*", status=410)
with http.block():
    asyncio.run(main())
