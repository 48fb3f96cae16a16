"""Serve streams and WebSockets to browsers."""

# --8<-- [start:app]
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from rustforge.boot import boot
from rustforge.http import install, realtime_router


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with boot() as ctx:
        app.state.ctx = ctx
        yield


async def may_listen(
    connection: HTTPConnection, channel: str, room: str | None
) -> bool:
    user = connection.cookies.get("user")  # your session
    return channel == "orders" and room == f"user-{user}"


app = FastAPI(lifespan=lifespan)
install(app)
app.include_router(realtime_router(lambda: app.state.ctx, authorize=may_listen))
# --8<-- [end:app]


@app.post("/orders/{number}/pay", status_code=204)
async def pay(number: int) -> None:
    await app.state.ctx.realtime.publish(
        "orders", "order.paid", {"number": number}, room="user-7"
    )
