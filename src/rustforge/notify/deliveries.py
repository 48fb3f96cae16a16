"""The record of what was delivered: rows of `deliveries`, to look at, to count and to forget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, Text, delete, func, literal, select, tuple_

from rustforge import codec
from rustforge.clock import SYSTEM_CLOCK, milliseconds
from rustforge.db.pages import read_cursor, require_limit, write_cursor
from rustforge.db.tables import deliveries as table
from rustforge.errors import InvalidArgumentError
from rustforge.jobs.rows import plain

if TYPE_CHECKING:
    from rustforge.db import Database
    from rustforge.types import Duration

__all__ = ["Deliveries", "Delivery", "DeliveryPage", "DeliveryStatus"]

DeliveryStatus: TypeAlias = Literal["pending", "sent", "failed", "skipped"]
"""Where a delivery stands: it waits or is being tried, it went out, it was given up, or it was not wanted any more."""

_SLICE = 1000


@dataclass(frozen=True, slots=True)
class Delivery:
    """What goes to one target of one channel for one event.

    Attributes:
        id: Its id, which is its job's, and never changes: what a channel needs to make its messages recognisable.
        event_id: The event's id, the same for all of its deliveries.
        event: The event's name.
        channel: The channel, such as `"mail"`.
        target: To whom on that channel, such as an address.
        status: Where it stands.
        message: What the channel sends, as plain JSON; under `unreadable` the text as it stands where that is none.
        attempts: How many attempts came to an end, whether good or bad.
        last_error: Why the last failed attempt failed, or why it was skipped; `None` where it was sent.
        response_status: What the receiver answered last, such as 200 or 550; `None` where it said nothing.
        created_at: When the event was fanned out.
        updated_at: When this record last changed.
        sent_at: When it was sent.
    """

    id: str
    event_id: str
    event: str
    channel: str
    target: str
    status: DeliveryStatus
    message: dict[str, Any]
    attempts: int
    last_error: str | None
    response_status: int | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Some deliveries of a list.

    Attributes:
        items: The deliveries, the newest first.
        next: What to pass as `before` to get those that follow; `None` where there are none.
    """

    items: list[Delivery]
    next: str | None


class Deliveries:
    """The deliveries in a database.

    Example:
        ```python
        deliveries = Deliveries(ctx.db)
        for one in (await deliveries.list(status="failed", channel="webhook")).items:
            print(one.id, one.target, one.last_error)
            await FailedJobs(ctx.db).retry(one.id, ctx.queue)
        ```
    """

    def __init__(self, db: Database) -> None:
        """Say where they are.

        Args:
            db: The database, such as `ctx.db`.
        """
        self._db = db

    async def list(
        self,
        *,
        status: DeliveryStatus | None = None,
        channel: str | None = None,
        event: str | None = None,
        event_id: str | None = None,
        target: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> DeliveryPage:
        """List deliveries, the newest first, page by page.

        Args:
            status: Only those that stand there.
            channel: Only those of this channel.
            event: Only those of events with this name.
            event_id: Only those of this event.
            target: Only those to this target.
            since: Only those that were made at this time or later.
            until: Only those that were made before this time.
            limit: How many at most, up to 1,000.
            before: The `next` of the page before.

        Raises:
            InvalidArgumentError: `status`, `limit` or `before` cannot be used.
        """
        require_limit(limit)
        matching = _conditions(status, channel, event, event_id, target, since, until)
        if before is not None:
            matching.append(tuple_(table.c.created_at, table.c.id) < _read_cursor(before))
        query = select(table).where(*matching).order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit + 1)
        async with self._db.reading() as session:
            rows = (await session.execute(query)).all()
        following = _cursor(rows[limit - 1]) if len(rows) > limit else None
        return DeliveryPage([delivery_of(row) for row in rows[:limit]], following)

    async def count(
        self,
        *,
        status: DeliveryStatus | None = None,
        channel: str | None = None,
        event: str | None = None,
        event_id: str | None = None,
        target: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[DeliveryStatus, int]:
        """Count deliveries by their status, also where there are none; the arguments are those of `list`."""
        matching = _conditions(status, channel, event, event_id, target, since, until)
        query = select(table.c.status, func.count()).where(*matching).group_by(table.c.status)
        async with self._db.reading() as session:
            found: dict[str, int] = {row[0]: row[1] for row in await session.execute(query)}
        return {name: found.get(name, 0) for name in _STATUSES if status in {None, name}}

    async def get(self, delivery_id: str) -> Delivery | None:
        """Look at one delivery; `None` where there is none with this id."""
        async with self._db.reading() as session:
            row = (await session.execute(select(table).where(table.c.id == plain(delivery_id)))).one_or_none()
        return None if row is None else delivery_of(row)

    async def prune(self, older_than: Duration, *, status: DeliveryStatus | None = None) -> int:
        """Forget the deliveries that were made longer ago than this and are over: sent, failed or skipped.

        An event of which nothing is known any more is fanned out anew when it comes again, and a failed delivery that
        was forgotten sends nothing when its job is retried.

        Args:
            older_than: Seconds as a number, or a `timedelta`.
            status: Only those that stand there; `"pending"` ones are forgotten only where it says so, and not sent.

        Returns:
            How many.
        """
        age = timedelta(milliseconds=milliseconds(older_than, "older_than"))
        limit = datetime.fromtimestamp(SYSTEM_CLOCK.time(), UTC) - age
        matching = _conditions(status, until=limit)
        if status is None:
            matching.append(table.c.status != "pending")
        some = select(table.c.id).where(*matching).limit(_SLICE).scalar_subquery()
        total = 0
        while True:
            async with self._db.transaction() as session:
                gone = await session.execute(delete(table).where(table.c.id.in_(some)).returning(table.c.id))
                count = len(gone.all())
            total += count
            if count < _SLICE:
                return total


_STATUSES: tuple[DeliveryStatus, ...] = get_args(DeliveryStatus)


def delivery_of(row: Any) -> Delivery:
    """Read a row, whatever is in it."""
    try:
        return read_delivery(row)
    except codec.DecodeError:
        return Delivery(**row._asdict() | {"message": {"unreadable": row.message}})


def read_delivery(row: Any) -> Delivery:
    """Read a row that is to be sent.

    Raises:
        DecodeError: Its message is none.
    """
    return Delivery(**row._asdict() | {"message": codec.decode(row.message.encode(), dict[str, Any])})


def _cursor(row: Any) -> str:
    """Write where a row stands in the list."""
    return write_cursor(row.created_at, row.id)


def _read_cursor(text: str) -> ColumnElement[Any]:
    """Read what `_cursor` wrote."""
    when, delivery_id = read_cursor(text)
    return tuple_(literal(when, table.c.created_at.type), literal(plain(delivery_id), Text))


def _conditions(  # noqa: PLR0917 - the filters of `list`, in its order
    status: DeliveryStatus | None = None,
    channel: str | None = None,
    event: str | None = None,
    event_id: str | None = None,
    target: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ColumnElement[bool]]:
    """Write the filters of a list."""
    if status is not None and status not in _STATUSES:
        msg = f"status must be {', '.join(map(repr, _STATUSES))} or None, not {status!r}"
        raise InvalidArgumentError(msg)
    wanted = {"status": status, "channel": channel, "event": event, "event_id": event_id, "target": target}
    found: list[ColumnElement[bool]] = [
        table.c[name] == plain(value) for name, value in wanted.items() if value is not None
    ]
    if since is not None:
        found.append(table.c.created_at >= since)
    if until is not None:
        found.append(table.c.created_at < until)
    return found
