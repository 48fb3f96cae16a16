"""The HTTP API of orders."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.requests import HTTPConnection

from rustforge.http import ApiResponse, NotFound, UnprocessableEntity, errors
from shop.jobs.orders import CHANNEL, STAFF
from shop.orders import service
from shop.schemas import NewOrder, OrderView
from shop.state import State, get_state, require_admin

router = APIRouter(prefix="/orders", tags=["orders"])

Key = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Makes a repeated request harmless.",
    ),
]


# --8<-- [start:place]
@router.post("", status_code=201, responses=errors(UnprocessableEntity))
async def place(
    new: NewOrder, state: State, response: Response, idempotency_key: Key = None
) -> ApiResponse[OrderView]:
    """Place an order."""
    order, is_new = await service.place_order(state, new, idempotency_key)
    if not is_new:
        response.status_code = 200
        return ApiResponse.success(order, "This order was placed before.")
    return ApiResponse.created(order, "Thank you for your order.")


# --8<-- [end:place]


@router.get("/{public_id}", responses=errors(NotFound))
async def show(public_id: uuid.UUID, state: State) -> ApiResponse[OrderView]:
    """Look at an order; its id is known to its customer only."""
    return ApiResponse.success(await service.find_order(state, public_id))


# --8<-- [start:listen]
async def may_listen(
    connection: HTTPConnection, channel: str, room: str | None
) -> bool:
    """Say who hears of orders: staff of all, and of one who knows its id."""
    if channel != CHANNEL or room is None:
        return False
    if room == STAFF:
        await require_admin(connection, await get_state(connection))
    return True


# --8<-- [end:listen]
