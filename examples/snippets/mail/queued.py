"""Queue mail, also within a transaction."""

import asyncio
from datetime import timedelta

from rustforge.boot import BootContext, boot

# --8<-- [start:import]
from rustforge.jobs import JobBuffer, OutboxFlusher, Worker
from rustforge.notify import Mail, SendMail

# --8<-- [end:import]
from rustforge.settings import Settings


# --8<-- [start:queue]
async def register(ctx: BootContext, email: str) -> None:
    welcome = Mail(to=email, subject="Welcome", text="Hello!")
    tips = Mail(to=email, subject="Tips", text="Did you know?")
    async with ctx.db.transaction() as session:
        await ctx.mailer.queue(JobBuffer(session), welcome)
    await ctx.mailer.queue(ctx.queue, tips, delay=timedelta(days=3))


# --8<-- [end:queue]


async def main() -> None:
    async with boot(Settings(mail_url="memory:")) as ctx:
        await register(ctx, "ann@example.com")
        await OutboxFlusher(ctx).flush()  # by itself it comes a moment later
        # --8<-- [start:worker]
        await Worker(ctx).register(SendMail).run_until_empty()
        # --8<-- [end:worker]
        for one in ctx.mailer.kept.sent:
            print("sent:", one.mail.subject)
        print("waiting:", await ctx.queue.size())


asyncio.run(main())
