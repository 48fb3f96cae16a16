"""Alert several services, of which all are away."""

import asyncio
import logging

# --8<-- [start:services]
from rustforge.errors import NotifyError
from rustforge.notify import AlertChannel


async def main() -> None:
    urls = ["json://user:s3cret@127.0.0.1:9/alerts", "json://127.0.0.1:9"]
    async with AlertChannel(urls, timeout=10) as alerts:
        try:
            result = await alerts.send("The disk is full", level="warning")
            print(result.delivered, result.failed)
        except NotifyError as error:
            print(error)


# --8<-- [end:services]

logging.disable()
asyncio.run(main())
