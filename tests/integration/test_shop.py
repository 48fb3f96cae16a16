"""The example shop on real servers: as separate processes, without its Redis, and as redis-cli shows it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from PIL import Image

from rustforge.boot import boot
from rustforge.notify import RealtimePublisher, verify_webhook
from shop.main import create_app
from shop.migrations import upgrade
from shop.settings import ShopSettings
from shop.state import AppState
from shop.tests.world import Mailbox, Receiver, serve_mail, serve_receiver
from tests.support.servers import RedisServer
from tests.support.wait import wait_until
from tools.snippets import read_sections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.postgres import PostgresServer
    from tests.support.storages import S3Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TRANSCRIPT = EXAMPLES / "snippets" / "cookbook" / "redis.console"
ADMIN = {"Authorization": "Bearer secret"}
ARTICLE = {"slug": "mugs", "title": "How our mugs are made", "body": "Of clay, and fired twice."}
ORDER = {"customer_email": "ada@example.com", "items": [{"sku": "mug", "quantity": 2}]}


@contextmanager
def process(env: dict[str, str], folder: Path, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process of the shop; at the end it must stop by itself when it is told to."""
    log = (folder / f"{arguments[1].strip('-')}.log").open("w+")
    command = [sys.executable, "-m", *arguments]
    running = subprocess.Popen(command, cwd=EXAMPLES, env=env, stdout=log, stderr=log, text=True, **options)
    try:
        yield running
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) in {0, -signal.SIGTERM}, log.name  # uvicorn ends by the signal that it was given
    finally:
        running.kill()
        running.wait()
        log.close()


def picture() -> bytes:
    """Make a small picture."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "teal").save(file, "PNG")
    return file.getvalue()


async def test_web_worker_and_scheduler_on_postgresql_redis_and_s3(
    postgres_server: PostgresServer, redis_server: RedisServer, s3_server: S3Server, prefix: str, tmp_path: Path
) -> None:
    """The code that the demo runs in one process runs as three, on real servers, and only settings differ."""
    mailbox, receiver = Mailbox(), Receiver()
    async with AsyncExitStack() as stack:
        env = {
            **os.environ,
            "DATABASE_URL": postgres_server.create_database(),
            "REDIS_URL": redis_server.url,
            "REDIS_PREFIX": prefix,
            "STORAGE_URL": s3_server.url(s3_server.bucket()),
            "SECRET_KEY": "a secret of the tests, which is long enough",
            "MAIL_URL": await stack.enter_async_context(serve_mail(mailbox)),
            "MAIL_FROM": "Shop <shop@example.com>",
            "WEBHOOK_ALLOW_PRIVATE": "1",
            "ADMIN_TOKEN": "secret",
        }
        await stack.enter_async_context(serve_receiver(receiver))
        upgrading = [sys.executable, "-m", "alembic", "-c", "shop/alembic.ini", "upgrade", "heads"]
        subprocess.run(upgrading, cwd=EXAMPLES, env=env, check=True, capture_output=True)  # noqa: ASYNC221 - first
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # from here on a request waits until the server is there
        web = ("uvicorn", "--factory", "shop.main:create_app", "--fd", str(listener.fileno()))
        stack.enter_context(process(env, tmp_path, *web, pass_fds=[listener.fileno()]))
        stack.enter_context(process(env, tmp_path, "rustforge.cli", "worker", "shop.worker:registry"))
        stack.enter_context(process(env, tmp_path, "rustforge.cli", "scheduler", "shop.worker:make_scheduler"))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = await stack.enter_async_context(AsyncClient(base_url=address, headers=ADMIN, timeout=30))

        made = await client.post("/articles", json=ARTICLE)
        assert made.status_code == 201, made.text
        article = made.json()["data"]["id"]
        cover = await client.put(f"/articles/{article}/cover", files={"file": ("x.png", picture(), "image/png")})
        assert cover.status_code == 200, cover.text
        async with AsyncClient() as anybody:
            stored = await anybody.get(cover.json()["data"]["url"])
        assert (stored.status_code, stored.headers["content-type"]) == (200, "image/png")

        async def is_found() -> bool:
            answer = await client.get("/articles/search", params={"word": "clay"})
            return bool(answer.json()["data"])

        await wait_until(is_found, timeout=30)

        added = await client.post("/webhooks", json={"url": receiver.url})
        order = (await client.post("/orders", json=ORDER)).json()["data"]

        async def all_sent() -> bool:
            counts = (await client.get("/deliveries/counts")).json()["data"]
            return bool(counts == {"pending": 0, "sent": 4, "failed": 0, "skipped": 0})

        await wait_until(all_sent, timeout=30)
        assert [mail["To"] for mail in mailbox.mails] == ["ada@example.com"]
        ((headers, body),) = receiver.received
        event_id = f"order-placed:{order['public_id']}"
        assert verify_webhook(headers, body, added.json()["data"]["secret"]) == event_id
        async with (
            RealtimePublisher.connect(redis_server.url, prefix=prefix) as realtime,
            realtime.subscribe("orders", order["public_id"], since="0-0") as events,
        ):
            assert getattr(await anext(events), "event_id", "") == event_id


@asynccontextmanager
async def open_shop(redis_url: str, folder: Path) -> AsyncIterator[AsyncClient]:
    """Open the shop in this process, on a real Redis, and give a client of it."""
    settings = ShopSettings(
        redis_url=redis_url,
        redis_prefix="shop",
        database_url=f"sqlite:///{folder}/shop.db",
        admin_token="secret",
    )
    async with boot(settings) as ctx:
        await upgrade(ctx.db)
        app = create_app(settings)
        app.state.shop = AppState.of(settings, ctx)
        async with AsyncClient(transport=ASGITransport(app=app), base_url="http://shop", headers=ADMIN) as client:
            yield client


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Run a Redis of the test's own."""
    with RedisServer() as server:
        yield server


