"""What S3 is told at the start, and the URLs that are signed for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from obstore.store import S3Store

if TYPE_CHECKING:
    from rustforge.storage.url import StorageUrl

__all__ = ["open_bucket"]

_CONNECT = timedelta(seconds=5)
_LONGEST = timedelta(hours=1)
_RETRIES = 3


def open_bucket(url: StorageUrl) -> S3Store:
    """Make the store of a bucket, which connects with its first request."""
    config: dict[str, Any] = {"virtual_hosted_style_request": url.virtual}
    if url.endpoint:
        scheme, _, host = url.endpoint.partition("://")
        config["endpoint"] = f"{scheme}://{url.place}.{host}" if url.virtual else url.endpoint
    if url.region:
        config["region"] = url.region
    if url.access_key is not None:
        config |= {"access_key_id": url.access_key, "secret_access_key": url.secret_key}
    stands_still = timedelta(seconds=url.timeout)
    return S3Store(
        url.place,
        prefix=url.prefix or None,
        client_options={
            "allow_http": url.endpoint.startswith("http:"),
            "connect_timeout": min(_CONNECT, stands_still),
            "read_timeout": stands_still,
            "timeout": _LONGEST,
        },
        retry_config={
            "max_retries": _RETRIES,
            "retry_timeout": 2 * stands_still,
            "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=2), "base": 2},
        },
        **config,
    )
