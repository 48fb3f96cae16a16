"""What every request of the application works with."""

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from rustforge.boot import BootContext
from rustforge.cache import Cache
from rustforge.http import Unauthorized
from shop.settings import ShopSettings


# --8<-- [start:state]
@dataclass(frozen=True, slots=True)
class AppState:
    """The settings, what boot() opened, and the cache of web requests."""

    settings: ShopSettings
    ctx: BootContext
    cache: Cache

    @classmethod
    def of(cls, settings: ShopSettings, ctx: BootContext) -> "AppState":
        """Take the connection of boot(), and do without Redis while it is away."""
        cache = Cache(
            ctx.cache.client, prefix=ctx.cache.prefix, when_unavailable="compute"
        )
        return cls(settings, ctx, cache)


async def get_state(connection: HTTPConnection) -> AppState:
    """Find the state that the lifespan has made."""
    state: AppState = connection.app.state.shop
    return state


State = Annotated[AppState, Depends(get_state)]
# --8<-- [end:state]


async def require_admin(connection: HTTPConnection, state: State) -> None:
    """Let in who has the token: in a header, or in the cookie of the demo."""
    kind, _, token = connection.headers.get("Authorization", "").partition(" ")
    given = (
        token
        if kind.lower() == "bearer"
        else connection.cookies.get("admin_token", "")
    )
    expected = state.settings.admin_token.get_secret_value()
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})


Admin = Depends(require_admin)
