"""Settings: where they come from, their defaults, and that no password is ever shown."""

from __future__ import annotations

import logging
from pathlib import Path
from pprint import pformat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from rustforge.settings import Settings, SettingsOfTests, without_credentials

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder without `.env`, and without the environment's settings."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_defaults() -> None:
    """Without anything set, everything runs without a server, and nothing is shown to clients."""
    assert Settings().model_dump() == {
        "redis_url": "memory://",
        "redis_prefix": "rustforge",
        "queue_shards": 1,
        "database_url": "sqlite+aiosqlite:///rustforge.db",
        "storage_url": "file:./storage",
        "secret_key": SecretStr(""),
        "cdn_base_url": "",
        "mail_url": "log:",
        "mail_from": "",
        "webhook_allow_private": False,
        "alert_urls": SecretStr(""),
        "debug": False,
    }


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting is read from the variable of its name; an empty one counts as not set."""
    monkeypatch.setenv("REDIS_URL", "redis://cache/1")
    monkeypatch.setenv("redis_prefix", "shop")
    monkeypatch.setenv("DEBUG", "1")
    monkeypatch.setenv("MAIL_URL", "")
    settings = Settings()
    assert (settings.redis_url, settings.redis_prefix, settings.debug) == ("redis://cache/1", "shop", True)
    assert settings.mail_url == "log:"


def test_the_file_and_what_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file `.env` is read, the environment goes before it, arguments before both; what it does not know is left."""
    Path(".env").write_text("REDIS_URL=redis://file\nREDIS_PREFIX=file\nDEBUG=true\nOTHER=1\n")
    monkeypatch.setenv("REDIS_PREFIX", "environment")
    settings = Settings(debug=False)
    assert (settings.redis_url, settings.redis_prefix, settings.debug) == ("redis://file", "environment", False)


def test_settings_do_not_change() -> None:
    """What was read stays."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().debug = True  # type: ignore[misc]


@pytest.mark.parametrize("name", ["redis_url", "database_url", "storage_url", "mail_url", "cdn_base_url"])
def test_passwords_are_not_shown(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """No way of printing settings shows a URL's user, password or query; the value itself keeps them."""
    caplog.set_level(logging.DEBUG)
    url = f"redis://app:{SECRET}@host:6379/0?key={SECRET}"
    settings = Settings.model_validate({name: url})
    logging.getLogger("test").info("%s %r", settings, settings)
    shown = [repr(settings), str(settings), f"{settings}", pformat(settings), repr([settings]), caplog.text]
    assert not [text for text in shown if SECRET in text or "app" in text]
    assert all("redis://host:6379/0" in text for text in shown)
    assert getattr(settings, name) == url


def test_a_wrong_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the setting and not what it was set to."""
    monkeypatch.setenv("DEBUG", SECRET)
    with pytest.raises(ValidationError, match="debug") as caught:
        Settings()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://", "redis://"),
        ("redis://app:p@host:6379/0", "redis://host:6379/0"),
        ("redis://:p@host", "redis://host"),
        ("redis://app@host", "redis://host"),
        ("redis://host/0?timeout=3", "redis://host/0"),
        ("redis+cluster://u:p@a:1,b:2", "redis+cluster://a:1,b:2"),
        ("redis://u:p@[::1]:7000/0", "redis://[::1]:7000/0"),
        ("redis://u:p%40%2F@host/0", "redis://host/0"),
        ("redis://u:p@ss@host", "redis://host"),
        ("unix://u:p@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("memory://", "memory://"),
        ("sqlite+aiosqlite:///rustforge.db", "sqlite+aiosqlite:///rustforge.db"),
        ("file:./storage", "file:./storage"),
        ("log:", "log:"),
        ("", ""),
        # Where the password cannot be told from the rest, only the scheme is left.
        ("redis://u:p#ss@host/0", "redis://..."),
        ("redis://:pa/ss@host", "redis://..."),
        ("redis://:pa?ss@host:1/0", "redis://..."),
        ("redis://:12?ss@host", "redis://..."),
        ("redis://user:pass", "redis://..."),
        ("redis://host/0?password=a@b", "redis://..."),
        ("redis://[bad", "redis://..."),
        ("user:pass@host:6379", "..."),
    ],
)
def test_without_credentials(url: str, shown: str) -> None:
    """Credentials and query go; nothing else does."""
    assert without_credentials(url) == shown


@given(
    st.text(st.sampled_from("ab1@:/?#[]%&=+ "), max_size=10), st.sampled_from(["@host:1/0", "@host", "@a:1,b:2/0?x=1"])
)
def test_no_password_comes_through(rubbish: str, rest: str) -> None:
    """Whatever a password looks like, and however badly it is written, no part of it is shown."""
    assert "QQQ" not in without_credentials(f"redis://user:QQQ{rubbish}QQQ{rest}")


def test_the_settings_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of tests without a server needs none; the variables name others, and an empty one counts as not set."""
    assert SettingsOfTests().model_dump() == {"test_database_url": "", "test_redis_url": ""}
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://db/shop")
    monkeypatch.setenv("TEST_REDIS_URL", "")
    assert SettingsOfTests().test_database_url == "postgresql://db/shop"
    assert SettingsOfTests().test_redis_url == ""
