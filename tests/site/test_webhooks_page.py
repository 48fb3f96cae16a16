"""The page of webhooks, compared with the code: the schedule, the limits and the defaults."""

from __future__ import annotations

import inspect
import re

from rustforge.http import verified_webhook
from rustforge.notify import DeliverWebhook, WebhookChannel, WebhookEndpoints, verify_webhook
from tests.site.conftest import ROOT

PAGE = (ROOT / "docs" / "async" / "webhooks.md").read_text()
TEXT = " ".join(PAGE.split())
SECONDS = {"s": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}


def default(function: object, name: str) -> object:
    """Find a parameter's default."""
    assert callable(function)
    return inspect.signature(function).parameters[name].default


def read_time(text: str) -> int:
    """Read a time such as `2 h 35 min`."""
    return sum(int(number) * SECONDS[unit.rstrip("s") or "s"] for number, unit in re.findall(r"(\d+) ([a-z]+)", text))


def test_the_schedule_is_that_of_the_job() -> None:
    """Each row of the table has the wait of the job, and the sum of those before, to the minute."""
    rows = re.findall(r"^\| (\d+) \|([^|]*)\|([^|]*)\|$", PAGE, re.MULTILINE)
    job = DeliverWebhook.of("d", "we")
    assert [int(row[0]) for row in rows] == list(range(1, job.max_retries() + 2))
    total = 0
    for attempt, (_, wait, after) in enumerate(rows[1:]):
        seconds = read_time(wait)
        total += seconds
        assert seconds <= job.backoff(attempt) <= seconds * 1.1
        assert 0 <= total - read_time(after) < 60


def test_the_numbers_are_those_of_the_code() -> None:
    """Time-outs, tolerance, parallel deliveries, patience and overlap."""
    assert (default(WebhookChannel, "timeout"), "at most 15 seconds" in TEXT) == (15.0, True)
    assert default(verify_webhook, "tolerance") == default(verified_webhook, "tolerance") == 300
    assert "more than five minutes ago or ahead" in TEXT
    assert (DeliverWebhook.MAX_PARALLEL, "At most four deliveries" in TEXT) == (4, True)
    assert (DeliverWebhook.DISABLE_AFTER, "**Five days without a success.**" in TEXT) == (5 * 24 * 3600, True)
    assert (default(WebhookEndpoints.rotate_secret, "overlap"), "For a day, the old and the new" in TEXT) == (
        86400,
        True,
    )
    assert (default(WebhookChannel, "user_agent"), "`Rustforge-Webhooks/1`" in TEXT) == ("Rustforge-Webhooks/1", True)
