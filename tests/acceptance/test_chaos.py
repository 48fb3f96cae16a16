"""A short run of `tests.acceptance.chaos`; `make chaos` runs it for longer."""

from __future__ import annotations

import logging
import os
import random

import pytest

from tests.acceptance.chaos import chaos

CHAOS = os.environ.get("RUSTFORGE_CHAOS", "") not in {"", "0"}
SECONDS = 60 if CHAOS else 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("fsync", ["always", "everysec"] if CHAOS else ["always"])
async def test_nothing_is_lost_whatever_happens(fsync: str, database: str, caplog: pytest.LogCaptureFixture) -> None:
    """Kills, stops, restarts, outages and wrong clocks: nothing lost, doubled, out of order, stuck or left behind.

    The `failed()` of a job calls the database, also while PostgreSQL is stopped. The seed is in the output;
    `RUSTFORGE_SEED` sets it.
    """
    caplog.set_level(logging.CRITICAL)
    seed = int(os.environ.get("RUSTFORGE_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"\nseed {seed}")  # noqa: T201 - to repeat it

    outcome = await chaos(SECONDS, seed, fsync=fsync, database=database)

    print(outcome)  # noqa: T201 - how much was proven
    assert outcome.problems == [], f"seed {seed}:\n" + "\n".join(outcome.problems)
    assert outcome.jobs > 100
    assert outcome.refused or database == "sqlite", "no failed() met the outage of PostgreSQL"
