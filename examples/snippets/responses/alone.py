"""Compare what an application answers without `install` and with it."""

import asyncio
import logging

from fastapi import FastAPI, HTTPException
from httpx2 import ASGITransport, AsyncClient

from rustforge.http import install

logging.getLogger("rustforge.http").addHandler(logging.NullHandler())


# --8<-- [start:ask]
def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/items")
    async def items(limit: int) -> float:
        if limit > 100:
            raise HTTPException(400, "At most 100.")
        return 1 / limit

    return app


async def main() -> None:
    alone, with_install = make_app(), make_app()
    install(with_install)
    for path in [
        "/things",
        "/items?limit=ten",
        "/items?limit=200",
        "/items?limit=0",
    ]:
        print(path)
        for app in (alone, with_install):
            transport = ASGITransport(app, raise_app_exceptions=False)
            async with AsyncClient(
                transport=transport, base_url="http://app"
            ) as client:
                response = await client.get(path)
            print(f"    {response.status_code} {response.text}")


asyncio.run(main())
# --8<-- [end:ask]
