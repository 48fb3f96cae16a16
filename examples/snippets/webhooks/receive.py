"""Receive webhooks, each of them once."""

import asyncio

# --8<-- [start:receive]
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from rustforge.boot import boot
from rustforge.http import IncomingWebhook, install, verified_webhook
from rustforge.jobs import Job, JobContext
from rustforge.notify.webhook import new_secret, sign

SECRET = new_secret()  # the sender gave it to us


class Payment(BaseModel):
    type: str
    order_id: int


class BookPayment(Job):
    NAME = "shop.book_payment"
    webhook_id: str
    payment: Payment

    async def handle(self, ctx: JobContext) -> None: ...

    def unique_key(self) -> str:
        return self.webhook_id


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with boot() as ctx:
        app.state.ctx = ctx
        yield


app = FastAPI(lifespan=lifespan)
install(app)


@app.post("/hooks/payments", status_code=202)
async def receive(
    webhook: Annotated[
        IncomingWebhook[Payment], Depends(verified_webhook(SECRET, Payment))
    ],
) -> None:
    ctx = app.state.ctx
    if await ctx.cache.has(f"webhook:{webhook.id}"):
        return  # it came before, and was dealt with
    await BookPayment(webhook_id=webhook.id, payment=webhook.payload).dispatch(
        ctx.queue
    )
    await ctx.cache.set_ex(f"webhook:{webhook.id}", "1", 7 * 24 * 3600)


# --8<-- [end:receive]
from httpx2 import ASGITransport, AsyncClient  # noqa: E402


async def main() -> None:
    async with lifespan(app):
        # --8<-- [start:test]
        body = b'{"type": "payment.received", "order_id": 7}'
        headers = sign(body, SECRET, webhook_id="evt_1")
        transport = ASGITransport(app)
        async with AsyncClient(
            transport=transport, base_url="http://shop"
        ) as client:
            for _ in range(2):
                await client.post("/hooks/payments", content=body, headers=headers)
            forged = await client.post(
                "/hooks/payments", content=b"{}", headers=headers
            )
        print(await app.state.ctx.queue.size())
        print(forged.status_code, forged.json())
        # --8<-- [end:test]


asyncio.run(main())
