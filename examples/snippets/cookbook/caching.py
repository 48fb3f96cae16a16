"""The shop, in this process and without a server."""

# --8<-- [start:app]
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from rustforge.boot import boot

sys.path.insert(0, str(Path(__file__).parents[2]))  # the folder of the shop's
from shop.main import create_app
from shop.migrations import upgrade
from shop.settings import ShopSettings
from shop.state import AppState

settings = ShopSettings(
    database_url="sqlite:///shop.db", redis_prefix="shop", admin_token="secret"
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with boot(settings) as ctx:
        await upgrade(ctx.db)  # the tables, which a deployment makes by itself
        app.state.shop = AppState.of(settings, ctx)
        yield


app = create_app(settings)
app.router.lifespan_context = lifespan
# --8<-- [end:app]
