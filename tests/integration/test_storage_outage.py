"""S3 that is slow, fails or goes away: a clear error after a bounded number of tries, and nothing by halves."""

from __future__ import annotations

import asyncio
import random
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from rustforge.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    RustforgeError,
    StorageError,
    StorageUnavailableError,
)
from rustforge.storage import Storage
from tests.support.proxy import Plan, Proxy, serving
from tests.support.servers import free_port
from tests.support.storages import SECRET, S3Server, keys, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

LARGE = 20_000_000


def answering(status: str, body: str = "") -> tuple[Callable[..., Awaitable[None]], list[str]]:
    """Make a server that answers every request alike, and the list of what it was asked."""
    asked: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.partition(" HTTP")[0])
        length = next((line for line in head.lower().splitlines() if line.startswith("content-length:")), ":0")
        await reader.readexactly(int(length.partition(":")[2]))
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode())
        await writer.drain()

    return handle, asked


def url_of(port: int, options: str = "") -> str:
    """Name a bucket of a server on this machine."""
    return f"s3://key:s3cr3t@bucket/shop?endpoint=http://127.0.0.1:{port}&region=us-east-1{options}"


CALLS: dict[str, Callable[[Storage], Any]] = {
    "put": lambda storage: storage.put("a/b", b"1"),
    "a large put": lambda storage: storage.put("a/b", bytes(LARGE)),
    "get": lambda storage: storage.get("a/b"),
    "stream": lambda storage: read(storage.stream("a/b", start=1)),
    "head": lambda storage: storage.head("a/b"),
    "exists": lambda storage: storage.exists("a/b"),
    "delete": lambda storage: storage.delete("a/b"),
    "delete_many": lambda storage: storage.delete_many(["a/b"]),
    "copy": lambda storage: storage.copy("a/b", "c"),
    "list": keys,
}


async def fail(call: Callable[[Storage], Any], url: str) -> str:
    """Call, which must fail; return the one line that says why."""
    async with Storage.connect(url) as storage:
        with pytest.raises(StorageError) as caught:
            await call(storage)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("call", CALLS)
async def test_a_server_that_fails(call: str) -> None:
    """Each call is tried four times, then the error names the place and what was answered."""
    handle, asked = answering("503 Service Unavailable")
    async with serving(handle) as port:
        message = await fail(CALLS[call], url_of(port))
    assert message == f"s3://bucket/shop at http://127.0.0.1:{port} cannot be used: it answered 503 Service Unavailable"
    assert len(asked) == 4
    assert len(set(asked)) == 1


@pytest.mark.parametrize("call", CALLS)
async def test_nobody_is_there(call: str) -> None:
    """A connection that is refused is the same, in other words."""
    message = await fail(CALLS[call], url_of(free_port()))
    assert message.endswith("cannot be used: it cannot be reached, or did not answer in time")


@pytest.mark.parametrize("call", ["put", "get", "head", "delete", "list"])
async def test_a_server_that_does_not_answer(call: str) -> None:
    """Nobody waits longer than the URL's timeout, a few times."""
    asked = 0

    async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        await asyncio.Event().wait()

    async with serving(handle) as port:
        message = await fail(CALLS[call], url_of(port, "&timeout=0.3"))
    assert message.endswith("cannot be used: it cannot be reached, or did not answer in time")
    assert 1 <= asked <= 4


REFUSED = {
    "403 Forbidden": "refused access: check the credentials, and what they permit",
    "401 Unauthorized": "refused access: check the credentials, and what they permit",
    "301 Moved Permanently": "cannot be used: the bucket is in another region; add ?region= to the URL",
    "400 Bad Request": "cannot be used: it answered 400 Bad Request",
}


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("call", ["put", "get", "head", "list", "delete_many"])
async def test_a_server_that_refuses(call: str, status: str) -> None:
    """What cannot succeed is not tried again; the message says what to look at."""
    handle, asked = answering(status)
    async with serving(handle) as port:
        assert (await fail(CALLS[call], url_of(port))).endswith(REFUSED[status])
    assert len(asked) == 1


async def test_a_bucket_that_does_not_exist(s3_server: S3Server) -> None:
    """It is not taken for an object that does not exist."""
    url = s3_server.url("no-such-bucket")
    for name in ("put", "a large put", "get", "stream", "list", "delete_many"):
        assert (await fail(CALLS[name], url)).endswith("there is no such bucket"), name
    async with Storage.connect(url) as storage:
        with pytest.raises(ObjectNotFoundError):  # all that S3 tells here
            await storage.head("a/b")


async def test_an_outage_that_passes(s3_server: S3Server) -> None:
    """Connections that are cut before an answer are made again, and nobody notices."""
    bucket = s3_server.bucket()
    async with Proxy(s3_server.port) as proxy, Storage.connect(s3_server.url(bucket, proxy.port)) as storage:
        for call in ("put", "head", "get", "list", "copy", "delete", "delete_many", "a large put"):
            await storage.put("a/b", b"1")
            await proxy.cut()
            proxy.plans.extend([Plan(cut_up=0), Plan(cut_down=0, reset=True)])
            await CALLS[call](storage)
        assert (await storage.head("a/b")).size == LARGE
    assert s3_server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


