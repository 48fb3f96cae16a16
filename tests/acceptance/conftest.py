"""The processes that the acceptance tests drive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.processes import Crew

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    """Keep the workers of `tests.acceptance.workers.stampede` for the whole session."""
    workers = Crew("tests.acceptance.workers.stampede")
    yield workers
    workers.dismiss()
