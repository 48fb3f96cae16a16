"""Let clients of a WebSocket say who they are, and see each other."""

import asyncio

from fastapi import APIRouter, WebSocket
from starlette.requests import HTTPConnection

# --8<-- [start:socket]
from rustforge.http import Unauthorized, realtime_router
from rustforge.notify import PresenceMember, RealtimePublisher

USERS = {"token-of-eva": PresenceMember("user-7", {"name": "Eva"})}


def authenticate(socket: WebSocket, token: str) -> PresenceMember | None:
    return USERS.get(token)


def may_listen(connection: HTTPConnection, channel: str, room: str | None) -> bool:
    if getattr(connection.state, "user", None) is None:
        raise Unauthorized
    return channel == "chat"


def presence(
    connection: HTTPConnection, channel: str, room: str | None
) -> PresenceMember | None:
    return connection.state.user if room is not None else None


def make_router(realtime: RealtimePublisher) -> APIRouter:
    return realtime_router(
        realtime,
        authorize=may_listen,
        authenticate=authenticate,
        presence=presence,
        origins=["https://shop.example.com"],
        heartbeat=20,
        retry=3,
        max_connections=5000,
        max_subscriptions=20,
        max_messages=50,
        max_message_bytes=10_000,
        prefix="/live",
    )


# --8<-- [end:socket]


async def main() -> None:
    async with RealtimePublisher.connect("memory://") as realtime:
        assert make_router(realtime).prefix == "/live"


asyncio.run(main())
