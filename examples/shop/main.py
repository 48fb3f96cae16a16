"""The web application: `uvicorn --factory shop.main:create_app`."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request

from rustforge.boot import boot
from rustforge.http import (
    deliveries_router,
    files_app,
    install,
    jobs_router,
    realtime_router,
)
from shop.articles.routes import router as articles
from shop.endpoints.routes import router as endpoints
from shop.orders.routes import may_listen
from shop.orders.routes import router as orders
from shop.settings import ShopSettings
from shop.state import AppState, require_admin

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from rustforge.boot import BootContext
    from rustforge.storage import Storage


# --8<-- [start:app]
def create_app(
    settings: ShopSettings | None = None, *, ctx: BootContext | None = None
) -> FastAPI:
    """Make the application.

    Args:
        settings: The settings; `None` reads them from the environment.
        ctx: What `boot` has opened already, as tests do, and the demo, whose worker
            shares it.
    """
    chosen = settings or ShopSettings()

    # --8<-- [start:lifespan]
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with boot(chosen) if ctx is None else nullcontext(ctx) as opened:
            app.state.shop = AppState.of(chosen, opened)
            yield

    app = FastAPI(title="Shop", lifespan=lifespan)
    # --8<-- [end:lifespan]
    install(app, debug=chosen.debug, max_body_bytes=6 * 1024 * 1024)

    def context() -> BootContext:
        state: AppState = app.state.shop
        return state.ctx

    def storage(request: Request) -> Storage:
        del request
        return context().storage

    for router in (
        articles,
        orders,
        endpoints,
        jobs_router(context, authorize=require_admin),
        deliveries_router(context, authorize=require_admin),
        realtime_router(context, authorize=may_listen),
    ):
        app.include_router(router)
    app.mount("/files", files_app(storage))
    return app


# --8<-- [end:app]
