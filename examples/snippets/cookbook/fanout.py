"""The shop with a mail server and a receiver of webhooks."""

# --8<-- [start:app]
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from rustforge.boot import boot
from rustforge.notify import WebhookEndpoints
from rustforge.testing import run_until_empty

sys.path.insert(0, str(Path(__file__).parents[2]))  # the folder of the shop's
from shop.main import create_app
from shop.migrations import upgrade
from shop.settings import ShopSettings
from shop.state import AppState
from shop.tests.world import Mailbox, Receiver, serve_mail, serve_receiver
from shop.worker import registry

settings = ShopSettings(
    database_url="sqlite:///shop.db",
    redis_prefix="shop",
    mail_from="Shop <shop@example.com>",
    webhook_allow_private=True,  # the receiver is on this machine
    admin_token="secret",
)
mailbox, receiver = Mailbox(), Receiver()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with serve_mail(mailbox) as url, serve_receiver(receiver):
        chosen = settings.model_copy(update={"mail_url": url})
        async with boot(chosen) as ctx:
            await upgrade(ctx.db)
            async with ctx.db.transaction() as session:
                endpoints = WebhookEndpoints(session, allow_private=True)
                await endpoints.add(receiver.url, ["order.*"])
            app.state.shop = AppState.of(chosen, ctx)
            yield


app = create_app(settings)
app.router.lifespan_context = lifespan
# --8<-- [end:app]


# --8<-- [start:arrived]
@app.get("/arrived")
async def arrived() -> dict[str, Any]:
    ctx = app.state.shop.ctx
    await run_until_empty(ctx, registry)  # what a worker does all the time
    (mail,) = mailbox.mails
    ((headers, _),) = receiver.received
    events = ctx.realtime.subscribe("orders", "staff", since="0-0")
    async with events:
        event = await anext(events)
    return {
        "mail": {name: mail[name] for name in ("To", "Subject", "Message-ID")},
        "realtime": {"event": event.event, "event_id": event.event_id},
        "webhook": {
            name: headers[name]
            for name in ("webhook-id", "x-idempotency-key", "webhook-signature")
        },
    }


# --8<-- [end:arrived]
