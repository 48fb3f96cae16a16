"""Objects in a folder: no way out of it, and nothing by halves, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.clock import ManualClock
from rustforge.errors import ObjectExistsError, ObjectNotFoundError, StorageError
from rustforge.storage import Storage
from rustforge.storage.local import LocalBackend
from tests.support.dying import AFTER, BEFORE
from tests.support.storages import Place, keys, make_place, read
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give an empty folder."""
    return make_place("file", tmp_path / "objects", None)


@pytest.fixture
async def storage(place: Place) -> AsyncIterator[Storage]:
    """Open it."""
    async with Storage.connect(place.url) as storage:
        yield storage


async def test_a_stream_that_is_cancelled(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is closed, also when it is opened only then."""
    await storage.put("a", b"data")
    files: list[int] = []
    opened, goes_on = threading.Event(), threading.Event()

    def slowly(backend: LocalBackend, key: str) -> int:
        files.append(really(backend, key))
        opened.set()
        goes_on.wait()
        return files[0]

    really = LocalBackend._open
    monkeypatch.setattr(LocalBackend, "_open", slowly)
    task = asyncio.create_task(read(storage.stream("a")))
    await asyncio.to_thread(opened.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    goes_on.set()
    await wait_until(lambda: not Path(f"/proc/self/fd/{files[0]}").exists())


async def test_a_copy_of_what_is_replaced_meanwhile(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes and what describes them are of one version."""
    await storage.put("a", b"picture", content_type="image/png")
    head = LocalBackend.head

    async def replace_after_head(backend: LocalBackend, key: str) -> Any:
        found = await head(backend, key)
        if found.content_type == "image/png":
            await storage.put("a", b"page", content_type="text/html")
        return found

    monkeypatch.setattr(LocalBackend, "head", replace_after_head)
    await storage.copy("a", "b")
    assert (await storage.get("b"), (await storage.head("b")).content_type) == (b"page", "text/html")


# Links


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Give a folder beside it, with a file that nobody may read or change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_bytes(b"private")
    return folder


def names(folder: Path) -> list[str]:
    """List what is in a folder."""
    return [file.name for file in folder.iterdir()]


async def check_no_way(storage: Storage, key: str) -> None:
    """Check that a key leads nowhere."""
    assert not await storage.exists(key)
    for reading in (storage.get(key), storage.head(key), read(storage.stream(key)), storage.copy(key, "copied")):
        with pytest.raises(ObjectNotFoundError):
            await reading
    assert not await storage.delete(key)
    await storage.delete_many([key])


async def test_a_link_to_a_folder(storage: Storage, place: Place, outside: Path) -> None:
    """It is no folder of keys: nothing is read, listed, removed or stored through it."""
    await storage.put("a/file", b"1")
    (place.folder / "link").symlink_to(outside)
    (place.folder / "a" / "link").symlink_to("../../outside")
    for key in ("link/file", "a/link/file"):
        await check_no_way(storage, key)
        for overwrite in (True, False):
            with pytest.raises(StorageError, match="a link of this name is in its way"):
                await storage.put(key, b"2", overwrite=overwrite, metadata={"a": "b"})
    assert await keys(storage) == ["a/file"]
    assert await keys(storage, "link") == []
    assert names(outside) == ["file"]
    assert (outside / "file").read_bytes() == b"private"
    assert place.leftovers() == []


async def test_a_link_to_a_file(storage: Storage, place: Place, outside: Path) -> None:
    """It is no object; a put takes its place, and leaves alone what it points to."""
    await storage.put("a/file", b"1")
    for target in (outside / "file", outside / "new"):
        (place.folder / "a" / "link").symlink_to(target)
        await check_no_way(storage, "a/link")
        assert await keys(storage) == ["a/file"]
        with pytest.raises(ObjectExistsError):
            await storage.put("a/link", b"2", overwrite=False)
        await storage.put("a/link", b"2")
        assert await storage.get("a/link") == b"2"
        await storage.delete("a/link")
    assert names(outside) == ["file"]
    assert (outside / "file").read_bytes() == b"private"


async def test_a_folder_that_becomes_a_link(storage: Storage, place: Place, outside: Path) -> None:
    """A link that is made between any two steps is not followed either."""
    await storage.put("a/file", b"1")
    real, hidden, stop = place.folder / "a", place.folder / "hidden", threading.Event()

    def swap() -> None:
        while not stop.is_set():
            real.rename(hidden)
            with contextlib.suppress(FileExistsError):  # a put has made the folder anew
                real.symlink_to(outside)
                real.unlink()
            while hidden.exists():
                try:
                    hidden.rename(real)
                except OSError:
                    shutil.rmtree(real, ignore_errors=True)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(300):
            for call in (storage.put(f"a/{number}", b"2"), storage.get("a/file"), storage.delete(f"a/{number}")):
                with contextlib.suppress(StorageError):
                    assert await call != b"private"
    finally:
        stop.set()
        thread.join()
    assert names(outside) == ["file"]
    assert (outside / "file").read_bytes() == b"private"


async def test_what_is_no_file(storage: Storage, place: Place) -> None:
    """A pipe is no object, and nobody waits for who writes into it."""
    await storage.put("a/file", b"1")
    os.mkfifo(place.folder / "a" / "pipe")
    await check_no_way(storage, "a/pipe")
    assert await keys(storage) == ["a/file"]


async def test_an_object_where_a_folder_would_be(storage: Storage, place: Place) -> None:
    """A folder cannot hold both `a` and `a/b`, which a bucket could; the second one is refused, the first stays."""
    await storage.put("a", b"1")
    with pytest.raises(StorageError, match="in its way"):
        await storage.put("a/b", b"2", metadata={"a": "b"})
    await storage.put("b/c", b"1")
    with pytest.raises(StorageError, match="in its way"):
        await storage.put("b", b"2", metadata={"a": "b"})
    assert await keys(storage) == ["a", "b/c"]
    assert place.leftovers() == []


async def test_files_of_others(storage: Storage, place: Place) -> None:
    """A file that somebody put there is an object if its name is a key, with a type by its extension."""
    (place.folder / "a").mkdir()
    for name in ("photo.jpg", "page.html", "picture.svg", "with space.png", ".hidden", "ü.png"):
        (place.folder / "a" / name).write_bytes(b"1")
    assert await keys(storage) == ["a/page.html", "a/photo.jpg", "a/picture.svg"]
    types = {key: (await storage.head(key)).content_type for key in await keys(storage)}
    assert types.pop("a/photo.jpg") == "image/jpeg"
    assert set(types.values()) == {"application/octet-stream"}
    assert (await storage.head("a/photo.jpg")).disposition == "attachment"


async def test_objects_are_files(storage: Storage, place: Place) -> None:
    """A web server can read them; our own folder is for our user alone, and no object."""
    await storage.put("a/b.png", b"1", metadata={"a": "b"})
    assert (place.folder / "a/b.png").read_bytes() == b"1"
    assert stat.S_IMODE((place.folder / "a/b.png").stat().st_mode) == 0o666 & ~_umask()
    own = place.folder / ".rustforge"
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in own.rglob("*") if file.is_file()} == {0o600}
    assert await keys(storage) == ["a/b.png"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


async def test_a_copy_of_the_folder(storage: Storage, place: Place, tmp_path: Path) -> None:
    """A copy that keeps times keeps what describes the objects."""
    await storage.put("a/b", b"1", content_type="image/png", metadata={"a": "b"})
    shutil.copytree(place.folder, tmp_path / "copy")
    async with Storage.connect(f"file:{tmp_path}/copy") as copy:
        assert await copy.head("a/b") == await storage.head("a/b")


async def test_descriptions_go_with_their_objects(storage: Storage, place: Place) -> None:
    """Overwriting and removing leave no file behind in our folder."""
    for number in range(3):
        await storage.put("a/b", b"1", metadata={"n": str(number)})
    notes = place.folder / ".rustforge" / "about"
    assert len([file for file in notes.rglob("*") if file.is_file()]) == 1
    await storage.put("a/b", b"1")
    assert place.leftovers() == []
    await storage.put("a/b", b"1", metadata={"a": "b"})
    await storage.delete("a/b")
    assert [file for file in notes.rglob("*") if file.is_file()] == []


# The folder's own key


def test_the_key_for_signatures(place: Place) -> None:
    """It is made once, however many begin at the same time, and only its user may read it."""
    tokens: list[str] = []
    storages = [Storage(place.url) for _ in range(20)]
    begin = threading.Barrier(len(storages))

    def sign(storage: Storage) -> None:
        begin.wait()
        tokens.append(storage.presign_upload("a", max_size=1).token)

    threads = [threading.Thread(target=sign, args=[storage]) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == len(storages)
    for token in tokens:
        Storage(place.url).read_upload_token(token)
    own = place.folder / ".rustforge"
    assert [file.name for file in own.iterdir()] == ["key"]
    assert stat.S_IMODE((own / "key").stat().st_mode) == 0o600
    assert len((own / "key").read_text()) == 64


async def test_the_key_cannot_be_read(storage: Storage) -> None:
    """It is no object."""
    storage.presign("a")
    assert await keys(storage) == []


# What happens meanwhile


async def test_nothing_is_made_before_it_is_needed(place: Place) -> None:
    """Making a storage, and reading from it, touch nothing."""
    storage = Storage(place.url)
    assert not await storage.exists("a")
    assert await keys(storage) == []
    assert not place.folder.exists()
    await storage.put("a", b"1")
    assert await storage.get("a") == b"1"


async def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=f"the folder {tmp_path}/file/objects cannot be used: Not a directory"):
        await Storage.connect(f"file:{tmp_path}/file/objects")


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "utime"])
async def test_a_disk_that_is_full(storage: Storage, place: Place, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The put fails with the reason, nothing is left of it, and what was there stays."""
    await storage.put("a/b", BEFORE, metadata={"n": "before"})
    with monkeypatch.context() as patch:

        def fail(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(os, call, fail)
        with pytest.raises(StorageError, match="No space left on device"):
            await storage.put("a/b", AFTER, metadata={"n": "after"})
    assert await storage.get("a/b") == BEFORE
    assert (await storage.head("a/b")).metadata == {"n": "before"}
    assert place.leftovers() == []


async def test_a_put_that_is_cancelled_before_its_name(
    storage: Storage, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cancelled while it goes to the disk gets no name, and the put ends when its thread does."""
    await storage.put("a/b", BEFORE)
    loop, reached, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    fsync = os.fsync

    def wait(file: int) -> None:
        loop.call_soon_threadsafe(reached.set)
        go.wait(10)
        fsync(file)

    monkeypatch.setattr(os, "fsync", wait)
    task = asyncio.create_task(storage.put("a/b", AFTER, metadata={"n": "after"}))
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await storage.get("a/b") == BEFORE
    assert place.leftovers() == []


async def run(what: str, place: Place, *, overwrite: bool) -> asyncio.subprocess.Process:
    """Start a process that puts an object, and is killed."""
    mode = "overwrite" if overwrite else "create"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.dying", what, place.url, mode), cwd=ROOT, stdout=subprocess.PIPE
    )


