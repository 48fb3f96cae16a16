"""Send one webhook, and tell apart what became of it."""

import asyncio

# --8<-- [start:send]
from rustforge.errors import WebhookAddressError, WebhookError
from rustforge.notify import WebhookChannel
from rustforge.notify.webhook import new_secret

SECRET = new_secret()  # "whsec_...", which the receiver has, too


async def send(webhooks: WebhookChannel, url: str) -> None:
    event = {"type": "order.placed", "data": {"id": 7}}
    try:
        status = await webhooks.send(
            url, event, secrets=SECRET, event_id="order-placed:7"
        )
        print("received:", status)
    except WebhookError as error:
        print("not now:", error, error.retry_after)
    except WebhookAddressError as error:
        print("never:", error)


async def main() -> None:
    async with WebhookChannel() as webhooks:
        await send(webhooks, "https://shop.example.com/hooks")
        await send(webhooks, "https://busy.example.com/hooks")
        await send(webhooks, "https://127.0.0.1/hooks")


# --8<-- [end:send]
from rustforge.testing import OutboundHttp  # noqa: E402 - there is no such shop

http = OutboundHttp()
http.respond("POST", "https://shop.example.com/*", status=204)
http.respond(
    "POST", "https://busy.example.com/*", status=503, headers={"Retry-After": "120"}
)
with http.block():
    asyncio.run(main())
