"""Start and end of an application."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rustforge.boot import boot
from rustforge.errors import BootError, RedisClosedError
from rustforge.settings import Settings
from tests.support.proxy import until
from tests.support.servers import RedisServer, free_port

if TYPE_CHECKING:
    from rustforge.cache import Cache

SECRET = "s3cr3t"
OPEN = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder without `.env`, and without the environment's settings."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def descriptors() -> int:
    """Count what this process has open."""
    return sum(1 for _ in OPEN.iterdir()) if OPEN.exists() else 0


async def fail(settings: Settings | None = None) -> str:
    """Boot, which must fail with one line and leave nothing open; return the line."""
    before, tasks = descriptors(), asyncio.all_tasks()
    with pytest.raises(BootError) as caught:
        async with boot(settings):
            pytest.fail("it started")
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in f"{message}{caught.value!r}{caught.value.__cause__!r}"
    assert asyncio.all_tasks() == tasks
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        gc.collect()
    assert heard == []
    await until(lambda: descriptors() <= before)
    return message


async def test_boot_without_anything_set() -> None:
    """It starts with no server at all, gives settings and cache, and closes the cache at the end."""
    async with boot() as ctx:
        assert ctx.settings == Settings()
        assert ctx.cache.prefix == "rustforge"
        await ctx.cache.set("a", "1")
        assert await ctx.cache.get("a") == "1"
    with pytest.raises(RedisClosedError):
        await ctx.cache.get("a")


async def test_boot_with_redis(redis_server: RedisServer, prefix: str) -> None:
    """Settings that are passed are those that count."""
    async with boot(Settings(redis_url=redis_server.url, redis_prefix=prefix)) as ctx:
        await ctx.cache.set("a", "1")
        assert await ctx.cache.client.call("GET", f"{prefix}:a") == b"1"


async def test_an_error_inside_goes_out_as_it_is() -> None:
    """What the application raises is not dressed up, and the cache is closed."""
    caches: list[Cache] = []

    async def application() -> None:
        async with boot() as ctx:
            caches.append(ctx.cache)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await application()
    with pytest.raises(RedisClosedError):
        await caches[0].get("a")


async def test_no_server_there(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the setting, the address without password, and what happened."""
    caplog.set_level(logging.DEBUG)
    port = free_port()
    message = await fail(Settings(redis_url=f"redis://app:{SECRET}@127.0.0.1:{port}/0"))
    assert message.startswith(f"REDIS_URL=redis://127.0.0.1:{port}/0: Redis at 127.0.0.1:{port} cannot be reached")
    assert SECRET not in caplog.text


async def test_wrong_password(caplog: pytest.LogCaptureFixture) -> None:
    """A refused password is told without repeating it."""
    caplog.set_level(logging.DEBUG)
    with RedisServer("--requirepass", "right") as server:
        message = await fail(Settings(redis_url=f"redis://:{SECRET}@127.0.0.1:{server.port}/0"))
        assert message.startswith(f"REDIS_URL=redis://127.0.0.1:{server.port}/0: ")
        assert "refused the user or password" in message
        assert "needs a password" in await fail(Settings(redis_url=f"redis://127.0.0.1:{server.port}/0"))
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("http://host/", "REDIS_URL=http://host/: Redis URL has the unknown scheme 'http'"),
        ("redis://host/x", "REDIS_URL=redis://host/x: Redis database 'x' is not a number"),
        (f"redis://u:{SECRET}#@host", "REDIS_URL=redis://...: Redis URL cannot be taken apart"),
        (f"redis://u:{SECRET}/@host", "REDIS_URL=redis://...: "),
        (f"u:{SECRET}@host", "REDIS_URL=...: Redis URL has no scheme that is known"),
        ("", "REDIS_URL=: Redis URL has no scheme that is known"),
    ],
)
async def test_urls_that_are_not_understood(url: str, start: str) -> None:
    """A wrong URL is named, without what may be its password."""
    assert (await fail(Settings(redis_url=url))).startswith(start)


async def test_a_prefix_that_cannot_be_used() -> None:
    """The prefix is named, not the URL."""
    assert (await fail(Settings(redis_prefix="a b"))).startswith("REDIS_PREFIX=a b: prefix 'a b' must be")


async def test_a_setting_of_the_wrong_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong variable is named, its value is not shown."""
    monkeypatch.setenv("DEBUG", SECRET)
    assert (await fail()).startswith("DEBUG: Input should be a valid boolean")


async def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A `.env` that is not text is named."""
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    assert (await fail()).startswith("the file .env cannot be read: ")
