"""Start an application: settings, connections, and what stands on them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rustforge.cache import Cache
from rustforge.errors import BootError, ConfigurationError, InvalidArgumentError, RedisError
from rustforge.settings import Settings, without_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["BootContext", "boot"]


@dataclass(frozen=True, slots=True)
class BootContext:
    """What an application gets from [`boot`][rustforge.boot.boot].

    Attributes:
        settings: The settings that it was started with.
        cache: The cache at `REDIS_URL`, under `REDIS_PREFIX`.
    """

    settings: Settings
    cache: Cache


@asynccontextmanager
async def boot(settings: Settings | None = None) -> AsyncGenerator[BootContext]:
    """Open everything that the settings name, and close it at the end of the block.

    Args:
        settings: The settings; `None` reads them from the environment and `.env`.

    Yields:
        The context with settings and cache.

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
        try:
            settings = Settings()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            msg = f"{str(first['loc'][0]).upper()}: {first['msg']}"
            raise BootError(msg) from None
        except (OSError, UnicodeDecodeError) as error:
            msg = f"the file .env cannot be read: {error}"
            raise BootError(msg) from error
    address = without_credentials(settings.redis_url)
    try:
        cache = await Cache.connect(settings.redis_url, prefix=settings.redis_prefix)
    except InvalidArgumentError as error:
        msg = f"REDIS_PREFIX={settings.redis_prefix}: {error}"
        raise BootError(msg) from error
    except (ConfigurationError, RedisError) as error:
        msg = f"REDIS_URL={address}: {error}"
        raise BootError(msg) from error
    async with cache:
        yield BootContext(settings, cache)
