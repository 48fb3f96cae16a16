"""Give queued mail another queue and other retries."""

import asyncio

# --8<-- [start:import]
from rustforge.jobs import JobContext, Queue
from rustforge.notify import Mail, MailChannel, SendMail

# --8<-- [end:import]


# --8<-- [start:urgent]
class SendLoginCode(SendMail):
    NAME = "mail.login_code"
    QUEUE = "urgent"

    def max_retries(self) -> int:
        return 2  # the code is of no use later

    async def failed(self, ctx: JobContext, error: str) -> None:
        await ctx.alerts.send("A login code was not sent", error)


async def send_code(mailer: MailChannel, queue: Queue, mail: Mail) -> str:
    return await mailer.queue(queue, mail, job=SendLoginCode)


# --8<-- [end:urgent]


async def main() -> None:
    async with Queue.connect("memory://") as queue, MailChannel() as mailer:
        mail = Mail(to="ann@example.com", subject="Code", text="123456")
        await send_code(mailer, queue, mail)
        assert await queue.size("urgent") == 1


asyncio.run(main())
