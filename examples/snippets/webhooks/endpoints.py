"""Let customers register endpoints, and look after them."""

import asyncio

from rustforge.boot import boot
from rustforge.notify import WebhookEndpoints


async def main() -> None:
    async with boot() as ctx:
        # --8<-- [start:add]
        async with ctx.db.transaction() as session:
            endpoints = WebhookEndpoints(session)
            endpoint = await endpoints.add(
                "https://shop.example.com/hooks",
                ["order.*", "refund.created"],
                owner="customer:7",
                description="The shop's back office",
            )
        print(endpoint.secret is not None)  # show it to the customer now
        print(endpoint.wants("order.placed"), endpoint.wants("user.created"))
        # --8<-- [end:add]

        # --8<-- [start:manage]
        async with ctx.db.transaction() as session:
            endpoints = WebhookEndpoints(session)
            await endpoints.update(endpoint.id, events=["order.placed"])
            await endpoints.disable(endpoint.id, "asked for by the customer")
            for one in await endpoints.list(owner="customer:7"):
                print(one.url, one.events, one.enabled, one.disabled_reason)
            await endpoints.enable(endpoint.id)
        # --8<-- [end:manage]

        # --8<-- [start:rotate]
        async with ctx.db.transaction() as session:
            endpoints = WebhookEndpoints(session)
            # both sign, for a day:
            secret = await endpoints.rotate_secret(endpoint.id)
            # the old ones end now:
            safe = await endpoints.rotate_secret(endpoint.id, overlap=0)
        # --8<-- [end:rotate]
        assert secret != safe

        # --8<-- [start:remove]
        async with ctx.db.transaction() as session:
            endpoints = WebhookEndpoints(session)
            print(await endpoints.remove(endpoint.id))
            print(await endpoints.get(endpoint.id))
        # --8<-- [end:remove]


asyncio.run(main())
