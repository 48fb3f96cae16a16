"""A run that uses nothing of the plugin."""

from __future__ import annotations

import sys


def test_nothing_is_loaded() -> None:
    """Only the plugin's own module is there."""
    loaded = sorted(name for name in sys.modules if name.startswith("rustforge"))
    assert loaded == ["rustforge", "rustforge.testing", "rustforge.testing.plugin"]
    assert "pydantic" not in sys.modules
    assert "sqlalchemy" not in sys.modules
