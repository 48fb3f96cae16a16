"""Ask what was enqueued, sent and stored."""

import os
import sys

import pytest

from rustforge.boot import BootContext
from rustforge.jobs import Job, JobBuffer, JobContext
from rustforge.notify import Mail
from rustforge.settings import Settings
from rustforge.testing import FakeMailer, FakeQueue, FakeStorage, run_until_empty


class SendReceipt(Job):
    NAME = "order.receipt"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        receipt = f"Receipt {self.order_id}"
        await ctx.storage.put(f"receipts/{self.order_id}.txt", receipt.encode())
        await ctx.mailer.send(
            Mail(to="ann@example.com", subject=receipt, text="Thank you!")
        )


async def place_order(ctx: BootContext, order_id: int) -> None:
    async with ctx.db.transaction() as session:
        await SendReceipt(order_id=order_id).dispatch(JobBuffer(session))


@pytest.fixture
def rustforge_settings() -> Settings:
    return Settings(mail_from="Shop <shop@example.com>")


# --8<-- [start:queue]
async def test_an_order_brings_its_job(
    rustforge_ctx: BootContext, rustforge_queue: FakeQueue
) -> None:
    await place_order(rustforge_ctx, 7)
    rustforge_queue.assert_pushed(
        SendReceipt, times=1, where=lambda job: job.order_id == 7
    )


# --8<-- [end:queue]
# --8<-- [start:work]
async def test_an_order_ends_in_the_mailbox(
    rustforge_ctx: BootContext,
    rustforge_mails: FakeMailer,
    rustforge_storage: FakeStorage,
) -> None:
    await place_order(rustforge_ctx, 7)
    assert (await run_until_empty(rustforge_ctx, [SendReceipt])).succeeded == 1
    rustforge_mails.assert_sent(to="ann@example.com", subject="Receipt 7")
    await rustforge_storage.assert_exists("receipts/7.txt")
    await rustforge_storage.assert_missing("receipts/8.txt")
    await rustforge_storage.assert_count(1, "receipts/")


# --8<-- [end:work]


if __name__ == "__main__":  # as `pytest` does, with nothing but the two plugins
    from pytest_asyncio import plugin as asyncio_plugin

    from rustforge.testing import plugin

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    modes = ["-oasyncio_mode=auto", "-oasyncio_default_fixture_loop_scope=function"]
    options = [*modes, f"-c{os.devnull}", "--rootdir=.", "-s", "-pno:terminal"]
    command = [*options, "-pno:cacheprovider", "--import-mode=importlib", __file__]
    sys.exit(pytest.main(command, plugins=[plugin, asyncio_plugin]))