async def test_an_answer_that_breaks_off(s3_server: S3Server) -> None:
    """The rest of the object is asked for again; who reads gets each byte once."""
    data = random.Random(0).randbytes(LARGE)
    async with (
        Proxy(s3_server.port) as proxy,
        Storage.connect(s3_server.url(s3_server.bucket(), proxy.port)) as storage,
    ):
        await storage.put("a/b", data)
        for read_all in (storage.get, lambda key: read(storage.stream(key))):
            await proxy.cut()
            proxy.plans.extend([Plan(cut_down=5_000_000), Plan(cut_down=7_000_000, reset=True)])
            assert await read_all("a/b") == data


async def test_an_outage_in_the_middle_of_an_answer(s3_server: S3Server) -> None:
    """Where there is no rest to be had, the stream ends with an error, never early."""
    async with Proxy(s3_server.port) as proxy:
        url = s3_server.url(s3_server.bucket(), proxy.port, "&timeout=1")
        async with Storage.connect(url) as storage:
            await storage.put("a/b", bytes(LARGE))
            await proxy.cut()
            proxy.default = Plan(cut_down=0)
            proxy.plans.append(Plan(cut_down=5_000_000))
            with pytest.raises(StorageUnavailableError):
                await read(storage.stream("a/b"))


async def test_an_outage_in_the_middle_of_a_put(s3_server: S3Server) -> None:
    """The object that was there stays; the next put goes well."""
    async with Proxy(s3_server.port) as proxy:
        url = s3_server.url(s3_server.bucket(), proxy.port, "&timeout=1")
        async with Storage.connect(url) as storage:
            await storage.put("a/b", b"before")

            async def pieces() -> AsyncIterator[bytes]:
                for number in range(20):
                    if number == 15:
                        proxy.refuse()
                        await proxy.cut()
                    yield bytes(1_000_000)

            with pytest.raises(StorageUnavailableError):
                await storage.put("a/b", pieces())
            await proxy.accept()
            assert await storage.get("a/b") == b"before"
            await storage.put("a/b", bytes(LARGE))
            assert (await storage.head("a/b")).size == LARGE


async def test_memory_stays_bounded(s3_server: S3Server) -> None:
    """A source is not read further ahead of S3 than a few parts."""
    sent, ahead = 0, 0
    async with (
        Proxy(s3_server.port) as proxy,
        Storage.connect(s3_server.url(s3_server.bucket(), proxy.port)) as storage,
    ):

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal sent, ahead
            for _ in range(160):
                yield bytes(1_000_000)
                sent += 1_000_000
                ahead = max(ahead, sent - proxy.passed)

        stored = await storage.put("a/b", pieces())
    assert stored.size == 160_000_000
    assert ahead < 80_000_000


async def test_a_put_that_is_cancelled_in_an_outage(s3_server: S3Server) -> None:
    """Nobody waits for S3 to come back."""
    reached = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(20):
            if number == 15:
                proxy.refuse()
                await proxy.cut()
                reached.set()
            yield bytes(1_000_000)

    async with Proxy(s3_server.port) as proxy:
        url = s3_server.url(s3_server.bucket(), proxy.port)
        async with Storage.connect(url) as storage:
            task = asyncio.create_task(storage.put("a/b", pieces()))
            await reached.wait()
            task.cancel()
            with pytest.raises((asyncio.CancelledError, StorageUnavailableError)):
                await task


async def test_a_put_that_is_cancelled_while_s3_is_slow(s3_server: S3Server) -> None:
    """The parts are given up as soon as S3 answers again, however fast the source is."""
    reached, bucket = asyncio.Event(), s3_server.bucket()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            if number == 15:
                proxy.stall()
                reached.set()
            yield bytes(1_000_000)

    async with Proxy(s3_server.port) as proxy, Storage.connect(s3_server.url(bucket, proxy.port)) as storage:
        task = asyncio.create_task(storage.put("a/b", pieces()))
        await reached.wait()
        task.cancel()
        await asyncio.sleep(0)
        proxy.flow()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await keys(storage) == []
    assert s3_server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


async def test_a_large_object_that_may_not_overwrite(s3_server: S3Server) -> None:
    """Of two large puts at once, the one that ends last finds the other's object, and leaves it."""
    async with Storage.connect(s3_server.url(s3_server.bucket()), secret=SECRET) as storage:
        first_is_there = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield bytes(1_000_000)
            await first_is_there.wait()

        second = asyncio.create_task(storage.put("a/b", pieces(), overwrite=False))
        await asyncio.sleep(0)
        await storage.put("a/b", b"first", overwrite=False)
        first_is_there.set()
        with pytest.raises(ObjectExistsError):
            await second
        assert await storage.get("a/b") == b"first"


async def test_a_large_object_where_there_is_one(s3_server: S3Server) -> None:
    """It is not sent before we have looked."""
    async with Storage.connect(s3_server.url(s3_server.bucket()), secret=SECRET) as storage:
        taken = 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal taken
            for _ in range(100):
                taken += 1
                yield bytes(1_000_000)

        await storage.put("a/b", b"first")
        with pytest.raises(ObjectExistsError):
            await storage.put("a/b", pieces(), overwrite=False)
        assert taken < 12


def test_errors_have_one_root() -> None:
    """Whoever catches `StorageError` catches all of them."""
    assert all(
        issubclass(kind, StorageError) and issubclass(kind, RustforgeError)
        for kind in (ObjectExistsError, ObjectNotFoundError, StorageUnavailableError)
    )
