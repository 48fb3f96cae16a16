"""Start an application: settings, connections, and what stands on them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import ValidationError

from rustforge.cache import Cache
from rustforge.clock import SYSTEM_CLOCK
from rustforge.errors import (
    BootError,
    ConfigurationError,
    DatabaseError,
    InvalidArgumentError,
    NotifyError,
    RedisError,
    StorageError,
)
from rustforge.jobs import Queue
from rustforge.settings import Settings, without_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from rustforge.clock import Clock
    from rustforge.db import Database
    from rustforge.jobs import OutboxFlusher
    from rustforge.notify import AlertChannel, MailChannel, RealtimePublisher, WebhookChannel
    from rustforge.redis import RedisClient
    from rustforge.storage import Storage

__all__ = ["BootContext", "boot"]


class _Closes(Protocol):
    async def aclose(self) -> None: ...


C = TypeVar("C", bound=_Closes)


class _Outbox(NamedTuple):
    """Where jobs of the outbox come from, and where they go."""

    db: Any
    queue: Any


class LazyDatabase:
    """The database, which costs nothing before somebody asks for it."""

    def __init__(self, url: str, queue: Queue, *, migrate: bool) -> None:
        """Remember the address, the queue of its outbox, and whether the tables are to be made there."""
        self._url = url
        self._queue = queue
        self._migrate = migrate
        self._loop = asyncio.get_running_loop()
        self._flusher: OutboxFlusher | None = None
        self._made: Database | None = None
        self._ended = False

    def get(self) -> Database:
        """Make the database at the first call. The default one is ours alone, so it gets its tables by itself."""
        if self._made is None:
            address = f"DATABASE_URL={without_credentials(self._url)}"
            if self._ended:
                msg = f"{address}: the application has ended"
                raise DatabaseError(msg)
            try:
                from rustforge.db import Database  # noqa: PLC0415 - an extra
            except ModuleNotFoundError as error:
                msg = f"{address}: {error.name} is not installed; it comes with: pip install 'rustforge[sql]'"
                raise DatabaseError(msg) from None
            self._made = Database(self._url, migrate=self._migrate)
            from rustforge.jobs import OutboxFlusher  # noqa: PLC0415 - it needs the same extra

            self._flusher = OutboxFlusher(_Outbox(self._made, self._queue))
            self._flusher.listen(self._loop)
        return self._made

    async def flush_outbox(self) -> None:
        """Enqueue what was committed, if the database was used at all; a commit does so in the background."""
        if self._flusher is not None:
            await self._flusher.flush()

    async def aclose(self) -> None:
        """Close what was opened."""
        self._ended = True
        if self._flusher is not None:
            await self._flusher.aclose()
        if self._made is not None:
            await self._made.dispose()


class LazyStorage:
    """The storage, of which nothing is imported or made before somebody asks for it."""

    def __init__(self, url: str, secret: str = "", clock: Clock = SYSTEM_CLOCK) -> None:
        """Remember where it is, what signs its URLs, and the clock."""
        self._url = url
        self._secret = secret
        self._clock = clock
        self._made: Storage | None = None
        self._ended = False

    def get(self) -> Storage:
        """Make the storage at the first call; it connects with its first request."""
        if self._made is None:
            address = f"STORAGE_URL={without_credentials(self._url)}"
            if self._ended:
                msg = f"{address}: the application has ended"
                raise StorageError(msg)
            try:
                from rustforge.storage import Storage  # noqa: PLC0415 - an extra

                self._made = Storage(self._url, secret=self._secret or None, clock=self._clock)
            except ModuleNotFoundError as error:
                msg = f"{address}: {error}"
                raise StorageError(msg) from None
            except InvalidArgumentError as error:
                msg = f"SECRET_KEY: {error}"
                raise ConfigurationError(msg) from error
            except ConfigurationError as error:
                msg = f"{address}: {error}"
                raise ConfigurationError(msg) from error
        return self._made

    async def open(self) -> None:
        """Make the storage now, and what it needs."""
        storage = self.get()
        try:
            await storage.open()
        except StorageError as error:
            msg = f"STORAGE_URL={without_credentials(self._url)}: {error}"
            raise StorageError(msg) from error

    async def aclose(self) -> None:
        """Close what was made."""
        self._ended = True
        if self._made is not None:
            await self._made.aclose()


class LazyChannel(Generic[C]):
    """A channel of which nothing is imported or made before somebody asks for it."""

    def __init__(self, setting: str, make: Callable[[], C]) -> None:
        """Remember the setting that it comes from, and what makes it."""
        self._setting = setting
        self._make = make
        self._made: C | None = None
        self._ended = False

    def get(self) -> C:
        """Make the channel at the first call; it connects with its first message."""
        if self._made is None:
            if self._ended:
                msg = f"{self._setting}: the application has ended"
                raise NotifyError(msg)
            try:
                self._made = self._make()
            except (ModuleNotFoundError, ConfigurationError) as error:
                msg = f"{self._setting}: {error}"
                raise ConfigurationError(msg) from error
        return self._made

    async def aclose(self) -> None:
        """Close what was made."""
        self._ended = True
        if self._made is not None:
            await self._made.aclose()


class Channels(NamedTuple):
    """The ways to people and other systems."""

    mailer: LazyChannel[MailChannel]
    realtime: LazyChannel[RealtimePublisher]
    webhooks: LazyChannel[WebhookChannel]
    alerts: LazyChannel[AlertChannel]

    @classmethod
    def of(
        cls, settings: Settings, client: RedisClient, clock: Clock = SYSTEM_CLOCK, storage: LazyStorage | None = None
    ) -> Channels:
        """Prepare those that the settings name; nothing is imported yet."""

        def mailer() -> MailChannel:
            from rustforge.notify.mail import MailChannel  # noqa: PLC0415 - an extra

            found = None if storage is None else storage.get
            return MailChannel(settings.mail_url, sender=settings.mail_from, storage=found, clock=clock)

        def realtime() -> RealtimePublisher:
            from rustforge.notify.realtime import RealtimePublisher  # noqa: PLC0415 - not everybody has browsers

            return RealtimePublisher(client, prefix=settings.redis_prefix)

        def webhooks() -> WebhookChannel:
            from rustforge.notify.webhook import WebhookChannel  # noqa: PLC0415 - an extra

            return WebhookChannel(allow_private=settings.webhook_allow_private, clock=clock)

        def alerts() -> AlertChannel:
            from rustforge.notify.alert import AlertChannel  # noqa: PLC0415 - an extra

            return AlertChannel(settings.alert_urls.get_secret_value().split())

        return cls(
            LazyChannel(f"MAIL_URL={without_credentials(settings.mail_url)}", mailer),
            LazyChannel("REDIS_URL", realtime),
            LazyChannel("WEBHOOK_ALLOW_PRIVATE", webhooks),
            LazyChannel("ALERT_URLS", alerts),
        )

    async def aclose(self) -> None:
        """Close what was made."""
        for channel in reversed(self):
            await channel.aclose()


@dataclass(frozen=True, slots=True)
class BootContext:
    """What an application gets from [`boot`][rustforge.boot.boot].

    Attributes:
        settings: The settings that it was started with.
        cache: The cache at `REDIS_URL`, under `REDIS_PREFIX`.
        queue: The job queues there, on the cache's connection.
        extensions: What was given to `boot(extensions=...)`, for handlers of jobs.
    """

    settings: Settings
    cache: Cache
    queue: Queue
    extensions: Mapping[str, Any]
    _database: LazyDatabase = field(repr=False, compare=False)
    _storage: LazyStorage = field(repr=False, compare=False)
    _channels: Channels = field(repr=False, compare=False)

    @property
    def db(self) -> Database:
        """The database at `DATABASE_URL`.

        Where the setting is not set, it is a file of Rustforge's own in the working directory, which is opened, and
        gets its tables, when it is first used.

        Raises:
            DatabaseError: SQLAlchemy is not installed, which comes with the extra `sql`.
        """
        return self._database.get()

    @property
    def storage(self) -> Storage:
        """The storage at `STORAGE_URL`, whose URLs `SECRET_KEY` signs.

        Where the setting is not set, it is the folder `storage` in the working directory, which is made when it is
        first written to.

        Raises:
            ConfigurationError: `SECRET_KEY` is too short.
            StorageError: obstore is not installed, which comes with the extra `storage`.
        """
        return self._storage.get()

    @property
    def mailer(self) -> MailChannel:
        """What sends mail by the server at `MAIL_URL`; where that is not set, mail goes to the log.

        Raises:
            ConfigurationError: The URL is wrong, or the extra `mail` is not installed.
        """
        return self._channels.mailer.get()

    @property
    def realtime(self) -> RealtimePublisher:
        """What publishes to browsers, by the Redis at `REDIS_URL`."""
        return self._channels.realtime.get()

    @property
    def webhooks(self) -> WebhookChannel:
        """What sends webhooks.

        Raises:
            ConfigurationError: The extra `webhooks` is not installed.
        """
        return self._channels.webhooks.get()

    @property
    def alerts(self) -> AlertChannel:
        """What alerts people at `ALERT_URLS`; where that is not set, alerts go to the log.

        Raises:
            ConfigurationError: A URL is wrong, or the extra `alerts` is not installed.
        """
        return self._channels.alerts.get()


@asynccontextmanager
async def boot(
    settings: Settings | None = None, *, extensions: Mapping[str, Any] | None = None
) -> AsyncGenerator[BootContext]:
    """Open everything that the settings name, and close it at the end of the block.

    Args:
        settings: The settings; `None` reads them from the environment and `.env`.
        extensions: Services of the application by name, which handlers of jobs find in `ctx.extensions`.

    Yields:
        The context with settings, cache, queue, database, storage and channels.

    Raises:
        BootError: Something cannot be opened. The message is one line that names the setting and the address, and
            nothing stays open.

    Example:
        ```python
        async with boot() as ctx:
            await ctx.cache.set("greeting", "hello")
        ```
    """
    if settings is None:
        settings = _read_settings()
    address = without_credentials(settings.redis_url)
    try:
        cache = await Cache.connect(settings.redis_url, prefix=settings.redis_prefix)
    except InvalidArgumentError as error:
        msg = f"REDIS_PREFIX={settings.redis_prefix}: {error}"
        raise BootError(msg) from error
    except (ConfigurationError, RedisError) as error:
        msg = f"REDIS_URL={address}: {error}"
        raise BootError(msg) from error
    chosen = "database_url" in settings.model_fields_set
    async with cache, Queue(cache.client, prefix=settings.redis_prefix, shards=settings.queue_shards) as queue:
        database = LazyDatabase(settings.database_url, queue, migrate=not chosen)
        storage = LazyStorage(settings.storage_url, settings.secret_key.get_secret_value())
        channels = Channels.of(settings, cache.client, storage=storage)
        try:
            if chosen:
                try:
                    await database.get().open()
                except DatabaseError as error:
                    raise BootError(str(error)) from error
            if "storage_url" in settings.model_fields_set:
                try:
                    await storage.open()
                except (ConfigurationError, StorageError) as error:
                    raise BootError(str(error)) from error
            extra = MappingProxyType(dict(extensions or {}))
            yield BootContext(settings, cache, queue, extra, database, storage, channels)
        finally:
            await channels.aclose()
            await storage.aclose()
            await database.aclose()


def _read_settings() -> Settings:
    """Read the settings from outside."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        msg = f"{str(first['loc'][0]).upper()}: {first['msg']}"
        raise BootError(msg) from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the file .env cannot be read: {error}"
        raise BootError(msg) from error
