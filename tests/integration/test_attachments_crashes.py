"""A process that replaces a file and is killed at any of its steps: rows and objects never part."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from rustforge.attachments import Swept, sweep
from rustforge.clock import SYSTEM_CLOCK, ManualClock
from rustforge.jobs.outbox import OutboxFlusher
from tests.support.attaching import Desk, open_desk, tidy
from tests.support.covers import PURGE, REPLACE
from tests.support.processes import Crew
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.servers import RedisServer

DAY = 24 * 3600
BEFORE_THE_COMMIT = ("put 1", "after put 1", "commit 1")


@pytest.fixture(scope="module")
def covers() -> Iterator[Crew]:
    """Have a process at hand that crashes at set points."""
    crew = Crew("tests.support.covers")
    yield crew
    crew.dismiss()


@pytest.fixture
async def real(database_url: str, prefix: str, tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Desk]:
    """Give a database of each kind, queues in a real Redis, and a folder, for more than one process."""
    async with open_desk(database_url, prefix, f"file:{tmp_path}/storage", redis_server.url) as desk:
        yield desk


@pytest.mark.parametrize("point", [*REPLACE, *PURGE])
async def test_a_crash_at_any_step_loses_nothing(real: Desk, covers: Crew, point: str) -> None:
    """Before the commit the old cover is attached, afterwards the new one.

    The worker removes what was replaced, also where the first one died of it, and the sweep what was never attached.
    """
    article = await real.article()
    file = await real.file()
    async with real.db.transaction() as session:
        await real.at(session).set(article, "cover", file)
    [process] = covers.gather(1)
    process.order(point=point, article=article.id, **real.place)
    assert (await process.hear("ended"))["signal"] == signal.SIGKILL

    async with real.db.reading() as session:
        cover = await real.at(session).get(article, "cover")
    assert cover is not None
    assert (cover.path == file.path) is (point in BEFORE_THE_COMMIT)
    assert await real.storage.exists(cover.path)

    if point in BEFORE_THE_COMMIT:
        tomorrow = ManualClock(SYSTEM_CLOCK.time() + DAY + 60)
        assert await sweep(real.db, real.storage, clock=tomorrow) == Swept(int(point != "put 1"), 0)
    await wait_until(lambda: is_tidy(real), timeout=20)
    assert await tidy(real) == {cover.path}


async def is_tidy(desk: Desk) -> bool:
    """Let a worker take over what a dead one has left, once its lease has run out."""
    await OutboxFlusher(desk).flush()
    await desk.work()
    stats = await desk.queue.stats()
    return stats.ready + stats.running == 0
