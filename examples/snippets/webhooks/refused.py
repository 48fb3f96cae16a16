"""See which URLs are refused, and why."""

import asyncio

# --8<-- [start:refused]
from rustforge.errors import WebhookAddressError
from rustforge.notify import WebhookChannel


async def main() -> None:
    async with WebhookChannel() as webhooks:
        for url in (
            "http://shop.example.com/hooks",
            "https://user:secret@shop.example.com/hooks",
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:10.0.0.7]/",
            "https://[64:ff9b::7f00:1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://redis/",
            "https://metadata.google.internal/",
        ):
            try:
                await webhooks.check(url)
            except WebhookAddressError as error:
                print(error)


# --8<-- [end:refused]
asyncio.run(main())