@pytest.mark.parametrize("overwrite", [True, False])
async def test_a_process_that_is_killed_in_the_middle(place: Place, overwrite: bool) -> None:
    """Nothing of the object is to be seen; a day later, who opens the folder removes the rest of it."""
    async with Storage.connect(place.url) as storage:
        if overwrite:
            await storage.put("a/b", BEFORE)
        process = await run("wait", place, overwrite=overwrite)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"waiting\n"
        process.kill()
        await process.communicate()
        assert await keys(storage) == (["a/b"] if overwrite else [])
        if overwrite:
            assert await storage.get("a/b") == BEFORE
    (draft,) = place.leftovers()
    clock = ManualClock((place.folder / ".rustforge" / draft).stat().st_mtime)
    clock.advance(23 * 3600)
    await Storage.connect(place.url, clock=clock)  # somebody may still be writing
    assert place.leftovers() == [draft]
    clock.advance(2 * 3600)
    await Storage.connect(place.url, clock=clock)
    assert place.leftovers() == []


@pytest.mark.timeout(180)
@pytest.mark.parametrize("overwrite", [True, False])
async def test_a_process_that_is_killed_at_any_step(place: Place, overwrite: bool) -> None:
    """Before and after each call that changes the disk: the object is the old one or the new one, as a whole."""
    process = await run("sweep", place, overwrite=overwrite)
    output, _ = await process.communicate()
    assert process.returncode == 0
    left = [json.loads(line) for line in output.splitlines()]
    assert sum(one["died"] for one in left) > 30
    for one in left:
        there = (one["keys"], one.get("data"), one.get("metadata"))
        whole: list[tuple[list[str], str | None, str | None]] = [(["a/b"], "after", "after")]
        if one["died"]:
            whole.append((["a/b"], "before", "before") if overwrite else ([], None, None))
        assert there in whole, one