async def test_pages_are_served_while_redis_is_away(own_redis: RedisServer, tmp_path: Path) -> None:
    """Articles are read from the database, views are not counted, and a write is answered; afterwards all is right."""
    async with open_shop(own_redis.url, tmp_path) as client:
        article = (await client.post("/articles", json=ARTICLE)).json()["data"]["id"]
        assert (await client.get("/articles/mugs")).json()["data"]["views"] == 1

        own_redis.kill()
        listed = await client.get("/articles")
        read = await client.get("/articles/mugs")
        changed = await client.patch(f"/articles/{article}", json={"title": "Mugs"})

        assert (listed.status_code, read.status_code, changed.status_code) == (200, 200, 200)
        assert read.json()["data"]["views"] == 0  # what the row has

        own_redis.start()
        await wait_until(lambda: _answers(client, "Mugs"), timeout=20)


async def _answers(client: AsyncClient, title: str) -> bool:
    answer = await client.get("/articles/mugs")
    return bool(answer.json()["data"]["title"] == title and answer.json()["data"]["views"] == 1)


async def test_redis_cli_shows_what_the_chapter_says(own_redis: RedisServer, tmp_path: Path) -> None:
    """What chapter 10 shows of redis-cli is what Redis answers at that moment."""
    sections = read_sections(TRANSCRIPT.read_text())
    async with open_shop(own_redis.url, tmp_path) as client:
        article = (await client.post("/articles", json=ARTICLE)).json()["data"]["id"]
        await client.get("/articles")
        assert await look(own_redis, sections["look"]) == sections["look"]

        await client.get("/articles/mugs")
        await client.patch(f"/articles/{article}", json={"title": "Mugs, by hand"})
        assert await look(own_redis, sections["change"]) == sections["change"]


async def look(server: RedisServer, transcript: str) -> str:
    """Ask what a transcript asks, and write down the answers as redis-cli does."""
    from rustforge.redis import connect  # noqa: PLC0415 - beside what it is for

    lines: list[str] = []
    async with connect(server.url) as client:
        for command in re.findall(r"^\$ redis-cli (.*)$", transcript, re.MULTILINE):
            lines += [f"$ redis-cli {command}", shown(await client.call(*command.split()))]
    return "\n".join(lines)


def shown(answer: object) -> str:
    """Write an answer as redis-cli does on a terminal; a time to live just begun as a whole one."""
    if answer is None:
        return "(nil)"
    if isinstance(answer, int):
        return f"(integer) {300 if 290 < answer <= 300 else answer}"
    assert isinstance(answer, bytes)
    return json.dumps(answer.decode())
