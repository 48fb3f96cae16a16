"""The shop in tests: everything on the context that Rustforge's plugin gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shop.main import create_app
from shop.migrations import upgrade
from shop.settings import ShopSettings
from shop.state import AppState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI
    from httpx2 import AsyncClient

    from rustforge.boot import BootContext
    from rustforge.db import Database

TOKEN = "a token of the tests"


# --8<-- [start:settings]
@pytest.fixture
def settings() -> ShopSettings:
    """Give settings of the tests, whatever the environment says."""
    return ShopSettings(
        _env_file=None,
        database_url="sqlite://",
        mail_from="Shop <shop@example.com>",
        admin_token=TOKEN,
    )


@pytest.fixture
def rustforge_settings(settings: ShopSettings) -> ShopSettings:
    """Have the plugin take them; it puts in the addresses of the test."""
    return settings


# --8<-- [end:settings]


# --8<-- [start:tables]
@pytest.fixture
def rustforge_make_tables() -> Callable[[Database], Awaitable[None]]:
    """Make the tables as in production, once for all tests: by the migrations."""
    return upgrade


# --8<-- [end:tables]


# --8<-- [start:state]
@pytest.fixture
def ctx(rustforge_ctx: BootContext) -> BootContext:
    """Give database, cache, queue and storage, of which nothing is left."""
    return rustforge_ctx


@pytest.fixture
def state(settings: ShopSettings, ctx: BootContext) -> AppState:
    """Give what services work with."""
    return AppState.of(settings, ctx)


# --8<-- [end:state]


# --8<-- [start:client]
@pytest.fixture
def rustforge_app(settings: ShopSettings, ctx: BootContext) -> FastAPI:
    """Make the application on this context."""
    return create_app(settings, ctx=ctx)


@pytest.fixture
def client(rustforge_client: AsyncClient) -> AsyncClient:
    """Give a client; the application has started."""
    return rustforge_client


@pytest.fixture
def admin() -> dict[str, str]:
    """Give the header by which staff are let in."""
    return {"Authorization": f"Bearer {TOKEN}"}


# --8<-- [end:client]
