"""In continuous integration a test that did not run is a failure: no skip goes unseen.

Some tests need what a machine may lack: a Redis of its own, a browser. Elsewhere such a test is skipped, and says why.
With `RUSTFORGE_CI=1` everything is there, so a skip turns the run red, and the skips are listed at the end.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def in_ci() -> bool:
    """Whether every test must run."""
    return os.environ.get("RUSTFORGE_CI", "") not in {"", "0"}


def _skips(terminalreporter: pytest.TerminalReporter) -> Iterable[str]:
    """Name each skipped test with its reason; a test that is expected to fail is not skipped."""
    for report in terminalreporter.getreports("skipped"):
        if not hasattr(report, "wasxfail"):
            longrepr = report.longrepr
            reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
            yield f"{report.nodeid}: {reason.removeprefix('Skipped: ')}"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run that skipped anything, once all is done and where it counts."""
    terminalreporter = session.config.pluginmanager.get_plugin("terminalreporter")
    is_worker = hasattr(session.config, "workerinput")
    if not in_ci() or is_worker or not isinstance(terminalreporter, pytest.TerminalReporter):
        return
    if any(True for _ in _skips(terminalreporter)) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was skipped, in red where that is a failure."""
    skips = sorted(set(_skips(terminalreporter)))
    if in_ci() and skips:
        terminalreporter.section("skipped, which is a failure here (RUSTFORGE_CI)", red=True, bold=True)
        for skip in skips:
            terminalreporter.line(skip, red=True)
