"""Settings from the environment and a `.env` file; the only place that reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Settings", "SettingsOfTests", "without_credentials"]

_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")


class Settings(BaseSettings):
    """What an application sets from outside.

    Each attribute is read from the environment variable of the same name in capitals, else from the file `.env` in
    the working directory, else it has its default, with which everything runs without a server. Neither `repr()` nor
    an error message shows a password.

    Example:
        ```python
        Settings(redis_url="redis://127.0.0.1:6379/0", debug=True)
        ```
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    redis_url: str = Field(default="memory://")
    """`REDIS_URL`: where cache, queues and realtime live; `memory://` keeps them in this process."""

    redis_prefix: str = Field(default="rustforge")
    """`REDIS_PREFIX`: put before every key, so that applications can share a server."""

    queue_shards: int = Field(default=1, ge=1, le=1024)
    """`QUEUE_SHARDS`: into how many parts each job queue is cut, for a cluster; the same in all processes."""

    database_url: str = Field(default="sqlite+aiosqlite:///rustforge.db")
    """`DATABASE_URL`: the SQL database, as an SQLAlchemy URL."""

    storage_url: str = Field(default="file:./storage")
    """`STORAGE_URL`: where files live: a folder, or an S3 bucket."""

    secret_key: SecretStr = Field(default=SecretStr(""))
    """`SECRET_KEY`: what signs URLs of files and tokens of uploads; the same in all processes, known to nobody else.

    Empty, a folder keeps a key of its own.
    """

    cdn_base_url: str = Field(default="")
    """`CDN_BASE_URL`: what public file URLs start with; empty where files are served by the application."""

    mail_url: str = Field(default="log:")
    """`MAIL_URL`: the SMTP server; `log:` writes mail to the log."""

    mail_from: str = Field(default="")
    """`MAIL_FROM`: who sends mail that names no sender, such as `Shop <shop@example.com>`."""

    webhook_allow_private: bool = Field(default=False)
    """`WEBHOOK_ALLOW_PRIVATE`: send webhooks to addresses of this machine and of private networks, too, and by plain
    HTTP. For development.
    """

    alert_urls: SecretStr = Field(default=SecretStr(""))
    """`ALERT_URLS`: where alerts go, as URLs of Apprise, one after the other with blanks between."""

    debug: bool = Field(default=False)
    """`DEBUG`: show the text of internal errors to clients. Never in production."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show URLs without their credentials."""
        for name, value in super().__repr_args__():
            yield name, without_credentials(value) if name is not None and name.endswith("_url") else value


class SettingsOfTests(BaseSettings):
    """What a run of tests takes from outside, where neither its command line nor its configuration file says it."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    test_database_url: str = Field(default="")
    """`TEST_DATABASE_URL`: the database beside which those of the tests are made; empty for files of SQLite."""

    test_redis_url: str = Field(default="")
    """`TEST_REDIS_URL`: the Redis in which each test has a prefix of its own; empty for one in each process."""


def without_credentials(url: str) -> str:
    """Take the user name, the password and the query, which may hold keys, out of a URL.

    Where special characters of a password were not written as %XX, nobody can tell where it ends, so only the scheme
    is left.

    Example:
        ```python
        without_credentials("redis://app:secret@cache:6379/0")  # 'redis://cache:6379/0'
        ```
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "..." if "@" in url else url
    place, _, _ = rest.partition("?")
    authority, slash, path = place.partition("/")
    hosts = authority.rpartition("@")[2]
    odd = "#" in rest or "@" in path or ("@" in rest and "@" not in authority)
    if odd or not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        return f"{scheme}://..."
    return f"{scheme}://{hosts}{slash}{path}"
