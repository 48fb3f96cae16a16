"""Objects: the same in a folder, in this process, and in a bucket."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
)
from tests.support.storages import keys, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from rustforge.storage import Storage
    from tests.support.storages import Place

KEY = "articles/cover/7.png"
LARGE = 20_000_000
"""More than S3 gets in one request."""


def random_bytes(size: int) -> bytes:
    """Make bytes that no other part of an object has."""
    return random.Random(size).randbytes(size)


async def slowly(data: bytes, piece: int = 1_000_000) -> AsyncIterator[bytes]:
    """Give bytes as a client sends them."""
    for start in range(0, len(data), piece):
        await asyncio.sleep(0)
        yield data[start : start + piece]


class AsyncFile:
    """A file as FastAPI's `UploadFile` is one."""

    def __init__(self, data: bytes) -> None:
        """Take what it contains."""
        self._file = io.BytesIO(data)

    async def read(self, size: int = -1) -> bytes:
        """Read."""
        await asyncio.sleep(0)
        return self._file.read(size)


@pytest.mark.parametrize("size", [0, 1, 5000, LARGE])
async def test_what_is_put_is_got(storage: Storage, size: int) -> None:
    """Bytes of any number come back, at once and as a stream, with what was stored beside them."""
    data = random_bytes(size)
    began = datetime.now(UTC) - timedelta(seconds=2)  # S3 tells whole seconds
    stored = await storage.put(KEY, data, content_type="image/png", filename="Cover.png", inline=True)
    found = await storage.head(KEY)
    assert await storage.get(KEY) == data
    assert await read(storage.stream(KEY)) == data
    assert (found.key, found.size, found.content_type) == (KEY, size, "image/png")
    assert found.disposition == 'inline; filename="Cover.png"'
    assert began < found.modified <= datetime.now(UTC)
    assert (stored.etag, stored.size, stored.disposition) == (found.etag, size, found.disposition)
    assert abs(stored.modified - found.modified) < timedelta(seconds=2)


SOURCES: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "file": io.BytesIO,
    "awaited file": AsyncFile,
    "list": lambda data: [data[:10], b"", bytearray(data[10:])],
    "generator": lambda data: (data[start : start + 99_999] for start in range(0, len(data), 99_999)),
    "async generator": slowly,
    "many small pieces": lambda data: slowly(data, 100),
}


@pytest.mark.parametrize("source", SOURCES)
async def test_sources(storage: Storage, source: str) -> None:
    """Bytes, files and iterables of pieces, with and without asyncio, are all sources of an object."""
    data = random_bytes(1_500_000)
    stored = await storage.put(KEY, SOURCES[source](data))
    assert stored.size == len(data)
    assert await storage.get(KEY) == data


async def test_a_file_on_disk(storage: Storage, tmp_path: Path) -> None:
    """An open file is read from where it stands."""
    (tmp_path / "file").write_bytes(b"head" + random_bytes(3_000_000))
    with (tmp_path / "file").open("rb") as file:
        file.seek(4)
        await storage.put(KEY, file)
    assert await storage.get(KEY) == random_bytes(3_000_000)


async def test_a_stream_of_many_parts(storage: Storage) -> None:
    """A large stream arrives whole, and its progress is told, the last time with all its bytes."""
    data = random_bytes(LARGE)
    told: list[int] = []
    await storage.put(KEY, slowly(data), progress=told.append)
    digest = hashlib.sha256()
    async for piece in storage.stream(KEY):
        assert len(piece) < LARGE // 2
        digest.update(piece)
    assert digest.digest() == hashlib.sha256(data).digest()
    assert told == list(range(1_000_000, LARGE + 1, 1_000_000))


