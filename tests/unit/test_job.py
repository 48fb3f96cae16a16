"""Job classes as users write them: what is refused, and what is asked of a job when it is enqueued."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from rustforge.errors import ConfigurationError, InvalidArgumentError, InvalidTypeError, JobEncodeError
from rustforge.jobs import Abort, ConcurrencyLimit, Job, JobContext, RateLimit, Retry, Snooze
from rustforge.jobs.job import envelope_of, require_job_class
from rustforge.jobs.retry import DEFAULT_BACKOFF


class Plain(Job):
    """A job with nothing but a payload."""

    NAME: ClassVar[str] = "plain"
    number: int = 0
    text: str = ""

    async def handle(self, ctx: JobContext) -> None:
        """Do nothing."""


class Everything(Job):
    """A job with every option."""

    NAME: ClassVar[str] = "everything"
    QUEUE: ClassVar[str] = "other"
    VERSION: ClassVar[int] = 3
    PRIORITY = "high"
    RESULT_TTL: ClassVar[float | None] = 1.5
    HOLD_GROUP: ClassVar[bool] = True

    async def handle(self, ctx: JobContext) -> None:
        """Do nothing."""

    def group_id(self) -> str | None:
        """Return a group."""
        return "g"

    def unique_key(self) -> str | None:
        """Return a key."""
        return "u"

    def concurrency(self) -> ConcurrencyLimit | None:
        """Return a limit."""
        return ConcurrencyLimit("c", 2)

    def rate(self) -> RateLimit | None:
        """Return a rate."""
        return RateLimit("r", 3, timedelta(minutes=1))


class Low(Plain):
    """A job of low priority."""

    NAME: ClassVar[str] = "low"
    PRIORITY = "low"


def test_a_plain_job_has_no_options() -> None:
    """Its body is its name and its fields."""
    envelope = envelope_of(Plain(number=7))
    assert envelope.queue == "default"
    assert envelope.body == b'plain\n{"number":7,"text":""}'


def test_every_option_travels_under_its_short_key() -> None:
    """What the scripts and the workers go by."""
    envelope = envelope_of(Everything())
    assert (envelope.queue, envelope.name) == ("other", "everything")
    assert envelope.options == {
        "v": 3,
        "p": "h",
        "rs": 1500,
        "g": "g",
        "gh": 1,
        "u": "u",
        "c": ["c", 2],
        "r": ["r", 3, 60_000],
    }
    assert envelope_of(Low()).options == {"p": "l"}


@given(number=st.integers(), text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_payload_is_one_line(number: int, text: str) -> None:
    """Line breaks are escaped, and nothing is lost."""
    payload = envelope_of(Plain(number=number, text=text)).payload
    assert b"\n" not in payload
    assert Plain.model_validate_json(payload) == Plain(number=number, text=text)


def test_the_defaults() -> None:
    """As documented."""
    job = Plain()
    assert (job.group_id(), job.unique_key(), job.concurrency(), job.rate()) == (None, None, None, None)
    assert job.max_retries() == 5
    assert [job.backoff(attempt) for attempt in range(7)] == [5, 30, 60, 300, 600, 600, 600]
    assert DEFAULT_BACKOFF == (5, 30, 60, 300, 600)
    assert Plain.upcast({"number": 1}, 1) == {"number": 1}
    with pytest.raises(NotImplementedError):
        Job.handle(job, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "ä", "a{b", "a@2", "x" * 201, 7, None])
def test_a_name_is_checked_before_anything_is_sent(name: Any) -> None:
    """It stands in the first line of the body, so it must be short and plain."""
    cls = type("Named", (Plain,), {"NAME": name, "__module__": __name__, "__annotations__": {}})
    with pytest.raises(ConfigurationError, match="NAME"):
        envelope_of(cls())


@pytest.mark.parametrize("other", [Plain(), dict, BaseModel, "plain", None])
def test_what_is_no_job_class_is_refused(other: Any) -> None:
    """An instance, too."""
    with pytest.raises(ConfigurationError, match="subclass of rustforge"):
        require_job_class(other)


def test_a_priority_is_checked() -> None:
    """Before anything is sent."""
    cls = type("Wrong", (Plain,), {"NAME": "wrong", "PRIORITY": "urgent", "__module__": __name__})
    with pytest.raises(ConfigurationError, match="PRIORITY"):
        envelope_of(cls())


class Odd(Plain):
    """A job whose group is what the test says."""

    NAME: ClassVar[str] = "odd"
    group: Any = Field(default=None, exclude=True)

    def group_id(self) -> str | None:
        """Return whatever there is."""
        found: str | None = self.group
        return found

    def unique_key(self) -> str | None:
        """Return it, too."""
        return self.group_id()


@pytest.mark.parametrize(
    ("group", "error"),
    [
        ("", InvalidArgumentError),
        ("x" * 513, InvalidArgumentError),
        ("\ud800", InvalidArgumentError),
        (7, InvalidTypeError),
        (b"g", InvalidTypeError),
    ],
)
def test_a_group_is_checked(group: Any, error: type[Exception]) -> None:
    """It is a part of a key, so it must be text that can be written."""
    with pytest.raises(error, match="group_id"):
        envelope_of(Odd(group=group))


def test_a_field_that_cannot_be_written() -> None:
    """It is an error of the caller's, and nothing was sent."""

    class Holder(Plain):
        NAME: ClassVar[str] = "holder"
        thing: Any = None

    for thing in (object(), "\ud800"):
        with pytest.raises(JobEncodeError, match="Holder"):
            envelope_of(Holder(thing=thing))


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "1", None])
def test_limits_are_checked(limit: Any) -> None:
    """A limit of nothing would never let anything through."""
    with pytest.raises(InvalidArgumentError):
        ConcurrencyLimit("k", limit)
    with pytest.raises(InvalidArgumentError):
        RateLimit("k", limit)


