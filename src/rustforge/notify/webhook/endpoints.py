"""Where webhooks go: the endpoints that people have registered, as rows of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from rustforge import codec
from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.db.tables import webhook_endpoints as table
from rustforge.errors import InvalidArgumentError
from rustforge.jobs.envelope import new_id
from rustforge.notify.fanout import Target
from rustforge.notify.webhook.addresses import read_url
from rustforge.notify.webhook.deliver import DeliverWebhook
from rustforge.notify.webhook.signing import check_secret, new_secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    from rustforge.clock import Clock
    from rustforge.types import Duration

__all__ = ["WebhookEndpoint", "WebhookEndpoints"]

_PATTERN = re.compile(r"\*|[A-Za-z0-9_.:/-]{1,200}(\.\*)?", re.ASCII)
_DAY = 24 * 3600
_MOST_SECRETS = 5


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where somebody wants webhooks.

    Attributes:
        id: Its id; the `target` of its deliveries.
        url: The URL.
        events: Which events it wants: names, `order.*` for all that begin with `order.`, `*` for all.
        owner: Whose it is, as the application says it.
        description: A text for people.
        enabled: Whether it gets anything.
        disabled_reason: Why it gets nothing.
        failing_since: Since when every delivery has failed; `None` where the last one did not.
        created_at: When it was added.
        updated_at: When it was last changed.
        secret: The secret, in what `add` returns and nowhere else.
    """

    id: str
    url: str
    events: tuple[str, ...]
    owner: str
    description: str
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime
    secret: str | None = field(default=None, repr=False)

    def wants(self, event: str) -> bool:
        """Tell whether an event is among those that it wants."""
        return any(_matches(pattern, event) for pattern in self.events)


