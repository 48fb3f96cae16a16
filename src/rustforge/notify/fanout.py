"""One event to many targets: a delivery and a job for each, in the transaction in which the event happens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from rustforge import codec
from rustforge.db.statements import insert_new
from rustforge.db.tables import deliveries as table
from rustforge.db.tables import utc_now
from rustforge.errors import InvalidArgumentError, InvalidTypeError
from rustforge.jobs.envelope import new_id
from rustforge.jobs.outbox import JobBuffer
from rustforge.jobs.rows import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustforge.notify.delivery import DeliveryJob

__all__ = ["FanOut", "Target", "fan_out", "new_event_id"]

_EVENT_ID = re.compile(r"[A-Za-z0-9_:-]{1,200}")
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
_LONGEST_TARGET = 2000  # bytes; PostgreSQL has room for some more in its index


@dataclass(frozen=True, slots=True)
class Target:
    """Whom an event goes to, by which channel, and what is said there.

    Attributes:
        channel: The channel's name: the `CHANNEL` of the job.
        target: To whom on that channel, such as an address; 1 to 2,000 bytes.
        message: What the job sends. It is written as JSON when the event is fanned out, and each attempt sends that.
        job: The job's class.
    """

    channel: str
    target: str
    message: dict[str, Any]
    job: type[DeliveryJob]


@dataclass(frozen=True, slots=True)
class FanOut:
    """What became of an event.

    Attributes:
        event_id: Its id.
        delivery_ids: The ids of its deliveries, one for each target, in order. They are also the ids of their jobs.
        new: How many of the deliveries were made now; the others were there already.
    """

    event_id: str
    delivery_ids: tuple[str, ...]
    new: int


def new_event_id() -> str:
    """Make an id for an event, such as `"evt_019f3a2b4c5d6e7f8a9b0c1d"`."""
    return f"evt_{new_id()}"


async def fan_out(
    session: AsyncSession | AsyncConnection, event: str, to: Iterable[Target], *, event_id: str | None = None
) -> FanOut:
    """Deliver an event to many targets, if, and only if, the transaction commits.

    Each target gets a row of `deliveries` and a job of its own, so that none of them waits for another, is held up by
    another's failure, or is told again on account of it. Nothing is sent here. Called again for the same event, it adds
    only the targets that are new.

    Args:
        session: A session or connection of SQLAlchemy, within the transaction.
        event: The event's name, such as `"order.placed"`.
        to: The targets; channels make them, such as `MailChannel.target(mail)`.
        event_id: The event's id: 1 to 200 letters, digits or `_:-`. One that follows from what happened, such as
            `f"order-placed:{order.id}"`, makes it harmless to fan out twice. `None` makes a new one.

    Returns:
        The ids of the event and of its deliveries.

    Raises:
        InvalidArgumentError: A name, id or target cannot be used, or a message is not JSON. Nothing was written.

    Example:
        ```python
        async with ctx.db.transaction() as session:
            session.add(order)
            await fan_out(session, "order.placed", targets, event_id=f"order-placed:{order.id}")
        ```
    """
    if not isinstance(session, (AsyncSession, AsyncConnection)):
        msg = f"session must be an AsyncSession or AsyncConnection, not {type(session).__name__}"
        raise InvalidTypeError(msg)
    event_id = new_event_id() if event_id is None else event_id
    _require(_EVENT_ID, event_id, "event_id", "1 to 200 letters, digits or _:-")
    _require(_NAME, event, "event", "1 to 200 letters, digits or _.:/-")
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    jobs: dict[str, DeliveryJob] = {}
    written: dict[int, str] = {}
    targets = list(to)  # which also keeps the messages, so that their addresses stay theirs
    for one in targets:
        key = _checked(one)
        if key in rows:
            continue
        text = written.get(id(one.message)) or written.setdefault(id(one.message), _message(one))
        row = rows[key] = {
            "id": new_id(),
            "event_id": event_id,
            "event": event,
            "channel": one.channel,
            "target": one.target,
            "status": "pending",
            "message": text,
            "attempts": 0,
        }
        jobs[row["id"]] = one.job.of(row["id"], one.target)
    now = {"created_at": utc_now(), "updated_at": utc_now()}
    conflict = (table.c.event_id, table.c.channel, table.c.target)
    new = await insert_new(session, table, list(rows.values()), conflict, now)
    found = {key: row["id"] for key, row in rows.items()}
    if len(new) < len(rows):
        there = await session.execute(
            select(table.c.channel, table.c.target, table.c.id).where(table.c.event_id == event_id)
        )
        found |= {(row.channel, row.target): row.id for row in there}
    added = [delivery_id for delivery_id in jobs if delivery_id in new]
    await JobBuffer(session).push_many([jobs[one] for one in added], ids=added)
    return FanOut(event_id, tuple(found[one.channel, one.target] for one in targets), len(added))


def _require(pattern: re.Pattern[str], value: object, name: str, allowed: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        msg = f"{name} must have {allowed}, not {value!r}"
        raise InvalidArgumentError(msg)


def _checked(one: Target) -> tuple[str, str]:
    """Refuse a target that cannot be used."""
    _require(_NAME, one.channel, "channel", "1 to 200 letters, digits or _.:/-")
    if one.channel != one.job.CHANNEL:
        msg = f"the channel of {one.job.__name__} is {one.job.CHANNEL!r}, not {one.channel!r}"
        raise InvalidArgumentError(msg)
    to: object = one.target
    if not isinstance(to, str) or not 1 <= len(to.encode(errors="replace")) <= _LONGEST_TARGET or plain(to) != to:
        msg = f"target must be text of 1 to {_LONGEST_TARGET:,} bytes, not {one.target!r}"
        raise InvalidArgumentError(msg)
    return one.channel, one.target


def _message(one: Target) -> str:
    """Write a message as JSON."""
    if not isinstance(one.message, dict):
        msg = f"the message of a target must be a dict, not {type(one.message).__name__}"
        raise InvalidTypeError(msg)
    try:
        return codec.encode(one.message).decode()
    except codec.EncodeError as error:
        msg = f"the message to {one.channel} {one.target!r} cannot be sent: {error}"
        raise InvalidArgumentError(msg) from error
