"""Attachments: what is set is read back, and rows and objects never part, whatever happens to the transaction."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from PIL import Image
from sqlalchemy import CursorResult, create_engine, delete, event, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from rustforge.attachments import (
    Attachment,
    AttachmentInput,
    AttachmentRules,
    Attachments,
    PurgeObject,
    Swept,
    hooks,
    many_slot,
    receive,
    single_slot,
    sweep,
)
from rustforge.attachments.purge import purge
from rustforge.attachments.records import lock_path
from rustforge.clock import SYSTEM_CLOCK, ManualClock
from rustforge.db import Database
from rustforge.db.tables import attachments
from rustforge.errors import AttachmentError, AttachmentRejectedError, InvalidArgumentError, InvalidTypeError
from tests.support.attaching import Article, Author, Comment, Desk, Editor, Page, Person, open_desk, tidy
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.support.storages import Place


async def set_cover(desk: Desk, article: Article, file: AttachmentInput | None = None) -> Attachment:
    """Set a cover in a transaction of its own."""
    file = file or await desk.file()
    async with desk.db.transaction() as session:
        return await desk.at(session).set(article, Article.cover, file)


async def set_in(article: Article, file: AttachmentInput, at: Attachments) -> None:
    """Set a cover in the transaction of others."""
    await at.set(article, "cover", file)


async def cover_of(desk: Desk, article: Article) -> Attachment | None:
    """Read the cover."""
    async with desk.db.reading() as session:
        return await desk.at(session).get(article, "cover")


async def fail_after(desk: Desk, work: Callable[[Attachments], Awaitable[object]]) -> None:
    """Do something in a transaction that then fails."""

    async def fail() -> None:
        async with desk.db.transaction() as session:
            await work(desk.at(session))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove new objects right after a rollback."""
    monkeypatch.setattr(hooks, "GRACE", 0)


# -- slots ------------------------------------------------------------------------------------------------------------


async def test_what_is_set_is_read(desk: Desk) -> None:
    """All that is known of a file comes back, with the owner, the slot and the database's time."""
    article = await desk.article()
    file = await desk.file(width=3, height=2, name="Ein Bild.png", checksum="ab" * 32, meta={"by": "Ü", "n": [1, None]})
    made = await set_cover(desk, article, file)
    assert (made.path, made.content_type, made.size) == (file.path, "image/png", 7)
    assert (made.width, made.height, made.name, made.checksum, made.meta) == (3, 2, file.name, "ab" * 32, file.meta)
    assert (made.owner_type, made.owner_id, made.field, made.position) == ("articles", str(article.id), "cover", 0)
    assert made.created_at.tzinfo is not None
    assert await cover_of(desk, article) == made


async def test_an_empty_slot(desk: Desk) -> None:
    """There is no file before one is set; clearing what is empty is no error."""
    article = await desk.article()
    assert await cover_of(desk, article) is None
    async with desk.db.transaction() as session:
        at = desk.at(session)
        assert await at.all(article, "gallery") == []
        assert await at.clear(article, Article.cover) == 0


async def test_a_new_owner_is_flushed(desk: Desk) -> None:
    """A row that is new in the session gets its primary key; nothing is there if the transaction fails."""
    file = await desk.file()
    async with desk.db.transaction() as session:
        article = Article()
        session.add(article)
        made = await desk.at(session).set(article, "cover", file)
        assert made.owner_id == str(article.id)


async def test_many_files_keep_their_order(desk: Desk) -> None:
    """Files come in the order in which they were added, or in the one that was asked for; gaps do no harm."""
    article = await desk.article()
    async with desk.db.transaction() as session:
        at = desk.at(session)
        first, second, third = [
            await at.add(article, Article.gallery, await desk.file("articles/gallery")) for _ in "abc"
        ]
        assert await at.all(article, "gallery") == [first, second, third]
        assert await at.remove(second)
        assert not await at.remove(second)
        fourth = await at.add(article, "gallery", await desk.file("articles/gallery"))
        moved = await at.reorder(article, "gallery", [fourth.id, third.id, first.id])
    assert [one.id for one in moved] == [fourth.id, third.id, first.id]
    async with desk.db.transaction() as session:
        assert await desk.at(session).all(article, "gallery") == moved
        for ids in ([], [first.id], [first.id, third.id, third.id], [first.id, third.id, second.id]):
            with pytest.raises(InvalidArgumentError, match="all 3 files"):
                await desk.at(session).reorder(article, "gallery", ids)
        assert await desk.at(session).clear(article, "gallery") == 3
    assert await tidy(desk) == set()