async def test_progress_may_be_awaited(storage: Storage) -> None:
    """A coroutine function is awaited, one that raises ends the put."""
    told: list[int] = []

    async def tell(done: int) -> None:
        await asyncio.sleep(0)
        told.append(done)
        if done > 2:
            msg = "enough"
            raise LookupError(msg)

    await storage.put(KEY, [b"1", b"2"], progress=tell)
    with pytest.raises(LookupError, match="enough"):
        await storage.put(KEY, [b"1", b"2", b"3", b"4"], progress=tell)
    assert told == [1, 2, 1, 2, 3]
    assert await storage.get(KEY) == b"12"


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("error", [OSError, FileNotFoundError, ObjectNotFoundError, KeyError, asyncio.CancelledError])
async def test_a_source_that_fails(storage: Storage, place: Place, size: int, error: type[BaseException]) -> None:
    """The error goes out as it is, nothing of the object is left, and what was there before stays."""
    await storage.put(KEY, b"before")

    async def failing() -> AsyncIterator[bytes]:
        async for piece in slowly(random_bytes(size)):
            yield piece
        text = "mine"
        raise error(text)

    for key in (KEY, "articles/cover/new.png"):
        with pytest.raises(error, match="mine"):
            await storage.put(key, failing())
    assert await storage.get(KEY) == b"before"
    assert await keys(storage) == [KEY]
    assert place.leftovers() == []