@pytest.mark.parametrize("key", ["", "x" * 513, "\udc80"])
def test_keys_of_limits_are_checked(key: str) -> None:
    """They are parts of keys."""
    with pytest.raises(InvalidArgumentError):
        ConcurrencyLimit(key, 1)
    with pytest.raises(InvalidArgumentError):
        RateLimit(key, 1)
    with pytest.raises(InvalidArgumentError):
        RateLimit("k", 1, 0)


def test_what_a_handler_can_ask_for() -> None:
    """Seconds or a timedelta; mistakes are found where they are made."""
    assert Retry().delay_ms is None
    assert Retry(0).delay_ms == 0
    assert Retry(timedelta(seconds=2)).delay_ms == 2000
    assert str(Retry(1, reason="closed")) == "closed"
    assert Snooze(0.5).delay_ms == 500
    assert str(Snooze(90)) == "snoozed for 90 s"
    assert str(Abort("no such customer")) == "no such customer"
    for wrong in (-1, float("nan"), True):
        with pytest.raises(InvalidArgumentError):
            Retry(wrong)
    with pytest.raises(InvalidArgumentError):
        Snooze(0)


async def test_a_context_gives_the_services(caplog: pytest.LogCaptureFixture) -> None:
    """And its logger says which run it is."""
    services = SimpleNamespace(settings=1, cache=2, queue=3, db=4, extensions={"mailer": 5})
    ctx = JobContext(
        services, job_id=f"{1_752_743_089_152:011x}0123456789abc", job_name="plain", queue_name="default", attempt=2
    )
    assert (ctx.settings, ctx.cache, ctx.queue, ctx.db, ctx.extensions["mailer"]) == (1, 2, 3, 4, 5)
    assert ctx.enqueued_at.isoformat() == "2025-07-17T09:04:49.152000+00:00"
    with caplog.at_level(logging.INFO):
        ctx.logger.info("at work")
    record = caplog.records[0]
    facts = (record.name, record.job_id, record.job_name, record.queue, record.attempt)  # type: ignore[attr-defined]
    assert facts == ("rustforge.job.plain", ctx.job_id, "plain", "default", 2)
    assert ctx.logger is ctx.logger
    await ctx.progress(1, 2, "without a worker it is told to nobody")


async def test_dispatch_pushes() -> None:
    """To whatever can push, with the delay."""
    pushed: list[Any] = []

    class Target:
        async def push(self, job: Job, delay: Any = None) -> str:
            pushed.append((job, delay))
            return "id"

    job = Plain()
    assert await job.dispatch(Target(), delay=3) == "id"
    assert pushed == [(job, 3)]
