"""Place orders: the order, and what follows from it, in one transaction."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from rustforge.http import NotFound, UnprocessableEntity, Validation
from rustforge.jobs import JobBuffer
from shop.jobs.orders import OrderPlacedFanout
from shop.models import Order, OrderItem
from shop.schemas import OrderView

if TYPE_CHECKING:
    from shop.schemas import NewOrder
    from shop.state import AppState

PRICES = {"mug": 1200, "notebook": 900, "lamp": 4900}
"""What there is to buy, in cents: prices are the shop's to say."""

CURRENCY = "EUR"


# --8<-- [start:place]
async def place_order(
    state: AppState, new: NewOrder, key: str | None
) -> tuple[OrderView, bool]:
    """Place an order, or find the one of this key; return whether it is new."""
    fingerprint = hashlib.sha256(new.model_dump_json().encode()).hexdigest()
    try:
        async with state.ctx.db.transaction() as session:
            order = make_order(new, key, fingerprint)
            session.add(order)
            await session.flush()
            event_id = f"order-placed:{order.public_id}"
            await OrderPlacedFanout(order_id=order.id, event_id=event_id).dispatch(
                JobBuffer(session)
            )
            return OrderView.model_validate(order), True
    except IntegrityError:
        found = (
            None if key is None else await find_repeated(state, key, fingerprint)
        )
        if found is None:
            raise
        return found, False


# --8<-- [end:place]


def make_order(new: NewOrder, key: str | None, fingerprint: str) -> Order:
    """Write an order, with the shop's prices."""
    unknown = {
        f"items.{n}.sku": "There is no such thing."
        for n, one in enumerate(new.items)
        if one.sku not in PRICES
    }
    if unknown:
        raise Validation("Some of it cannot be ordered.", unknown)
    items = [
        OrderItem(sku=one.sku, quantity=one.quantity, price_cents=PRICES[one.sku])
        for one in new.items
    ]
    return Order(
        public_id=uuid.uuid4(),
        customer_email=new.customer_email,
        total_cents=sum(item.quantity * item.price_cents for item in items),
        currency=CURRENCY,
        idempotency_key=key,
        fingerprint=fingerprint,
        items=items,
    )


# --8<-- [start:repeated]
async def find_repeated(
    state: AppState, key: str, fingerprint: str
) -> OrderView | None:
    """Find the order of a key, and refuse the key for another one."""
    async with state.ctx.db.reading() as session:
        order = await session.scalar(
            select(Order).where(Order.idempotency_key == key)
        )
        if order is None:
            return None
        if order.fingerprint != fingerprint:
            raise UnprocessableEntity(
                "This Idempotency-Key was used for another order."
            )
        return OrderView.model_validate(order)


# --8<-- [end:repeated]


async def find_order(state: AppState, public_id: uuid.UUID) -> OrderView:
    """Find an order by the id that its customer has."""
    async with state.ctx.db.reading() as session:
        order = await session.scalar(
            select(Order).where(Order.public_id == public_id)
        )
        if order is None:
            raise NotFound("Order not found")
        return OrderView.model_validate(order)