class WebhookEndpoints:
    """The endpoints in a database, within a transaction of the caller's.

    Example:
        ```python
        async with ctx.db.transaction() as session:
            endpoint = await WebhookEndpoints(session).add("https://example.com/hooks", ["order.*"])
        print(endpoint.secret)  # the only time that it is shown
        ```
    """

    def __init__(
        self, session: AsyncSession | AsyncConnection, *, allow_private: bool = False, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """Say where they are.

        Args:
            session: A session or connection of SQLAlchemy.
            allow_private: Whether URLs of this machine and of private networks, and by plain HTTP, can be added; the
                channel must allow it, too.
            clock: Where the time comes from.
        """
        self._session = session
        self._allow_private = allow_private
        self._clock = clock

    async def add(
        self,
        url: str,
        events: Iterable[str] = ("*",),
        *,
        owner: str = "",
        description: str = "",
        secret: str | None = None,
    ) -> WebhookEndpoint:
        """Add an endpoint.

        The URL is checked by its look; what its name resolves to is checked whenever something is sent, and by
        [`WebhookChannel.check`][rustforge.notify.WebhookChannel.check].

        Args:
            url: The URL.
            events: Which events it wants: names, `order.*` for all that begin with `order.`, `*` for all.
            owner: Whose it is, such as `"customer:7"`; `targets` takes only those of one owner.
            description: A text for people.
            secret: What signs, `whsec_` and the base64 of 24 to 64 bytes; `None` makes one.

        Returns:
            The endpoint, with its secret. Show it now: nothing else returns it.

        Raises:
            WebhookAddressError: Webhooks must not go there.
            InvalidArgumentError: An event cannot be used.
            ConfigurationError: The secret cannot be used.
        """
        read_url(url, allow_private=self._allow_private)
        now = self._now()
        chosen = new_secret() if secret is None else check_secret(secret)
        endpoint = WebhookEndpoint(
            id=f"we_{new_id()}",
            url=url,
            events=_checked(events),
            owner=owner,
            description=description,
            enabled=True,
            disabled_reason=None,
            failing_since=None,
            created_at=now,
            updated_at=now,
            secret=chosen,
        )
        values = {name: getattr(endpoint, name) for name in _COLUMNS}
        values |= {"events": _written(endpoint.events), "secrets": _written([[chosen, None]])}
        await self._session.execute(insert(table).values(values))
        return endpoint

    async def get(self, endpoint_id: str) -> WebhookEndpoint | None:
        """Look at one endpoint; `None` where there is none with this id."""
        row = (await self._session.execute(_SELECT.where(table.c.id == endpoint_id))).one_or_none()
        return None if row is None else _endpoint(row)

    async def update(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        events: Iterable[str] | None = None,
        description: str | None = None,
    ) -> bool:
        """Change an endpoint.

        Args:
            endpoint_id: Its id.
            url: Another URL; `None` leaves it, and so it is for the others.
            events: Which events it wants from now on.
            description: Another text.

        Returns:
            Whether there is such an endpoint.

        Raises:
            WebhookAddressError: Webhooks must not go there.
            InvalidArgumentError: An event cannot be used.
        """
        values: dict[str, Any] = {"updated_at": self._now()}
        if url is not None:
            read_url(url, allow_private=self._allow_private)
            values |= {"url": url, "failing_since": None}
        if events is not None:
            values["events"] = _written(_checked(events))
        if description is not None:
            values["description"] = description
        return await self._change(endpoint_id, values)

    async def rotate_secret(
        self, endpoint_id: str, *, overlap: Duration = _DAY, secret: str | None = None
    ) -> str | None:
        """Give an endpoint another secret; for a while both sign, so that the receiver can change over in peace.

        Args:
            endpoint_id: Its id.
            overlap: How long the old secret goes on signing: seconds as a number, or a `timedelta`. With 0 it ends
                now, as it must where others know it.
            secret: The new secret; `None` makes one.

        Returns:
            The new secret, to be shown now; `None` where there is no such endpoint.

        Raises:
            ConfigurationError: The secret cannot be used.
        """
        now = self._clock.time()
        until = now + milliseconds(overlap, "overlap", allow_zero=True) / 1000
        chosen = new_secret() if secret is None else check_secret(secret)
        locked = select(table.c.secrets).where(table.c.id == endpoint_id).with_for_update()
        text = (await self._session.execute(locked)).scalar_one_or_none()
        if text is None:
            return None
        old = [[one, until if end is None else min(end, until)] for one, end in codec.decode(text.encode())]
        kept = [[chosen, None], *[[one, end] for one, end in old if end > now and one != chosen]]
        await self._change(endpoint_id, {"secrets": _written(kept[:_MOST_SECRETS]), "updated_at": self._now()})
        return chosen

    async def enable(self, endpoint_id: str) -> bool:
        """Let an endpoint have webhooks again; return whether there is such an endpoint."""
        values = {"enabled": True, "disabled_reason": None, "failing_since": None, "updated_at": self._now()}
        return await self._change(endpoint_id, values)

    async def disable(self, endpoint_id: str, reason: str) -> bool:
        """Let an endpoint have no more webhooks; those that wait to be sent are skipped.

        Args:
            endpoint_id: Its id.
            reason: Why, for people.

        Returns:
            Whether there is such an endpoint.
        """
        return await self._change(endpoint_id, {"enabled": False, "disabled_reason": reason, "updated_at": self._now()})

    async def remove(self, endpoint_id: str) -> bool:
        """Remove an endpoint; return whether there was one. What waits to be sent to it is skipped."""
        gone = await self._session.execute(delete(table).where(table.c.id == endpoint_id).returning(table.c.id))
        return gone.first() is not None

    async def targets(
        self, event: str, data: Any, *, owner: str = "", job: type[DeliverWebhook] = DeliverWebhook
    ) -> list[Target]:
        """Find who wants an event, for [`fan_out`][rustforge.notify.fan_out].

        Args:
            event: The event's name, such as `"order.placed"`.
            data: What is said of it, as JSON. The body is `{"type": event, "timestamp": now, "data": data}`.
            owner: Whose endpoints; those that were added without an owner unless you say it.
            job: The class that delivers.

        Returns:
            A target for each endpoint of the owner that is enabled and wants the event.

        Raises:
            InvalidArgumentError: `data` is not JSON.

        Example:
            ```python
            async with ctx.db.transaction() as session:
                targets = await WebhookEndpoints(session).targets("order.placed", {"id": order.id})
                await fan_out(session, "order.placed", targets)
            ```
        """
        try:
            plain = codec.decode(codec.encode(data))
        except codec.EncodeError as error:
            msg = f"the data of {event} cannot be sent: {error}"
            raise InvalidArgumentError(msg) from error
        now = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = {"type": event, "timestamp": now, "data": plain}  # one for all, which is written once
        query = select(table.c.id, table.c.events).where(table.c.owner == owner, table.c.enabled)
        rows = await self._session.execute(query.order_by(table.c.created_at, table.c.id))
        return [
            Target(job.CHANNEL, row.id, message, job)
            for row in rows
            if any(_matches(pattern, event) for pattern in codec.decode(row.events.encode()))
        ]

    async def list(self, *, owner: str | None = None, enabled: bool | None = None) -> list[WebhookEndpoint]:
        """List the endpoints, the oldest first.

        Args:
            owner: Only those of this owner.
            enabled: Only those that get something, or only those that do not.
        """
        query = _SELECT
        if owner is not None:
            query = query.where(table.c.owner == owner)
        if enabled is not None:
            query = query.where(table.c.enabled.is_(enabled))
        rows = await self._session.execute(query.order_by(table.c.created_at, table.c.id))
        return [_endpoint(row) for row in rows]

    async def _change(self, endpoint_id: str, values: dict[str, Any]) -> bool:
        changed = await self._session.execute(
            update(table).where(table.c.id == endpoint_id).values(values).returning(table.c.id)
        )
        return changed.first() is not None

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time(), UTC)


_COLUMNS = tuple(name for name in WebhookEndpoint.__slots__ if name != "secret")
_SELECT = select(*[table.c[name] for name in _COLUMNS])


def _endpoint(row: Any) -> WebhookEndpoint:
    facts = row._asdict()
    facts["events"] = tuple(codec.decode(row.events.encode()))
    return WebhookEndpoint(**facts)


def _written(value: object) -> str:
    return codec.encode(value).decode()


def _checked(events: Iterable[str]) -> tuple[str, ...]:
    """Refuse events that cannot be used."""
    if isinstance(events, str):
        msg = f"events must be several names, such as [{events!r}], not a str"
        raise InvalidArgumentError(msg)
    found = tuple(dict.fromkeys(events))
    if not found or not all(_PATTERN.fullmatch(str(one)) for one in found):
        msg = f"events must be names such as 'order.placed', 'order.*' or '*', not {list(found)!r}"
        raise InvalidArgumentError(msg)
    return found


def _matches(pattern: str, event: str) -> bool:
    return pattern in {"*", event} or (pattern.endswith(".*") and event.startswith(pattern[:-1]))
