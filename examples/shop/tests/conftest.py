"""The application on memory:// and SQLite, in the test's own loop."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from httpx2 import ASGITransport, AsyncClient

import rustforge.db
from rustforge.boot import BootContext, boot
from shop.main import create_app
from shop.models import Base
from shop.settings import ShopSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fastapi import FastAPI

_numbers = itertools.count(1)
TOKEN = "a token of the tests"


@pytest.fixture
def settings(tmp_path: Path) -> ShopSettings:
    """Give settings of the test's own, whatever the environment says."""
    return ShopSettings(
        _env_file=None,
        redis_url=f"memory://shop-{next(_numbers)}",
        redis_prefix="shop",
        database_url=f"sqlite:///{tmp_path}/shop.db",
        storage_url="memory://",
        mail_url="memory:",
        mail_from="Shop <shop@example.com>",
        admin_token=TOKEN,
    )


@pytest.fixture
async def ctx(settings: ShopSettings) -> AsyncIterator[BootContext]:
    """Open the context, with all tables."""
    async with boot(settings) as ctx:
        async with ctx.db.engine.begin() as connection:
            for metadata in (Base.metadata, rustforge.db.metadata):
                await connection.run_sync(metadata.create_all)
        yield ctx


@pytest.fixture
async def app(settings: ShopSettings, ctx: BootContext) -> AsyncIterator[FastAPI]:
    """Start the application on the context."""
    app = create_app(settings, ctx=ctx)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Give a client of the application."""
    async with AsyncClient(
        transport=ASGITransport(app=app), base_url="http://shop"
    ) as client:
        yield client


@pytest.fixture
def admin() -> dict[str, str]:
    """Give the header by which staff are let in."""
    return {"Authorization": f"Bearer {TOKEN}"}
