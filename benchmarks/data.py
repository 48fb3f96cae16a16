"""What is stored and read: the same for every client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

NUMBERS = range(1_000)
KEYS = [f"page:{number}" for number in NUMBERS]
TEXT = "x" * 100
HOUR = 3600


class Article(BaseModel):
    """A typical value: 1 KB as JSON."""

    id: int
    title: str
    slug: str
    name: str
    date: datetime
    tags: list[str]
    version: int
    seconds: float
    body: str


def make_article(number: int) -> Article:
    """Make the article with this number."""
    return Article(
        id=number,
        title="How we moved the archive to the new storage",
        slug="how-we-moved-the-archive-to-the-new-storage",
        name="Ada Lovelace",
        date=datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC),
        tags=["storage", "migration", "python"],
        version=48_213,
        seconds=4.7,
        body="It took three weekends and one very long Friday. " * 16,
    )


class Target(NamedTuple):
    """One operation of one client, ready to be measured.

    Attributes:
        call: Does it once; its argument is one of `arguments`.
        arguments: A thousand of them, so that concurrent tasks read different keys.
        expected: What the call must return for the first of them.
    """

    call: Callable[[Any], Awaitable[object]]
    arguments: Sequence[Any]
    expected: object


class Miss(NamedTuple):
    """What a client needs to let many callers miss the same key.

    Attributes:
        key: The key.
        factory: Computes its value.
        lease: Seconds after which a dead process no longer keeps others from computing, where the client has such a
            bound.
    """

    key: str
    factory: Callable[[], Awaitable[str]]
    lease: int
