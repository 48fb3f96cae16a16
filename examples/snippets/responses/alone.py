"""Compare what an application answers without `install` and with it."""

import asyncio
import logging

from fastapi import FastAPI, HTTPException
from httpx2 import ASGITransport, AsyncClient

from rustforge.http import install

logging.getLogger("rustforge.http").addHandler(logging.NullHandler())


# --8<-- [start:app]
def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/items")
    async def items(limit: int) -> float:
        if limit > 100:
            raise HTTPException(400, "At most 100.")
        return 1 / limit

    return app


# --8<-- [end:app]


async def main() -> None:
    without, installed = make_app(), make_app()
    install(installed)
    for path in (
        "/things",
        "/items?limit=ten",
        "/items?limit=200",
        "/items?limit=0",
    ):
        print(f"GET {path}")
        for name, app in {"without": without, "with": installed}.items():
            transport = ASGITransport(app, raise_app_exceptions=False)
            client = AsyncClient(transport=transport, base_url="http://app")
            async with client:
                response = await client.get(path)
            print(f"  {name:>7}: {response.status_code} {response.text}")


asyncio.run(main())
