"""Tell apart what may help later and what never will."""

import asyncio
import socket

# --8<-- [start:errors]
from rustforge.errors import DeliveryRefusedError, MailError
from rustforge.notify import Mail, MailChannel


async def invite(mailer: MailChannel, email: str) -> str:
    try:
        await mailer.send(Mail(to=email, subject="Join us", text="Hello!"))
    except DeliveryRefusedError as error:
        return f"refused for good: {error.status}"
    except MailError:
        return "not now"
    return "sent"


# --8<-- [end:errors]


async def main() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody answers there
        url = f"smtp://127.0.0.1:{taken.getsockname()[1]}?timeout=1"
        async with MailChannel(url, sender="shop@example.com") as mailer:
            assert await invite(mailer, "ann@example.com") == "not now"


asyncio.run(main())
