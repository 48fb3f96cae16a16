"""The sweep removes what has no row and what has no owner, and touches nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Uuid, bindparam, text, update

from rustforge.attachments import SweepOrphans, Swept, orphans, sweep
from rustforge.clock import SYSTEM_CLOCK, ManualClock
from rustforge.db.tables import attachments
from rustforge.errors import InvalidArgumentError
from rustforge.jobs import Worker
from rustforge.jobs.failed import FailedJobs
from tests.support.attaching import Article, Comment, Desk, Editor, Page, Person, tidy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustforge.attachments import Attachment

DAY = 24 * 3600


def later(seconds: float) -> ManualClock:
    """Give a clock that is ahead."""
    return ManualClock(SYSTEM_CLOCK.time() + seconds)


async def attach(desk: Desk, owner: Any, slot: str, place: str) -> Attachment:
    """Attach a file to an owner that is new, or is there."""
    async with desk.db.transaction() as session:
        session.add(owner)
        at = desk.at(session)
        put = at.add if slot in {"files", "gallery"} else at.set
        return await put(owner, slot, await desk.file(place))


async def test_old_objects_without_a_row_go(desk: Desk) -> None:
    """Uploads that nobody attached, and what waits in quarantine, go when they are old enough; what is used stays."""
    used = await attach(desk, Article(), "cover", "articles/cover")
    lost = [await desk.file(place) for place in ("articles/cover", "articles/gallery", "people/portrait", "pages/scan")]
    waiting = await desk.storage.put("quarantine/0123", b"?")
    everything = {used.path, waiting.key, *(file.path for file in lost)}
    assert await sweep(desk.db, desk.storage, clock=later(DAY - 60)) == Swept(0, 0)
    assert await desk.keys() == everything
    assert await sweep(desk.db, desk.storage, clock=later(DAY + 60)) == Swept(5, 0)
    assert await desk.keys() == {used.path}
    await desk.file()
    assert await sweep(desk.db, desk.storage, older_than=timedelta(minutes=5), clock=later(301)) == Swept(1, 0)


async def test_what_belongs_to_others_stays(desk: Desk) -> None:
    """Keys that the server did not make for a slot of this process are left alone, however old they are."""
    keys = [
        "articles/cover/default.png",
        "articles/cover/2026/11/24/default.png",
        f"articles/cover/2026/11/24/{'0' * 32}.png/copy",
        f"articles/coverage/2026/11/24/{'0' * 32}.png",
        f"others/cover/2026/11/24/{'0' * 32}.png",
        "reports/7.pdf",
    ]
    for key in keys:
        await desk.storage.put(key, b"1")
    assert await sweep(desk.db, desk.storage, clock=later(10 * DAY)) == Swept(0, 0)
    assert await desk.keys() == set(keys)


async def test_more_than_a_batch(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many objects and rows are looked at in batches."""
    monkeypatch.setattr(orphans, "_BATCH", 2)
    used = [await attach(desk, Article(), "cover", "articles/cover") for _ in range(3)]
    for _ in range(5):
        await desk.file()
    for _ in range(3):
        await attach(desk, Article(), "gallery", "articles/gallery")
    async with desk.db.transaction() as session:
        await session.execute(text("DELETE FROM articles WHERE id > 3"))
    assert await sweep(desk.db, desk.storage, owners=["articles"], clock=later(2 * DAY)) == Swept(8, 3)
    assert await tidy(desk) == {one.path for one in used}


async def test_rows_whose_owner_is_gone(desk: Desk) -> None:
    """What SQL and the database's own cascades deleted is found, for keys of every kind; the others keep theirs."""
    people = [Person(), Editor(), Person()]
    pages = [Page(book="a", number=1), Page(book="a", number=2)]
    article = Article()
    comment = Comment()
    article.comments.append(comment)
    for one in people:
        await attach(desk, one, "avatar", "people/avatar")
    for page in pages:
        await attach(desk, page, "scan", "pages/scan")
    await attach(desk, article, "cover", "articles/cover")
    await attach(desk, comment, "files", "comments/files")
    everything = await desk.paths()
    owners = ["people", "pages", "articles", "comments"]
    assert await sweep(desk.db, desk.storage, owners=owners) == Swept(0, 0)
    async with desk.db.transaction() as session:
        await session.execute(text("DELETE FROM people WHERE id = :id").bindparams(bindparam("id", people[2].id, Uuid)))
        await session.execute(text("DELETE FROM pages WHERE number = 2"))
        await session.execute(text("DELETE FROM articles"))
    assert await sweep(desk.db, desk.storage) == Swept(0, 0)
    assert await desk.paths() == everything
    assert await sweep(desk.db, desk.storage, owners=owners) == Swept(0, 4)
    assert len(await tidy(desk)) == 3


async def test_owners_that_cannot_be_told_keep_their_files(desk: Desk) -> None:
    """Rows whose owner's id is no key of the table are left for a person to look at."""
    avatar = await attach(desk, Person(), "avatar", "people/avatar")
    for owner_id in ("7", "", "not-a-uuid", "{0}", avatar.owner_id.replace("-", "")):
        async with desk.db.transaction() as session:
            await session.execute(update(attachments).values(owner_id=owner_id))
        assert await sweep(desk.db, desk.storage, owners=["people"]) == Swept(0, 0)
    assert len(await tidy(desk)) == 1


async def test_a_table_that_nobody_knows(desk: Desk) -> None:
    """A table without a class with slots is refused, as its rows cannot be looked up."""
    with pytest.raises(InvalidArgumentError, match=r"no class with slots has the table nothing: .*articles"):
        await sweep(desk.db, desk.storage, owners=["articles", "nothing"])
    with pytest.raises(InvalidArgumentError, match="older_than must be more than 0"):
        await sweep(desk.db, desk.storage, older_than=0)


async def run(desk: Desk, job: SweepOrphans) -> Mapping[str, Any]:
    """Let a worker run a job of which the result is kept."""
    job_id = await job.dispatch(desk.queue)
    await Worker(desk, lease=2).register(type(job)).run_until_empty()
    return {"failed": [one.error for one in (await FailedJobs(desk.db).list()).items if one.id == job_id]}


async def test_the_job_sweeps(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """The job does what the function does, and says in the log what it removed."""
    caplog.set_level("INFO", logger="rustforge.job")
    await desk.file()
    await attach(desk, Article(), "cover", "articles/cover")
    async with desk.db.transaction() as session:
        await session.execute(text("DELETE FROM articles"))
    job = SweepOrphans(owners=["articles"])
    assert (job.older_than, SweepOrphans().owners) == (DAY, ())
    assert await run(desk, job) == {"failed": []}
    assert "removed 0 objects without a row, 1 rows without an owner" in caplog.text
    await desk.work()
    assert len(await desk.keys()) == 1


@pytest.mark.parametrize("older_than", [0, -1, float("nan"), float("inf")])
def test_an_age_that_is_none(older_than: float) -> None:
    """An age must be positive and finite."""
    with pytest.raises(ValueError, match="older_than"):
        SweepOrphans(older_than=older_than)
