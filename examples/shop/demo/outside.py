"""The world around the shop: a mail server and a receiver that fail if told to."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from rustforge.errors import WebhookSignatureError
from rustforge.http import ApiResponse
from rustforge.notify import verify_webhook
from shop.state import Admin

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope

_MOST = 30


class Arrival(BaseModel):
    """What came in."""

    id: int
    kind: str
    note: str
    text: str
    good: bool
    at: datetime


class Alert(BaseModel):
    """An alert, as Apprise sends it to an address for JSON."""

    title: str
    message: str


class Failing(BaseModel):
    """What is to fail."""

    mail: bool = False
    receiver: bool = False


class FailingChange(BaseModel):
    """What is to fail from now on; the rest stays."""

    mail: bool | None = None
    receiver: bool | None = None


class Seen(BaseModel):
    """How it stands outside."""

    arrivals: list[Arrival]
    failing: Failing


@dataclass
class Outside:
    """The mail server, the receiver, and what came in."""

    secret: str = ""
    failing: Failing = field(default_factory=Failing)
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=_MOST))
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _known: set[str] = field(default_factory=set)

    def arrive(
        self, kind: str, key: str, text: str, *, good: bool = True, note: str = ""
    ) -> None:
        """Note what came in; what has the id of an earlier one is a repetition."""
        repeated = good and key in self._known
        if good:
            self._known.add(key)
        said = note or ("again, ignored" if repeated else "new")
        self.arrivals.appendleft(
            Arrival(
                id=next(self._numbers),
                kind=kind,
                note=said,
                text=text,
                good=good,
                at=datetime.now(UTC),
            )
        )

    # The mail server

    async def serve_mail(self) -> asyncio.Server:
        """Take mail on a free port."""
        return await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, hostname="localhost"), "127.0.0.1", 0
        )

    async def handle_DATA(
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        """Take a mail, or refuse it for now."""
        del server, session
        mail = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
        to = ", ".join(envelope.rcpt_tos)
        if self.failing.mail:
            self.arrive("Mail", "", f"to {to}", good=False, note="451 refused")
            return "451 Not now, please try again"
        self.arrive("Mail", str(mail["Message-ID"]), f"“{mail['Subject']}” to {to}")
        return "250 OK"

    # The receiver of webhooks

    def router(self) -> APIRouter:
        """Make the receiver, and what the page shows of it all."""
        router = APIRouter(prefix="/demo", tags=["demo"])

        @router.post("/receiver", status_code=204)
        async def receive(request: Request) -> Response:
            """Take a webhook, if it is signed and nothing is to fail."""
            if self.failing.receiver:
                self.arrive(
                    "Webhook",
                    "",
                    "not even looked at",
                    good=False,
                    note="503 refused",
                )
                return Response(status_code=503)
            try:
                webhook_id = verify_webhook(
                    request.headers, await request.body(), self.secret
                )
            except WebhookSignatureError as error:
                self.arrive(
                    "Webhook", "", str(error), good=False, note="401 not signed"
                )
                return Response(status_code=401)
            self.arrive(
                "Webhook", webhook_id, f"{(await request.json())['type']}, signed"
            )
            return Response(status_code=204)

        @router.post("/alert")
        async def alert(said: Alert) -> None:
            """Take what `failed()` has sent to the people who run the shop."""
            self.arrive(
                "Alert",
                "",
                f"{said.title}. {said.message}",
                note="somebody wakes up",
                good=False,
            )

        @router.get("/arrived", dependencies=[Admin])
        async def arrived() -> ApiResponse[Seen]:
            """Show what came in."""
            return ApiResponse.success(
                Seen(arrivals=list(self.arrivals), failing=self.failing)
            )

        @router.put("/failing", dependencies=[Admin])
        async def fail(change: FailingChange) -> ApiResponse[Failing]:
            """Let something fail, or work again."""
            self.failing = self.failing.model_copy(
                update=change.model_dump(exclude_none=True)
            )
            return ApiResponse.success(self.failing)

        return router
