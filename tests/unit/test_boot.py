"""Start and end of an application."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from rustforge.boot import boot
from rustforge.errors import BootError, DatabaseError, RedisClosedError, StorageError
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


async def test_queue_and_extensions() -> None:
    """The queue works on the cache's connection and prefix; extensions are what was given, and cannot be changed."""
    given = {"mailer": object()}
    async with boot(extensions=given) as ctx:
        assert ctx.queue.client is ctx.cache.client
        assert ctx.queue.prefix == ctx.cache.prefix
        assert ctx.queue.shards == 1
        assert ctx.extensions == given
        with pytest.raises(TypeError):
            ctx.extensions["mailer"] = None  # type: ignore[index]
    async with boot() as ctx:
        assert ctx.extensions == {}


def test_sqlalchemy_is_loaded_by_those_who_use_it() -> None:
    """Importing the boot module, or starting without a database, loads no SQLAlchemy."""
    program = (
        "import asyncio, sys\nfrom rustforge.boot import boot\n"
        "async def main():\n    async with boot():\n        assert 'sqlalchemy' not in sys.modules\n"
        "asyncio.run(main())"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_the_default_database_is_there_when_it_is_used(tmp_path: Path) -> None:
    """Without DATABASE_URL nothing is opened before the first use, which finds the tables ready."""
    async with boot() as ctx:
        assert not (tmp_path / "rustforge.db").exists()
        async with ctx.db.transaction() as session:
            assert await session.scalar(text("SELECT count(*) FROM failed_jobs")) == 0
        assert ctx.db is ctx.db
        assert (tmp_path / "rustforge.db").exists()
    async with boot() as ctx:
        pass
    with pytest.raises(DatabaseError, match="has ended"):
        _ = ctx.db


async def test_a_database_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DATABASE_URL it is opened at the start, and its tables are left to the application."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/shop.db")
    async with boot() as ctx:
        assert (tmp_path / "shop.db").exists()
        async with ctx.db.reading() as session:
            assert await session.scalar(text("SELECT count(*) FROM sqlite_master")) == 0


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("sqlite:////nowhere/a/shop.db", "DATABASE_URL=sqlite:////nowhere/a/shop.db: unable to open database file"),
        ("oracle://host/shop", "DATABASE_URL=oracle://host/shop: the database must be SQLite ("),
        (f"postgresql://app:{SECRET}@host:x{SECRET}/shop", "DATABASE_URL=postgresql://...: it cannot be taken apart"),
        ("shop.db", "DATABASE_URL=shop.db: Could not parse SQLAlchemy URL"),
    ],
)
async def test_a_database_that_cannot_be_opened(url: str, line: str) -> None:
    """The line names the setting and the address without the password, and says what is wrong."""
    assert (await fail(Settings(database_url=url))).startswith(line)


async def test_no_database_there() -> None:
    """A server that does not answer is named without the password."""
    port = free_port()
    message = await fail(Settings(database_url=f"postgresql://app:{SECRET}@127.0.0.1:{port}/shop"))
    assert message.startswith(f"DATABASE_URL=postgresql://127.0.0.1:{port}/shop: ")
    assert "onnect" in message


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLAlchemy is missing, the line says what brings it; all else works."""
    for name in [name for name in sys.modules if name.startswith("rustforge.db")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] in {"sqlalchemy", "alembic"}]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.setitem(sys.modules, "alembic", None)
    assert (await fail(Settings(database_url="sqlite:///a.db"))).endswith("pip install 'rustforge[sql]'")
    async with boot() as ctx:
        await ctx.cache.set("a", "1")
        with pytest.raises(DatabaseError, match=r"is not installed; it comes with: pip install 'rustforge\[sql\]'"):
            _ = ctx.db


async def test_the_default_storage_is_there_when_it_is_used(tmp_path: Path) -> None:
    """Without STORAGE_URL nothing is made before the first object; handlers of jobs find it, too."""
    async with boot() as ctx:
        assert ctx.storage is ctx.storage
        assert not await ctx.storage.exists("a/b")
        assert not (tmp_path / "storage").exists()
        await ctx.storage.put("a/b", b"1")
        assert (tmp_path / "storage" / "a" / "b").read_bytes() == b"1"
    with pytest.raises(StorageError, match="is closed"):
        await ctx.storage.get("a/b")
    async with boot() as ctx:
        pass
    with pytest.raises(StorageError, match=r"STORAGE_URL=file:\./storage: the application has ended"):
        _ = ctx.storage


def test_the_default_storage_costs_nothing() -> None:
    """A program that stores no objects imports nothing for them."""
    program = (
        "import asyncio, sys\nfrom rustforge.boot import boot\n"
        "async def main():\n    async with boot():\n        pass\n"
        "asyncio.run(main())\n"
        "print(sorted({'obstore', 'itsdangerous', 'botocore', 'rustforge.storage'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_a_storage_that_was_chosen(tmp_path: Path) -> None:
    """With STORAGE_URL it is made at the start; SECRET_KEY signs for all processes alike."""
    settings = Settings(storage_url=f"file:{tmp_path}/files", secret_key=SecretStr("a long secret that is shared"))
    async with boot(settings) as ctx:
        assert (tmp_path / "files").is_dir()
        token = ctx.storage.presign_upload("a", max_size=1).token
    async with boot(settings.model_copy(update={"storage_url": "memory://"})) as ctx:
        assert ctx.storage.read_upload_token(token).max_size == 1
    assert "shared" not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (Settings(storage_url="ftp://host/a"), "STORAGE_URL=ftp://host/a: storage URL has the unknown scheme 'ftp'"),
        (
            Settings(storage_url=f"s3://k:{SECRET}@a"),
            "STORAGE_URL=s3://a: storage URL has no bucket that S3 would take",
        ),
        (
            Settings(storage_url="file:/dev/null/a"),
            "STORAGE_URL=file:/dev/null/a: the folder /dev/null/a cannot be used",
        ),
        (
            Settings(storage_url="memory://", secret_key=SecretStr(SECRET)),
            "SECRET_KEY: the secret for signatures needs",
        ),
    ],
)
async def test_a_storage_that_cannot_be_opened(settings: Settings, line: str) -> None:
    """The line names the setting and the address without the secret, and says what is wrong."""
    assert (await fail(settings)).startswith(line)


async def test_without_the_extra_of_the_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where obstore is missing, the line says what brings it; all else works."""
    for name in [name for name in sys.modules if name.startswith("rustforge.storage")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    async with boot() as ctx:
        await ctx.cache.set("a", "1")
        with pytest.raises(StorageError, match=r"obstore is not installed; .*'rustforge\[storage\]'"):
            _ = ctx.storage
