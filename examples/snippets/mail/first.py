"""Send the first mail, without a server."""

# --8<-- [start:first]
import asyncio
import logging
import sys

from rustforge.boot import boot
from rustforge.notify import Mail


async def main() -> None:
    async with boot() as ctx:
        welcome = Mail(
            to="Ann Lee <ann@example.com>",
            subject="Welcome",
            text="Hello Ann!",
        )
        await ctx.mailer.send(welcome)


logging.basicConfig(stream=sys.stdout, level="INFO", format="%(message)s")
asyncio.run(main())
# --8<-- [end:first]
