"""The record of deliveries: found again by what they are, page by page, counted, and forgotten when they are old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, update

from rustforge.db.tables import deliveries as table
from rustforge.errors import InvalidArgumentError
from rustforge.notify import Deliveries, DeliveryStatus, fan_out
from tests.support.texting import note, text

if TYPE_CHECKING:
    from rustforge.db import Database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def keep(db: Database, number: int, status: DeliveryStatus = "sent", **facts: Any) -> None:
    """Keep a delivery that was made so many minutes after noon."""
    made = NOON + timedelta(minutes=number)
    row = {
        "id": f"d{number}",
        "event_id": f"order-placed:{number}",
        "event": "order.placed",
        "channel": "text",
        "target": "+1",
        "status": status,
        "message": '{"words": "Thank you!"}',
        "attempts": 1,
        "created_at": made,
        "updated_at": made,
    }
    async with db.transaction() as session:
        await session.execute(insert(table).values(row | facts))


async def found(db: Database, **filters: Any) -> list[str]:
    """List the ids that fit."""
    return [one.id for one in (await Deliveries(db).list(**filters)).items]


async def test_filters(db: Database) -> None:
    """Each filter leaves what it says, also together; the counts take the same ones."""
    await keep(db, 1)
    await keep(db, 2, "failed", channel="mail", target="ada@example.com")
    await keep(db, 3, "failed", event="order.paid")
    await keep(db, 4, "pending", event_id="order-placed:1", target="+2")
    assert await found(db) == ["d4", "d3", "d2", "d1"]
    assert await found(db, status="failed") == ["d3", "d2"]
    assert await found(db, channel="mail") == ["d2"]
    assert await found(db, event="order.paid") == ["d3"]
    assert await found(db, event_id="order-placed:1") == ["d4", "d1"]
    assert await found(db, target="+1") == ["d3", "d1"]
    assert await found(db, since=NOON + timedelta(minutes=2), until=NOON + timedelta(minutes=4)) == ["d3", "d2"]
    assert await found(db, status="failed", channel="text") == ["d3"]
    assert await found(db, channel="fax") == []
    assert await found(db, target="+1\x00") == []
    deliveries = Deliveries(db)
    assert await deliveries.count() == {"pending": 1, "sent": 1, "failed": 2, "skipped": 0}
    assert await deliveries.count(event="order.paid") == {"pending": 0, "sent": 0, "failed": 1, "skipped": 0}
    assert await deliveries.count(status="failed") == {"failed": 2}


async def test_pages(db: Database) -> None:
    """One page after the other shows each delivery once, those of one moment included, whatever is added meanwhile."""
    for number in range(7):
        await keep(db, number, created_at=NOON + timedelta(minutes=number // 3))
    deliveries = Deliveries(db)
    seen: list[str] = []
    before: str | None = None
    while True:
        page = await deliveries.list(limit=2, before=before)
        seen += [one.id for one in page.items]
        before = page.next
        if before is None:
            break
        await keep(db, 10 + len(seen))
    assert seen == ["d6", "d5", "d4", "d3", "d2", "d1", "d0"]


async def test_one(db: Database) -> None:
    """A delivery is read as it was written; there is none under another id."""
    async with db.transaction() as session:
        done = await fan_out(session, "order.placed", [text("+1", "Grüße\u2028\u0000")], event_id="order-placed:7")
    one = await Deliveries(db).get(done.delivery_ids[0])
    assert one is not None
    assert (one.event_id, one.message) == ("order-placed:7", {"words": "Grüße\u2028\u0000"})
    assert one.created_at.tzinfo is not None
    assert await Deliveries(db).get("d1") is None
    assert await Deliveries(db).get("\x00") is None


async def test_a_damaged_one(db: Database) -> None:
    """A row whose message is none does not keep the others from being listed, and shows what is there."""
    await keep(db, 1, message="Hello")
    await keep(db, 2, message="[1]")
    await keep(db, 3)
    messages = [one.message for one in (await Deliveries(db).list()).items]
    assert messages == [{"words": "Thank you!"}, {"unreadable": "[1]"}, {"unreadable": "Hello"}]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"limit": 0}, "limit must be an int from 1 to 1,000"),
        ({"limit": 1001}, "limit must be"),
        ({"limit": True}, "limit must be"),
        ({"before": "yesterday"}, "before must be the next of a page"),
        ({"before": "99999999999999999999-d1"}, "before must be"),
        ({"status": "lost"}, "status must be 'pending', 'sent', 'failed', 'skipped' or None, not 'lost'"),
    ],
)
async def test_what_cannot_be_asked(db: Database, wrong: dict[str, Any], match: str) -> None:
    """The error says what can."""
    with pytest.raises(InvalidArgumentError, match=match):
        await Deliveries(db).list(**wrong)


async def test_old_ones_are_forgotten(db: Database) -> None:
    """What is over and old goes; what is young or pending stays, unless the pending ones are meant."""
    states: tuple[DeliveryStatus, ...] = ("sent", "failed", "skipped", "pending")
    for number, status in enumerate(states):
        await keep(db, number, status)
    async with db.transaction() as session:
        await fan_out(session, "order.placed", [text("+1"), note("shelf")])
        await session.execute(update(table).where(table.c.channel == "note").values(status="sent"))
    deliveries = Deliveries(db)
    assert await deliveries.prune(timedelta(days=1), status="failed") == 1
    assert await deliveries.prune(timedelta(days=1)) == 2
    assert await deliveries.count() == {"pending": 2, "sent": 1, "failed": 0, "skipped": 0}
    assert await deliveries.prune(timedelta(days=1), status="pending") == 1
    assert await deliveries.prune(timedelta(days=1)) == 0


async def test_many_old_ones(db: Database) -> None:
    """They go in slices, so that no transaction holds up the others for long."""
    async with db.transaction() as session:
        await fan_out(session, "order.placed", [text(f"+{number}") for number in range(2500)])
        await session.execute(update(table).values(status="sent", created_at=NOON))
    assert await Deliveries(db).prune(timedelta(days=1)) == 2500