async def test_a_full_slot(desk: Desk) -> None:
    """A slot holds no more than it may; the refused file is removed with the transaction."""
    article = await desk.article()
    async with desk.db.transaction() as session:
        for _ in range(3):
            await desk.at(session).add(article, "gallery", await desk.file("articles/gallery"))
    async with desk.db.transaction() as session:
        with pytest.raises(AttachmentRejectedError, match="at most 3 files") as caught:
            await desk.at(session).add(article, "gallery", await desk.file("articles/gallery"))
    assert (caught.value.reason, caught.value.field) == ("too_many", "gallery")


async def test_slots_of_many_rows_in_one_query(desk: Desk) -> None:
    """Loading the files of many rows takes one query, and gives each row its own, also where rows cannot be hashed."""
    articles = [await desk.article() for _ in range(4)]
    covers = [await set_cover(desk, article) for article in articles[:3]]
    statements: list[str] = []
    async with desk.db.transaction() as session:
        at = desk.at(session)
        photos = [await at.add(articles[1], "gallery", await desk.file("articles/gallery")) for _ in "ab"]
        page = Page(book="a", number=1)
        session.add(page)
        scan = await at.set(page, Page.scan, await desk.file("pages/scan"))
        event.listen(desk.db.engine.sync_engine, "before_cursor_execute", lambda *found: statements.append(found[2]))
        loaded = await at.load(articles, Article.cover)
        assert len(statements) == 1
        assert [loaded[article] for article in articles] == [*covers, None]
        assert list(loaded) == articles
        galleries = await at.load(articles, Article.gallery)
        assert galleries[articles[1]] == photos
        assert galleries[articles[0]] == []
        assert (await at.load([page], "scan"))[page] == scan
        assert len(await at.load([], Article.cover)) == 0
    with pytest.raises(KeyError):
        loaded[await desk.article()]


async def test_keys_of_every_kind(desk: Desk) -> None:
    """Rows are told apart by UUIDs, by keys of two parts, and across the classes that share a table."""
    async with desk.db.transaction() as session:
        at = desk.at(session)
        people = [Person(), Author(), Editor(desk="news")]
        pages = [Page(book="a", number=12), Page(book="a,1", number=2), Page(book="ü", number=1)]
        session.add_all([*people, *pages])
        avatars = [await at.set(one, "avatar", await desk.file("people/avatar")) for one in people]
        stamp = await at.set(people[2], Editor.stamp, await desk.file("people/stamp"))
        scans = [await at.set(one, Page.scan, await desk.file("pages/scan")) for one in pages]
        portrait = await at.set(people[1], "portrait", await desk.file("people/portrait"))
        for one in people:
            with pytest.raises(InvalidArgumentError, match="has no such slot 'cover'"):
                await at.get(one, "cover")
    async with desk.db.transaction() as session:
        at = desk.at(session)
        found = {one.id: one for one in await session.scalars(select(Person))}
        for one, avatar in zip(people, avatars, strict=True):
            assert await at.get(found[one.id], Person.avatar) == avatar
        assert await at.get(found[people[1].id], "portrait") == portrait
        assert await at.get(found[people[2].id], "stamp") == stamp
        assert [await at.get(one, "scan") for one in pages] == scans
        for one in [*found.values(), *await session.scalars(select(Page))]:
            await session.delete(one)
    assert await tidy(desk) == set()


@pytest.mark.parametrize("base", ["https://cdn.example.org/", "https://cdn.example.org/files", "/media"])
async def test_urls_below_a_cdn(desk: Desk, base: str) -> None:
    """A URL is the CDN's base and the path; a path that is a URL already stays as it is."""
    async with desk.db.reading() as session:
        at = Attachments(session, desk.storage, cdn_base_url=base)
        assert at.url("a/b.png") == f"{base.rstrip('/')}/a/b.png"
        assert at.url("an old/näme.png") == f"{base.rstrip('/')}/an%20old/n%C3%A4me.png"
        for path in ("https://example.org/a.png?b", "http://example.org/a", "data:image/png;base64,AA=="):
            assert at.url(path) == path
        assert at.url("javascript:alert(1)") == f"{base.rstrip('/')}/javascript%3Aalert%281%29"


