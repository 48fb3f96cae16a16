"""Mount the HTTP API of deliveries."""

# --8<-- [start:router]
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException

from rustforge.boot import boot
from rustforge.http import deliveries_router


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with boot() as ctx:
        app.state.ctx = ctx
        yield


async def require_admin(x_user: Annotated[str, Header()] = "") -> None:
    if x_user != "admin":  # stands for what your application asks
        raise HTTPException(403)


app = FastAPI(lifespan=lifespan)
deliveries = deliveries_router(lambda: app.state.ctx, authorize=require_admin)
app.include_router(deliveries, prefix="/admin")
# --8<-- [end:router]

for path, operations in app.openapi()["paths"].items():
    print(*[method.upper().ljust(5) + path for method in operations], sep="\n")
