"""An application of every kind of route, whose OpenAPI document is held against what it answers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Cookie, Depends, FastAPI, File, Form, Header, Path, Query, UploadFile
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from rustforge.http import (
    ApiResponse,
    AppError,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthorized,
    errors,
    install,
)

app = FastAPI(title="Conformance")
install(app, max_body_bytes=100_000, catalogues={"de": {"The request is not valid.": "Ungültige Anfrage."}})


class Conflict(AppError):  # noqa: N818 - as ours are named
    """Somebody was faster."""

    status = 409


class Line(BaseModel):
    """A line of an order."""

    code: str = Field(pattern="^[A-Z0-9]{1,8}$")
    quantity: int = Field(ge=1, le=1000)


class Order(BaseModel):
    """An order."""

    lines: list[Line] = Field(min_length=1, max_length=5)
    kind: Literal["gift", "normal"] = "normal"
    note: str | None = Field(default=None, max_length=50)


class Placed(Order):
    """An order that was placed."""

    id: int


orders: dict[int, Placed] = {}
OrderId = Annotated[int, Path(ge=1, le=1_000_000)]


@app.post("/orders", status_code=201, responses=errors(Conflict))
def place(order: Order) -> ApiResponse[Placed]:
    """Place an order."""
    if len(orders) >= 1000:
        raise Conflict
    placed = Placed(id=len(orders) + 1, **order.model_dump())
    orders[placed.id] = placed
    return ApiResponse.created(placed, "The order is placed.")


@app.get("/orders")
async def listed(
    limit: Annotated[int, Query(ge=1, le=100)] = 10, kind: Literal["gift", "normal"] | None = None
) -> ApiResponse[list[Placed]]:
    """List orders."""
    found = [order for order in orders.values() if kind in {None, order.kind}]
    return ApiResponse.success(found[:limit])


@app.get("/orders/{order_id}", responses=errors(NotFound))
async def shown(order_id: OrderId) -> ApiResponse[Placed]:
    """Show an order."""
    if order_id not in orders:
        raise NotFound
    return ApiResponse.success(orders[order_id])


Sent = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
Key = Annotated[str, Depends(APIKeyHeader(name="X-Key"))]


def require_user(sent: Sent) -> None:
    """Let one user in."""
    if sent.credentials != "eva":
        raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})


def require_key(key: Key) -> None:
    """Let one key in."""
    if key != "k":
        raise Unauthorized


@app.delete("/orders/{order_id}", dependencies=[Depends(require_user)], responses=errors(NotFound, Forbidden))
async def removed(order_id: OrderId) -> ApiResponse[None]:
    """Remove an order."""
    if orders.pop(order_id, None) is None:
        raise NotFound
    return ApiResponse.success(None)


router = APIRouter(
    prefix="/reports", dependencies=[Depends(require_key)], responses=errors(Unauthorized, TooManyRequests)
)


@router.get("/daily")
async def daily(
    x_zone: Annotated[str, Header(max_length=20, pattern="^[A-Za-z/]+$")] = "UTC",
    theme: Annotated[Literal["light", "dark"], Cookie()] = "light",
) -> ApiResponse[dict[str, int]]:
    """Count."""
    return ApiResponse.success({"orders": len(orders)}, f"In {x_zone}, {theme}.")


app.include_router(router)


@app.post("/notes")
async def noted(text: Annotated[str, Form(min_length=1, max_length=20)]) -> ApiResponse[int]:
    """Take a form."""
    return ApiResponse.success(len(text))


@app.post("/files")
async def filed(file: Annotated[UploadFile, File()]) -> ApiResponse[int]:
    """Take a file."""
    return ApiResponse.success(len(await file.read()))