async def test_on_every_storage(place: Place, prefix: str, tmp_path: Path) -> None:
    """Files are received, replaced, served and removed in a folder, in memory and in a bucket alike."""
    data = BytesIO()
    Image.new("RGB", (4, 3)).save(data, "PNG")
    rules = Article.cover.rules
    async with open_desk(f"sqlite:///{tmp_path}/shop.db", prefix, place.url) as desk:
        article = await desk.article()
        covers: list[Attachment] = []
        for name in ("first.png", "second.png"):
            file = await receive(desk.storage, data.getvalue(), rules, owner="articles", field="cover", name=name)
            covers.append(await set_cover(desk, article, file))
        cover = covers[1]
        lost = await desk.file("articles/gallery")
        assert await sweep(desk.db, desk.storage, clock=ManualClock(SYSTEM_CLOCK.time() + 100_000)) == Swept(2, 0)
        assert await tidy(desk) == {cover.path}
        assert await is_gone(desk, lost.path)
        async with desk.db.reading() as session:
            url = desk.at(session).url(cover)
    if place.kind == "s3":
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"] == 'inline; filename="second.png"'
    else:
        assert url.startswith(f"/files/{cover.path}?token=")


# -- commit and rollback ----------------------------------------------------------------------------------------------


async def test_a_replaced_object_goes_after_the_commit(desk: Desk) -> None:
    """The old object is there until the commit, and gone soon after it; the new one stays."""
    article = await desk.article()
    old = await set_cover(desk, article)
    file = await desk.file()
    async with desk.db.transaction() as session:
        new = await desk.at(session).set(article, "cover", file)
        await desk.work()
        assert await desk.keys() == {old.path, new.path}
    assert await desk.waiting() == 1
    assert await tidy(desk) == {new.path}
    assert await cover_of(desk, article) == new


async def test_replaced_several_times_in_one_transaction(desk: Desk) -> None:
    """Only the last of the files that a transaction sets is left."""
    article = await desk.article()
    async with desk.db.transaction() as session:
        made = [await desk.at(session).set(article, "cover", await desk.file()) for _ in range(3)]
    assert await tidy(desk) == {made[-1].path}


@pytest.mark.usefixtures("at_once")
async def test_a_rollback_changes_nothing(desk: Desk) -> None:
    """After a rollback the old files are attached and stored, no job was pushed, and the new object is removed."""
    article = await desk.article()
    old = await set_cover(desk, article)
    file = await desk.file()
    await fail_after(desk, lambda at: at.set(article, "cover", file))
    await fail_after(desk, lambda at: at.clear(article, "cover"))
    await fail_after(desk, lambda at: at.remove(old))
    await wait_until(lambda: is_gone(desk, file.path))
    assert await cover_of(desk, article) == old
    assert await desk.waiting() == 0
    assert await tidy(desk) == {old.path}


@pytest.mark.usefixtures("at_once")
async def test_a_session_that_is_left_without_a_commit(desk: Desk) -> None:
    """Its transaction is rolled back, too, and the session can be used again."""
    article = await desk.article()
    lost, file = await desk.file(), await desk.file()
    session = AsyncSession(desk.db.engine)
    async with session:
        await desk.at(session).set(article, "cover", lost)
    await wait_until(lambda: is_gone(desk, lost.path))
    async with session, session.begin():
        await desk.at(session).set(article, "cover", file)
    assert hooks._tasks == set()
    assert await tidy(desk) == {file.path}


