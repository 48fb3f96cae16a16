"""What a handler gets."""

import asyncio

# --8<-- [start:context]
from rustforge.boot import boot
from rustforge.jobs import Job, JobContext, Worker


class Mailer:
    async def send(self, to: str, subject: str) -> None:
        print("mail to", to, "about", subject)


class SendWelcome(Job):
    NAME = "mail.welcome"

    email: str

    async def handle(self, ctx: JobContext) -> None:
        mailer: Mailer = ctx.extensions["mailer"]  # a service of your own
        await mailer.send(self.email, "Welcome")
        await ctx.cache.increment(
            "mails:sent"
        )  # the cache, the queue, the database
        print(
            "run number", ctx.fence, "attempt", ctx.attempt, "from", ctx.queue_name
        )
        ctx.logger.info(
            "sent"
        )  # the record carries job_id, job_name, queue, attempt


async def main() -> None:
    async with boot(extensions={"mailer": Mailer()}) as ctx:
        await SendWelcome(email="ann@example.com").dispatch(ctx.queue)
        await Worker(ctx).register(SendWelcome).run_until_empty()


# --8<-- [end:context]


asyncio.run(main())