@pytest.mark.parametrize("size", [10, LARGE])
async def test_a_put_that_is_cancelled(storage: Storage, place: Place, size: int) -> None:
    """Nothing of it is left, and what was there before stays."""
    await storage.put(KEY, b"before")
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        async for piece in slowly(random_bytes(size)):
            yield piece
        reached.set()
        await asyncio.Event().wait()

    for key in (KEY, "articles/cover/new.png"):
        reached.clear()
        task = asyncio.create_task(storage.put(key, endless()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await storage.get(KEY) == b"before"
    assert await keys(storage) == [KEY]
    assert place.leftovers() == []


async def test_a_put_is_whole_whenever_it_is_cancelled(storage: Storage, place: Place) -> None:
    """However far it came: afterwards the object is as before or as it was to be, with what belongs to it."""
    await storage.put(KEY, b"0" * 1000, metadata={"n": "0"})
    for turns in range(60):
        task = asyncio.create_task(storage.put(KEY, b"1" * 1000, metadata={"n": "1"}))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        data, found = await storage.get(KEY), await storage.head(KEY)
        assert len(set(data)) == 1
        if place.kind == "file":  # elsewhere a request that is on its way may arrive between the two
            assert found.metadata == {"n": chr(data[0])}


async def test_readers_see_one_version(storage: Storage) -> None:
    """Whoever reads while others write gets one version as a whole."""
    sizes = {character: 300_000 + 1000 * character for character in b"abcdefgh"}

    async def write(character: int) -> None:
        await storage.put(KEY, [bytes([character]) * (sizes[character] // 2)] * 2)

    await write(ord("a"))
    writing = asyncio.gather(*(write(character) for character in sizes for _ in range(3)))
    while not writing.done():
        data = await storage.get(KEY)
        assert data == data[:1] * sizes[data[0]]
    await writing


async def test_what_describes_an_object_is_replaced_with_it(storage: Storage) -> None:
    """Another version has its own type, metadata and disposition, and another etag."""
    first = await storage.put(KEY, b"1", content_type="image/png", metadata={"a": "1"}, inline=True)
    second = await storage.put(KEY, b"2", content_type="application/pdf", metadata={"b": "2"})
    found = await storage.head(KEY)
    assert (found.content_type, found.metadata, found.disposition) == ("application/pdf", {"b": "2"}, "attachment")
    assert found.etag == second.etag != first.etag


@pytest.mark.parametrize("size", [10, LARGE])
async def test_without_overwriting(storage: Storage, place: Place, size: int) -> None:
    """`overwrite=False` stores a new object, and leaves one that is there alone."""
    await storage.put(KEY, slowly(random_bytes(size)), overwrite=False)
    for source in (b"x", slowly(random_bytes(LARGE))):
        with pytest.raises(ObjectExistsError, match=KEY) as caught:
            await storage.put(KEY, source, overwrite=False, metadata={"a": "b"})
        assert caught.value.key == KEY
    assert await storage.get(KEY) == random_bytes(size)
    assert place.leftovers() == []


async def test_of_many_that_create_one_does(storage: Storage) -> None:
    """Of puts at once that may not overwrite, one stores its object."""
    results = await asyncio.gather(
        *(storage.put(KEY, bytes([n]) * 1000, overwrite=False) for n in range(10)), return_exceptions=True
    )
    failed = [result for result in results if isinstance(result, ObjectExistsError)]
    assert len(failed) == 9
    winner = next(n for n, result in enumerate(results) if not isinstance(result, BaseException))
    assert await storage.get(KEY) == bytes([winner]) * 1000


async def test_ranges(storage: Storage) -> None:
    """A part of an object is what the same part of its bytes is."""
    data = random_bytes(9)
    await storage.put(KEY, data)
    for start in range(12):
        for end in (None, *range(12)):
            part = data[start:end] if end is None or end >= start else b""
            assert await read(storage.stream(KEY, start=start, end=end)) == part, (start, end)
    with pytest.raises(InvalidArgumentError, match="count from 0"):
        await read(storage.stream(KEY, start=-1))
    with pytest.raises(InvalidArgumentError, match="count from 0"):
        await read(storage.stream(KEY, end=-1))


async def test_a_range_of_a_large_object(storage: Storage) -> None:
    """It begins and ends in the middle of parts and pieces."""
    data = random_bytes(LARGE)
    await storage.put(KEY, data)
    assert await read(storage.stream(KEY, start=8_388_607, end=16_777_217)) == data[8_388_607:16_777_217]


async def test_a_stream_of_one_version(storage: Storage) -> None:
    """A stream of a given etag is of that version, or of none."""
    first = await storage.put(KEY, b"first")
    assert await read(storage.stream(KEY, start=1, etag=first.etag)) == b"irst"
    second = await storage.put(KEY, b"other")
    for start, end in ((0, None), (2, None), (2, 2)):
        with pytest.raises(ObjectNotFoundError):
            await read(storage.stream(KEY, start=start, end=end, etag=first.etag))
    assert await read(storage.stream(KEY, etag=second.etag)) == b"other"


async def test_a_stream_that_is_left(storage: Storage) -> None:
    """Who stops reading in the middle leaves nothing open, and the object can be removed."""
    await storage.put(KEY, random_bytes(LARGE))
    stream = storage.stream(KEY)
    assert len(await anext(stream)) > 0
    await stream.aclose()  # type: ignore[attr-defined]
    assert await storage.delete(KEY)


MISSING: dict[str, Callable[[Storage], Any]] = {
    "get": lambda storage: storage.get("none/such"),
    "head": lambda storage: storage.head("none/such"),
    "stream": lambda storage: read(storage.stream("none/such")),
    "a range": lambda storage: read(storage.stream("none/such", start=3, end=5)),
    "an empty range": lambda storage: read(storage.stream("none/such", start=5, end=5)),
    "copy": lambda storage: storage.copy("none/such", "a"),
    "move": lambda storage: storage.move("none/such", "a"),
}


@pytest.mark.parametrize("call", MISSING)
async def test_objects_that_are_not_there(storage: Storage, call: str) -> None:
    """Every method says which one is not there."""
    with pytest.raises(ObjectNotFoundError, match="no object 'none/such'") as caught:
        await MISSING[call](storage)
    assert caught.value.key == "none/such"
    assert not await storage.exists("none/such")
    assert not await storage.delete("none/such")
    assert await keys(storage) == []


async def test_a_folder_is_no_object(storage: Storage) -> None:
    """The segments above an object are none themselves."""
    await storage.put("a/b/c", b"1")
    for key in ("a", "a/b", "a/b/c/d"):
        assert not await storage.exists(key)
        assert not await storage.delete(key)
    assert await keys(storage) == ["a/b/c"]


async def test_delete(storage: Storage) -> None:
    """It tells whether there was one; many go at once, whether they are there or not."""
    for number in range(5):
        await storage.put(f"a/{number}", b"1", metadata={"a": "b"})
    assert await storage.delete("a/0")
    assert not await storage.delete("a/0")
    await storage.delete_many(["a/1", "a/0", "none", "a/2"])
    assert await keys(storage) == ["a/3", "a/4"]
    await storage.delete_many([])
    with pytest.raises(InvalidArgumentError):
        await storage.delete_many(["a/3", "../a/4"])
    assert await keys(storage) == ["a/3", "a/4"]


async def test_copy_and_move(storage: Storage) -> None:
    """Both keep the bytes and all that describes them, and take the place of what is there."""
    before = await storage.put(
        "a", b"data", content_type="image/png", metadata={"by": "Jörg"}, filename="ü.png", inline=True
    )
    await storage.put("b", b"other", metadata={"x": "y"})
    await storage.copy("a", "b")
    await storage.move("a", "c/d")
    assert await keys(storage) == ["b", "c/d"]
    for key in ("b", "c/d"):
        found = await storage.head(key)
        assert await storage.get(key) == b"data"
        assert (found.content_type, found.metadata) == (before.content_type, before.metadata)
        assert found.disposition == before.disposition
    with pytest.raises(InvalidArgumentError, match="where it is"):
        await storage.move("b", "b")
    await storage.copy("b", "b")
    assert await storage.get("b") == b"data"


async def test_a_large_object_is_copied(storage: Storage) -> None:
    """Also one that came in parts."""
    await storage.put("a", random_bytes(LARGE))
    await storage.move("a", "b")
    assert await storage.get("b") == random_bytes(LARGE)


async def test_what_is_moved_is_new(storage: Storage, place: Place) -> None:
    """Its age counts from then on, so that no sweep of old objects takes it at once."""
    del storage
    from rustforge.clock import ManualClock  # noqa: PLC0415 - only here

    if place.kind != "file":
        return  # which have clocks of their own
    clock = ManualClock()
    async with place.connect(clock=clock) as storage:
        await storage.put("a", b"1")
        clock.advance(100_000)
        await storage.move("a", "b")
        assert (await storage.head("b")).modified.timestamp() == pytest.approx(clock.time(), abs=0.001)


async def test_list(storage: Storage) -> None:
    """A prefix is whole segments; what is found has key, size, time and etag."""
    for key in ("a/b/1", "a/b/2", "a/bc/3", "a/b-4", "d"):
        await storage.put(key, key.encode(), metadata={"a": "b"})
    assert await keys(storage) == ["a/b-4", "a/b/1", "a/b/2", "a/bc/3", "d"]
    assert await keys(storage, "a/b") == await keys(storage, "a/b/") == ["a/b/1", "a/b/2"]
    assert await keys(storage, "d") == await keys(storage, "none/such") == await keys(storage, "a/b/1") == []
    for found in [found async for found in storage.list()]:
        head = await storage.head(found.key)
        assert (found.size, found.modified, found.etag) == (head.size, head.modified, head.etag)
        assert (found.content_type, found.disposition, found.metadata) == (None, None, {})
    for prefix in ("/", "../a", "a//b", "a%2f"):
        with pytest.raises(InvalidArgumentError):
            await keys(storage, prefix)


async def test_list_many(storage: Storage) -> None:
    """More than one batch."""
    await asyncio.gather(*(storage.put(f"many/{number}", b"") for number in range(1005)))
    assert len(await keys(storage)) == 1005
    await storage.delete_many(await keys(storage))
    assert await keys(storage) == []


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            " ",
            "plain",
            " spaces around ",
            "100%",
            "%41",
            "a=b; c",
            "Übergröße",
            "日本語",
            "🦀",
            '"quoted"',
            "a\\b",
        ),
        *("line\r\nX-Amz-Meta-Other: 1", "\0\x7f", "\N{ZERO WIDTH SPACE}"),
    ],
)
async def test_metadata(storage: Storage, value: str) -> None:
    """Values come back as they were, whatever characters they have, and become no headers."""
    await storage.put(KEY, b"1", metadata={"a": value, "other-name": "x"})
    assert (await storage.head(KEY)).metadata == {"a": value, "other-name": "x"}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no media type": ({"content_type": "png"}, "media type"),
    "a header in the media type": ({"content_type": "image/png\r\nX: 1"}, "media type"),
    "a name with capitals": ({"metadata": {"Name": "1"}}, "name metadata"),
    "a name with a colon": ({"metadata": {"a:b": "1"}}, "name metadata"),
    "an empty name": ({"metadata": {"": "1"}}, "name metadata"),
    "too much metadata": ({"metadata": {"a": "ü" * 400}}, "2048 bytes"),
    "text": ({"data": "text"}, "not str"),
    "a text file": ({"data": io.StringIO("text")}, "open files with 'rb'"),
    "a number": ({"data": 7}, "not int"),
    "pieces of text": ({"data": [b"1", "2"]}, "gave str"),
    "pieces of numbers": ({"data": [1, 2]}, "gave int"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_cannot_be_stored(storage: Storage, wrong: str) -> None:
    """The message says what is wrong, and nothing is stored."""
    arguments, message = WRONG[wrong]
    with pytest.raises((InvalidArgumentError, InvalidTypeError), match=message):
        await storage.put(KEY, **{"data": b"", **arguments})
    assert await keys(storage) == []


@pytest.mark.parametrize(
    "key",
    ["", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".hidden", "a\\b", "a%2fb", "a\0", "ü", "con", "a" * 201],
)
async def test_keys_that_are_refused(storage: Storage, key: str) -> None:
    """No method lets such a key through to the place."""
    calls: Iterator[Any] = iter(
        (
            *(storage.put(key, b""), storage.get(key), storage.head(key), storage.exists(key), storage.delete(key)),
            *(storage.delete_many([key]), storage.copy(key, "a"), storage.copy("a", key), read(storage.stream(key))),
            *(storage.move(key, "a"), storage.move("a", key)),
        )
    )
    for call in calls:
        with pytest.raises(InvalidArgumentError):
            await call
    with pytest.raises(InvalidArgumentError):
        storage.presign(key)


async def test_keys_of_the_greatest_length(storage: Storage) -> None:
    """What is allowed works everywhere."""
    for key in ("a" * 200, "/".join(["a" * 100] * 9)):
        await storage.put(key, b"1", metadata={"a": "b"})
        assert (await storage.head(key)).metadata == {"a": "b"}
        assert await keys(storage) == [key]
        await storage.delete(key)


async def test_after_the_end(place: Place) -> None:
    """A closed storage does nothing, and says so."""
    storage = await place.connect()
    await storage.put(KEY, b"1")
    await storage.aclose()
    for call in (storage.get(KEY), storage.put(KEY, b"2"), keys(storage), storage.delete_many([KEY])):
        with pytest.raises(StorageError, match="is closed"):
            await call
    async with place.connect() as again:
        if place.kind != "memory":  # which ends with its last user
            assert await again.get(KEY) == b"1"


PROGRAM = """
import asyncio
from rustforge.storage import Storage

async def main():
    async with Storage.connect("memory://") as storage:
        await storage.put("a", bytes(5_000_000))
        assert [len(piece) async for piece in storage.stream("a", start=4_999_999)] == [1]

asyncio.run(main())
"""


@pytest.mark.parametrize("time", range(5))
def test_a_program_that_ends_at_once(time: int) -> None:
    """Threads that are still busy with the last call do not bring the process down."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


async def test_no_credentials_are_shown(place: Place) -> None:
    """Neither `repr()` nor `url` shows what stands before the host."""
    async with place.connect() as storage:
        assert "secret" not in f"{storage!r}{storage.url}"
        assert place.kind in storage.url