async def test_a_database_that_is_closed_after_a_rollback(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays closed: what was to be removed is left to the sweep."""
    monkeypatch.setattr(hooks, "GRACE", 0.3)
    article = await desk.article()
    file = await desk.file()
    await fail_after(desk, lambda at: at.set(article, "cover", file))
    (task,) = hooks._tasks
    await desk.db.dispose()
    await task
    assert "Connections in pool: 0" in desk.db.engine.pool.status()
    assert await desk.keys() == {file.path}


async def is_gone(desk: Desk, path: str) -> bool:
    """Tell whether there is no such object."""
    return not await desk.storage.exists(path)


@pytest.mark.usefixtures("at_once")
async def test_a_savepoint_that_is_rolled_back(desk: Desk) -> None:
    """What a savepoint took back goes when the transaction commits, and nothing else."""
    article = await desk.article()
    old = await set_cover(desk, article)
    lost, photo = await desk.file(), await desk.file("articles/gallery")
    async with desk.db.transaction() as session:
        await desk.at(session).add(article, "gallery", photo)
        async with session.begin_nested() as savepoint:
            await desk.at(session).set(article, "cover", lost)
            await savepoint.rollback()
        async with session.begin_nested():
            await desk.at(session).reorder(article, "gallery", [(await desk.at(session).all(article, "gallery"))[0].id])
    await wait_until(lambda: is_gone(desk, lost.path))
    assert await tidy(desk) == {old.path, photo.path}


async def test_a_transaction_is_tried_again(desk: Desk) -> None:
    """A transaction that was rolled back can be repeated with the same file."""
    article = await desk.article()
    file = await desk.file()
    await fail_after(desk, lambda at: at.set(article, "cover", file))
    assert len(hooks._tasks) == 1
    made = await set_cover(desk, article, file)
    assert await tidy(desk) == {made.path}


@pytest.mark.usefixtures("at_once")
async def test_tried_again_while_the_object_is_removed(desk: Desk) -> None:
    """Who comes at the moment of the removal gets the object, or is told that it is gone; never a row without it."""
    article = await desk.article()
    for _ in range(20):
        file = await desk.file()
        await fail_after(desk, partial(set_in, article, file))
        with contextlib.suppress(AttachmentError):
            await set_cover(desk, article, file)
        await asyncio.gather(*hooks._tasks)
        assert await desk.paths() <= await desk.keys()


async def test_a_purge_waits_for_who_attaches(desk: Desk) -> None:
    """An object that a transaction is about to attach is kept, although its row is not to be seen yet."""
    article = await desk.article()
    file = await desk.file()

    async def remove() -> bool:
        async with desk.db.transaction() as session:
            return await purge(session, desk.storage, file.path)

    async with desk.db.transaction() as session:
        await desk.at(session).set(article, "cover", file)
        removing = asyncio.create_task(remove())
        await desk.until_one_waits()
    assert await removing is False
    assert await tidy(desk) == {file.path}


async def test_the_lock_of_a_path_on_sqlite(tmp_path: Path) -> None:
    """A transaction that began by reading becomes that of a writer, so no other one attaches meanwhile."""
    url = f"sqlite:///{tmp_path}/shop.db"

    async def write(db: Database) -> None:
        async with db.transaction() as session:
            await session.execute(delete(attachments))

    async with Database(url) as db, Database(url, busy_timeout=0.05) as other:
        await db.upgrade()
        async with AsyncSession(db.engine) as session:
            await lock_path(session, "articles/cover/1.png")
            with pytest.raises(OperationalError, match="locked"):
                await write(other)


async def test_a_purge_spares_what_is_used(desk: Desk) -> None:
    """A job that names an object with a row removes nothing; one for an object that is gone is no error."""
    cover = await set_cover(desk, await desk.article())
    for path in (cover.path, cover.path, "articles/cover/nothing.png"):
        await PurgeObject(path=path).dispatch(desk.queue)
    assert await tidy(desk) == {cover.path}


async def test_the_same_file_again(desk: Desk) -> None:
    """A file that is set where it is already stays, object included."""
    article = await desk.article()
    file = await desk.file(meta={"n": 1})
    await set_cover(desk, article, file)
    again = await set_cover(desk, article, AttachmentInput(file.path, "image/png", file.size, meta={"n": 2}))
    assert again.meta == {"n": 2}
    assert await tidy(desk) == {file.path}


async def test_a_session_on_a_connection_leaves_it_to_the_sweep(desk: Desk) -> None:
    """Where a rollback of the session may not be the end of the transaction, nothing is removed at once."""
    article = await desk.article()
    file = await desk.file()
    async with desk.db.engine.connect() as connection, connection.begin() as outer:
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
            await desk.at(session).set(article, "cover", file)
            await session.rollback()
        await outer.rollback()
    assert hooks._tasks == set()
    assert await desk.keys() == {file.path}


async def test_rows_of_the_rust_edition(desk: Desk) -> None:
    """A row whose path is a URL is read, shown and removed, and nothing is purged for it."""
    article = await desk.article()
    cover = await set_cover(desk, article)
    async with desk.db.transaction() as session:
        await session.execute(update(attachments).values(path="https://example.org/a b.png"))
    async with desk.db.transaction() as session:
        found = await desk.at(session).get(article, "cover")
        assert found is not None
        assert found.id == cover.id
        assert desk.at(session).url(found) == "https://example.org/a b.png"
        assert await desk.at(session).remove(found)
    assert await desk.waiting() == 0


# -- owners that are deleted ------------------------------------------------------------------------------------------


async def fill(desk: Desk) -> Article:
    """Make an article with a cover, two photos and two comments with a file each."""
    async with desk.db.transaction() as session:
        at = desk.at(session)
        article = Article(comments=[Comment(), Comment()])
        session.add(article)
        await at.set(article, "cover", await desk.file())
        for _ in range(2):
            await at.add(article, "gallery", await desk.file("articles/gallery"))
        for comment in article.comments:
            await at.add(comment, "files", await desk.file("comments/files"))
    return article


async def test_files_go_with_their_row(desk: Desk) -> None:
    """A row that the session deletes takes its files along, and those of the rows below it; other rows keep theirs."""
    other = await set_cover(desk, await desk.article())
    filled = await fill(desk)
    async with desk.db.transaction() as session:
        article = await session.get_one(Article, filled.id)
        await session.refresh(article, ["comments"])
        await session.delete(article)
    assert await tidy(desk) == {other.path}


@pytest.mark.usefixtures("at_once")
async def test_a_deletion_that_is_rolled_back(desk: Desk) -> None:
    """Files stay with a row that stays, whether the transaction failed, the flush, or a savepoint was rolled back."""
    filled = await fill(desk)
    keys = await desk.keys()

    async def delete_it(session: AsyncSession) -> None:
        article = await session.get_one(Article, filled.id)
        await session.refresh(article, ["comments"])
        await session.delete(article)
        await session.flush()

    await fail_after(desk, lambda at: delete_it(at._session))
    async with desk.db.transaction() as session, session.begin_nested() as savepoint:
        await delete_it(session)
        await savepoint.rollback()
    assert await tidy(desk) == keys


async def test_a_comment_that_is_taken_out(desk: Desk) -> None:
    """A row that is deleted because it lost its parent takes its files along."""
    filled = await fill(desk)
    async with desk.db.transaction() as session:
        article = await session.get_one(Article, filled.id)
        await session.refresh(article, ["comments"])
        article.comments.pop()
    assert len(await tidy(desk)) == 4


async def test_deleting_in_bulk(desk: Desk) -> None:
    """A `delete()` of the ORM takes the files of all that it deletes along, and of nothing else; also by subclass."""
    kept = await set_cover(desk, await desk.article())
    doomed = [await desk.article() for _ in range(3)]
    for article in doomed:
        await set_cover(desk, article)
    async with desk.db.transaction() as session:
        people = [Person(), Author(), Editor()]
        session.add_all(people)
        avatars = [await desk.at(session).set(one, "avatar", await desk.file("people/avatar")) for one in people]
    async with desk.db.transaction() as session:
        ids = [article.id for article in doomed]
        result = await session.execute(delete(Article).where(Article.id.in_(ids)))
        assert isinstance(result, CursorResult)
        assert result.rowcount == 3
        await session.execute(delete(Author))
        await session.execute(delete(Editor))
    assert await tidy(desk) == {kept.path, avatars[0].path}


@pytest.mark.usefixtures("at_once")
async def test_deleting_in_bulk_is_rolled_back(desk: Desk) -> None:
    """Files stay where a bulk deletion is taken back, or was refused by the database."""
    await fill(desk)
    keys = await desk.keys()
    await fail_after(desk, lambda at: at._session.execute(delete(Article)))
    assert await tidy(desk) == keys


async def test_a_deletion_that_the_database_refuses(desk: Desk) -> None:
    """Who catches the refusal of a bulk deletion, and commits, still has the files."""
    await fill(desk)
    keys = await desk.keys()
    async with desk.db.transaction() as session:
        await session.execute(text("CREATE TABLE likes (article_id INTEGER REFERENCES articles(id))"))
        await session.execute(text("INSERT INTO likes SELECT id FROM articles"))
    async with desk.db.transaction() as session:
        with pytest.raises(IntegrityError):
            await session.execute(delete(Article))
    assert await tidy(desk) == keys


async def test_deleting_in_bulk_what_another_transaction_changes(desk: Desk) -> None:
    """A row that a bulk deletion no longer finds, because it was changed meanwhile, keeps its files."""
    article = await desk.article(hidden=True)
    cover = await set_cover(desk, article)

    async def delete_hidden() -> None:
        async with desk.db.transaction() as session:
            await session.execute(delete(Article).where(Article.hidden))

    async with desk.db.transaction() as session:
        (await session.get_one(Article, article.id)).hidden = False
        await session.flush()
        deleting = asyncio.create_task(delete_hidden())
        await desk.until_one_waits()
    await deleting
    assert await tidy(desk) == {cover.path}


async def test_a_flush_that_fails_midway(desk: Desk) -> None:
    """What a failed flush had deleted before it failed keeps its files, also if the session goes on."""
    filled = await fill(desk)
    keys = await desk.keys()
    async with desk.db.transaction() as session:
        await session.execute(text("CREATE TABLE likes (article_id INTEGER REFERENCES articles(id))"))
        await session.execute(text("INSERT INTO likes SELECT id FROM articles"))
    async with AsyncSession(desk.db.engine) as session:
        article = await session.get_one(Article, filled.id)
        await session.refresh(article, ["comments"])
        await session.delete(article)
        with pytest.raises(IntegrityError):
            await session.flush()  # the comments are deleted first
        await session.rollback()
        session.add(Article())
        await session.commit()
    assert await tidy(desk) == keys


async def test_a_session_without_asyncio_deletes_files_too(tmp_path: Path, prefix: str) -> None:
    """The hooks serve sessions of all kinds, such as that of a script."""
    async with open_desk(f"sqlite:///{tmp_path}/shop.db", prefix, "memory://") as desk:
        filled = await fill(desk)
        engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
        with Session(engine) as session, session.begin():
            session.delete(session.get_one(Article, filled.id))
        engine.dispose()
        assert await tidy(desk) == set()


# -- at the same time -------------------------------------------------------------------------------------------------


async def test_writers_of_one_slot_take_turns(desk: Desk) -> None:
    """Of many transactions that set the same slot, each succeeds, and one file is left."""
    article = await desk.article()
    await asyncio.gather(*[set_cover(desk, article) for _ in range(8)])
    assert len(await tidy(desk)) == 1
    assert await cover_of(desk, article) is not None


async def test_a_bound_holds_for_all(desk: Desk) -> None:
    """Transactions that add at the same time fill a slot and no more, each at a place of its own."""
    article = await desk.article()

    async def add() -> bool:
        file = await desk.file("articles/gallery")
        try:
            async with desk.db.transaction() as session:
                await desk.at(session).add(article, "gallery", file)
        except AttachmentRejectedError:
            await desk.storage.delete(file.path)
            return False
        return True

    assert sum(await asyncio.gather(*[add() for _ in range(7)])) == 3
    async with desk.db.reading() as session:
        assert [one.position for one in await desk.at(session).all(article, "gallery")] == [0, 1, 2]
    assert len(await tidy(desk)) == 3


async def test_deleting_the_owner_at_the_same_time(desk: Desk) -> None:
    """Who attaches to a row that another transaction deletes is refused, or the file goes with the row."""

    async def delete_one(article: Article) -> None:
        async with desk.db.transaction() as session:
            await session.delete(await session.get_one(Article, article.id))

    async def delete_many(article: Article) -> None:
        async with desk.db.transaction() as session:
            await session.execute(delete(Article).where(Article.id == article.id))

    async def attach(article: Article) -> None:
        file = await desk.file()
        try:
            await set_cover(desk, article, file)
        except AttachmentError:
            await desk.storage.delete(file.path)

    for remove in (delete_one, delete_many):
        for _ in range(5):
            article = await desk.article()
            await asyncio.gather(attach(article), remove(article), attach(article))
    assert await tidy(desk) == set()


# -- what is refused --------------------------------------------------------------------------------------------------


async def test_what_is_no_session(desk: Desk) -> None:
    """A session without asyncio is refused by name."""
    for session in (Session(), None, desk.db):
        with pytest.raises(
            InvalidTypeError, match=f"must be an AsyncSession of SQLAlchemy, not {type(session).__name__}"
        ):
            Attachments(session, desk.storage)  # type: ignore[arg-type]


async def test_what_is_no_owner(desk: Desk) -> None:
    """Objects that stand for no row are refused, before anything is written."""
    article = await desk.article()
    file = await desk.file()
    async with desk.db.transaction() as session:
        at = desk.at(session)
        with pytest.raises(InvalidArgumentError, match="is in no session"):
            await at.set(Article(), "cover", file)
        for other in (7, "articles", Article, None):
            with pytest.raises(InvalidTypeError, match="must be an object of a mapped class"):
                await at.set(other, "cover", file)
        gone = await session.get_one(Article, article.id)
        await session.delete(gone)
        await session.flush()
        with pytest.raises(InvalidArgumentError, match="was deleted"):
            await at.set(gone, "cover", file)
        with pytest.raises(AttachmentError, match="the row of articles is not there"):
            await at.set(article, "cover", file)
        with pytest.raises(AttachmentError, match="the row of articles is not there"):
            await at.clear(article, "cover")


async def test_what_is_no_slot(desk: Desk) -> None:
    """Slots of other classes and kinds are refused, and the message names those that there are."""
    article = await desk.article()
    file = await desk.file()
    async with desk.db.transaction() as session:
        at = desk.at(session)
        for slot in ("covers", Comment.files, single_slot(AttachmentRules())):
            with pytest.raises(InvalidArgumentError, match="its slots are: cover, gallery"):
                await at.set(article, slot, file)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match="'gallery' of Article holds many files: use add and all"):
            await at.set(article, "gallery", file)
        with pytest.raises(InvalidArgumentError, match="'cover' of Article holds one file: use set and get"):
            await at.add(article, "cover", file)
        with pytest.raises(InvalidTypeError, match="or its name, not int"):
            await at.get(article, 7)  # type: ignore[arg-type]


async def test_what_is_no_file_of_the_slot(desk: Desk) -> None:
    """Objects of other slots, of other rows, and such as are not there cannot be attached, and are left alone."""
    article, other = await desk.article(), await desk.article()
    theirs = await set_cover(desk, other)
    private = await desk.storage.put("private/letter.pdf", b"%PDF")
    for path, said in (
        (private.key, "stored for something else than articles/cover"),
        ((await desk.file("articles/gallery")).path, "owner='articles', field='cover'"),
        (theirs.path, "attached already"),
        ("articles/cover/2026/01/01/00000000000000000000000000000000.png", "not there any more"),
    ):
        with pytest.raises((InvalidArgumentError, AttachmentError), match=said):
            await set_cover(desk, article, AttachmentInput(path, "image/png", 4))
    for meta in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(InvalidArgumentError, match="meta must be JSON"):
            await set_cover(desk, article, await desk.file(meta=meta))
    await desk.work()
    assert {theirs.path, private.key} <= await desk.keys()
    assert await cover_of(desk, article) is None


async def test_a_refused_file_leaves_the_old_one(desk: Desk) -> None:
    """Who catches the refusal and commits has changed nothing."""
    article = await desk.article()
    old = await set_cover(desk, article)
    theirs = await set_cover(desk, await desk.article())
    async with desk.db.transaction() as session:
        with pytest.raises(InvalidArgumentError):
            await desk.at(session).set(article, "cover", AttachmentInput(theirs.path, "image/png", 7))
    assert await tidy(desk) == {old.path, theirs.path}


def test_slots_are_declared_and_not_assigned() -> None:
    """A slot knows its name; assigning is refused, as are a bound that holds nothing and one slot for two names."""
    rules = AttachmentRules()
    assert repr(Article.cover) == "<SingleSlot cover>"
    assert (Article.gallery.max_count, Article.gallery.field) == (3, "gallery")
    assert "cover" not in Article.__table__.columns
    with pytest.raises(AttributeError, match=r"await attachments\.set\(owner, 'cover', file\)"):
        Article().cover = 7
    with pytest.raises(AttributeError, match=r"attachments\.add"):
        Article(gallery=[])
    with pytest.raises(InvalidArgumentError, match="max_count"):
        many_slot(rules, max_count=0)
    slot: Any = single_slot(rules)
    slot.__set_name__(Article, "first")
    with pytest.raises(InvalidArgumentError, match="make one for each name"):
        slot.__set_name__(Article, "second")
