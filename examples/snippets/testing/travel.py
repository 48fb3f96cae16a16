"""Move the time of a test."""

import os
import sys
from datetime import timedelta

import pytest

from rustforge.boot import BootContext
from rustforge.jobs import Job, JobContext
from rustforge.testing import TimeTraveler

sent: list[int] = []


class SendReminder(Job):
    NAME = "order.reminder"

    order_id: int

    async def handle(self, ctx: JobContext) -> None:
        sent.append(self.order_id)


# --8<-- [start:time]
async def test_a_reminder_after_three_days(
    rustforge_ctx: BootContext, rustforge_time: TimeTraveler
) -> None:
    rustforge_time.register(SendReminder)
    await rustforge_ctx.cache.set_ex("order:7", "placed", ttl=3600)
    await SendReminder(order_id=7).dispatch(rustforge_ctx.queue, timedelta(days=3))

    await rustforge_time.travel(timedelta(days=2))
    assert await rustforge_ctx.cache.get("order:7") is None
    assert sent == []
    await rustforge_time.travel(timedelta(days=1))
    assert sent == [7]


# --8<-- [end:time]


if __name__ == "__main__":  # as `pytest` does, with nothing but the two plugins
    from pytest_asyncio import plugin as asyncio_plugin

    from rustforge.testing import plugin

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    modes = ["-oasyncio_mode=auto", "-oasyncio_default_fixture_loop_scope=function"]
    options = [*modes, f"-c{os.devnull}", "--rootdir=.", "-s", "-pno:terminal"]
    command = [*options, "-pno:cacheprovider", "--import-mode=importlib", __file__]
    sys.exit(pytest.main(command, plugins=[plugin, asyncio_plugin]))
