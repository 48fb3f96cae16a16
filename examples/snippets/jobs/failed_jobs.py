"""Look at failed jobs, and run them again."""

import asyncio
import logging

from rustforge.boot import boot

# --8<-- [start:import]
from rustforge.jobs import FailedJobs, Job, JobContext, Worker

# --8<-- [end:import]

logging.getLogger("rustforge").setLevel(logging.CRITICAL)

down = {"mail server"}


class SendMail(Job):
    NAME = "mail.send"

    to: str

    def max_retries(self) -> int:
        return 0

    async def handle(self, ctx: JobContext) -> None:
        if down:
            raise ConnectionError("the mail server refuses")
        print("sent to", self.to)


async def main() -> None:
    async with boot() as ctx:
        worker = Worker(ctx).register(SendMail)
        for name in ("ann", "ben", "eve", "pat"):
            await SendMail(to=f"{name}@example.com").dispatch(ctx.queue)
        await worker.run_until_empty()
        # --8<-- [start:list]
        failed = FailedJobs(ctx.db)
        page = await failed.list(name="mail.send", limit=2)
        for job in page.items:
            print(job.job_name, job.payload, job.error, job.attempts)
        page = await failed.list(name="mail.send", limit=2, before=page.next)
        print(len(page.items), "more of", await failed.count())
        # --8<-- [end:list]
        down.clear()
        found = {job.payload["to"]: job.id for job in (await failed.list()).items}
        ann, ben = found["ann@example.com"], found["ben@example.com"]
        # --8<-- [start:retry]
        print(await failed.retry(ann, ctx.queue))  # one, by its id
        print(await failed.forget(ben))  # this one is not wanted any more
        print(await failed.retry_all(ctx.queue, search="refuses"), "more")
        await worker.run_until_empty()
        print(await failed.count(), "left")
        # --8<-- [end:retry]
        # --8<-- [start:prune]
        await failed.prune(older_than=30 * 24 * 3600)
        # --8<-- [end:prune]


asyncio.run(main())
