"""A client in the test's own event loop."""

import os
import sys
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from httpx2 import AsyncClient

from rustforge.boot import BootContext
from rustforge.http import ApiResponse, install
from rustforge.testing import open_client


async def current_user() -> str:
    return "nobody"


def create_app(ctx: BootContext) -> FastAPI:
    app = FastAPI()
    install(app)

    @app.get("/me")
    async def me(user: Annotated[str, Depends(current_user)]) -> ApiResponse[str]:
        await ctx.cache.increment(f"visits:{user}")
        return ApiResponse.success(user)

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    return app


# --8<-- [start:app]
@pytest.fixture
def rustforge_app(rustforge_ctx: BootContext) -> FastAPI:
    return create_app(rustforge_ctx)


async def test_who_am_i(
    rustforge_client: AsyncClient,
    rustforge_app: FastAPI,
    rustforge_ctx: BootContext,
) -> None:
    rustforge_app.dependency_overrides[current_user] = lambda: "ann"
    response = await rustforge_client.get("/me")
    assert response.json() == {"data": "ann"}
    assert await rustforge_ctx.cache.get("visits:ann") == "1"


# --8<-- [end:app]
# --8<-- [start:errors]
async def test_an_error(
    rustforge_client: AsyncClient, rustforge_app: FastAPI
) -> None:
    with pytest.raises(ZeroDivisionError):
        await rustforge_client.get("/broken")

    async with open_client(rustforge_app, raise_errors=False) as client:
        assert (await client.get("/broken")).status_code == 500


# --8<-- [end:errors]


if __name__ == "__main__":  # as `pytest` does, with nothing but the two plugins
    from pytest_asyncio import plugin as asyncio_plugin

    from rustforge.testing import plugin

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    modes = ["-oasyncio_mode=auto", "-oasyncio_default_fixture_loop_scope=function"]
    options = [*modes, f"-c{os.devnull}", "--rootdir=.", "-s", "-pno:terminal"]
    command = [*options, "-pno:cacheprovider", "--import-mode=importlib", __file__]
    sys.exit(pytest.main(command, plugins=[plugin, asyncio_plugin]))
