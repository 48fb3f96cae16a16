"""Large uploads: how fast, for how much processor time, and how much memory they take beside what was taken before."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from benchmarks import resident
from benchmarks.bench import count_rounds, summarise
from benchmarks.children import READY, Child, run
from benchmarks.storage.content import TYPE, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from obstore.store import ObjectStore
    from starlette.requests import Request

    from benchmarks.storage.scale import StorageScale

    Upload = Callable[[int], Awaitable[float]]

SECONDS = 400.0
"""How long all rounds to one place may take."""
SMALL = 1 << 20
"""What is uploaded before, so that what all uploads need is there."""
BASELINE = "obstore"
WAYS = {
    BASELINE: "obstore's own multipart put",
    "put": "Rustforge: `Storage.put`",
    "receive": "Rustforge: `receive`, with rules",
    "form": "Rustforge: a form over HTTP, `multipart` and `store_upload`",
}
PLACES = {"file": "Local disk", "s3": "S3 (moto)"}


class Uploader(Child):
    """A process that uploads, which may take long."""

    _seconds = 300.0


async def measure(scale: StorageScale, skipped: dict[str, str]) -> list[dict[str, Any]]:
    """Upload to every place in every way: round after round, each in a new process."""
    return [row for place in PLACES for row in await _measure_place(scale, place, skipped)]


async def _measure_place(scale: StorageScale, place: str, skipped: dict[str, str]) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in count_rounds(f"Uploads: {PLACES[place]}", SECONDS, scale.rounds, skipped):
        async with _open_place(place) as url:
            for way in [*WAYS][:: 1 if number % 2 else -1]:
                async with Uploader("benchmarks.storage.uploads", way=way, url=url, size=scale.upload) as child:
                    found[way].append(await child.result())
    return [
        {
            "place": PLACES[place],
            "client": WAYS[way],
            "key": f"{way}.{place}",
            "megabytes_per_second": summarise([scale.upload / one["seconds"] / 1e6 for one in rounds], 1),
            "ratio": summarise(
                [other["seconds"] / one["seconds"] for one, other in zip(rounds, found[BASELINE], strict=True)], 3
            ),
            "cpu_seconds_per_gigabyte": summarise([1e9 * one["cpu"] / scale.upload for one in rounds], 2),
            "memory": summarise([one["memory"] for one in rounds]),
        }
        for way, rounds in found.items()
    ]


@asynccontextmanager
async def _open_place(place: str) -> AsyncIterator[str]:
    if place == "file":
        with TemporaryDirectory() as folder:
            yield f"file:{folder}"
    else:
        async with Uploader("benchmarks.storage.s3") as server:
            yield str(await server.line())


def work(*, way: str, url: str, size: int) -> dict[str, float]:
    """In a child: upload a small file, then a large one.

    Returns:
        The seconds that the large one took, the processor time of this process, and by how many bytes it grew.
    """

    async def go() -> dict[str, float]:
        async with _OPEN[way](url) as upload:
            await upload(SMALL)
            before, cpu = resident.begin(), process_time()
            seconds = await upload(size)
            return {"seconds": seconds, "cpu": process_time() - cpu, "memory": resident.most() - before}

    return run(go())


@asynccontextmanager
async def _open_obstore(url: str) -> AsyncIterator[Upload]:
    import obstore  # noqa: PLC0415 - of the children only

    store = _store(url)
    attributes = None if url.startswith("file:") else {"Content-Type": TYPE}  # which files do not have

    async def upload(size: int) -> float:
        began = perf_counter()
        await obstore.put_async(store, "file.pdf", stream(size), attributes=attributes)
        seconds = perf_counter() - began
        await obstore.delete_async(store, "file.pdf")
        return seconds

    yield upload


def _store(url: str) -> ObjectStore:
    """Open what Rustforge would open, without Rustforge."""
    from obstore.store import LocalStore  # noqa: PLC0415

    from rustforge.storage.s3 import open_bucket  # noqa: PLC0415
    from rustforge.storage.url import StorageUrl  # noqa: PLC0415

    if url.startswith("file:"):
        return LocalStore(Path(url.removeprefix("file:")))
    return open_bucket(StorageUrl.parse(url))


@asynccontextmanager
async def _open_put(url: str) -> AsyncIterator[Upload]:
    from rustforge.storage import Storage  # noqa: PLC0415

    async with Storage.connect(url) as storage:

        async def upload(size: int) -> float:
            began = perf_counter()
            await storage.put("file.pdf", stream(size), content_type=TYPE)
            seconds = perf_counter() - began
            await storage.delete("file.pdf")
            return seconds

        yield upload


@asynccontextmanager
async def _open_receive(url: str) -> AsyncIterator[Upload]:
    from rustforge.attachments import AttachmentRules, receive  # noqa: PLC0415
    from rustforge.storage import Storage  # noqa: PLC0415

    async with Storage.connect(url) as storage:

        async def upload(size: int) -> float:
            rules = AttachmentRules(allowed=[TYPE], max_size=size)
            began = perf_counter()
            received = await receive(storage, stream(size), rules, owner="reports", field="file")
            seconds = perf_counter() - began
            await storage.delete(received.path)
            return seconds

        yield upload


@asynccontextmanager
async def _open_form(url: str) -> AsyncIterator[Upload]:
    """Serve an application that takes forms, in this process; another one sends them."""
    import uvicorn  # noqa: PLC0415
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    from rustforge.attachments import AttachmentRules  # noqa: PLC0415
    from rustforge.http import install, multipart, store_upload  # noqa: PLC0415
    from rustforge.storage import Storage  # noqa: PLC0415
    from tests.support.wait import wait_until  # noqa: PLC0415

    async with Storage.connect(url) as storage:
        most = 1 << 31
        rules = AttachmentRules(allowed=[TYPE], max_size=most)

        async def take(request: Request) -> JSONResponse:
            [stored] = [
                await store_upload(part, storage, rules, owner="reports", field="file")
                async for part in multipart(request, max_size=most)
            ]
            return JSONResponse(stored.path)

        app = Starlette(routes=[Route("/", take, methods=["POST"])])
        install(app)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_level="warning"))
            running = asyncio.create_task(server.serve([listener]))
            await wait_until(lambda: server.started)

            async def upload(size: int) -> float:
                async with Uploader("benchmarks.storage.send", port=port, size=size) as sender:
                    await sender.wait_for(READY)
                    sender.send("go")
                    found = await sender.result()
                await storage.delete(json.loads(found["body"]))
                return float(found["seconds"])

            yield upload
            server.should_exit = True
            await running


_OPEN = {BASELINE: _open_obstore, "put": _open_put, "receive": _open_receive, "form": _open_form}
